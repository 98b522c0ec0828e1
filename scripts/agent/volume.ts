import { setTimeout as sleep } from "node:timers/promises";

import type { Volume } from "@aws-sdk/client-ec2";

import type { MemberConfig } from "../../components/plan/memberConfig";
import type { AwsClients } from "./aws";
import { isAttached } from "./disk";

/** The member's volume as EC2 sees it. Attaching is asked for, never forced: another machine may still be writing. */

/** Why the volume is not here yet, or undefined when it is. One attempt; the caller repeats. */
export async function attach(
  clients: AwsClients,
  config: MemberConfig,
  instanceId: string,
): Promise<string | undefined> {
  const volumeId = config.volume.id;
  // Before any call: a machine that reboots while the API cannot be reached has its volume all the same.
  if (await isAttached(volumeId)) {
    return undefined;
  }
  const volume = await describe(clients, volumeId);
  if (typeof volume === "string") {
    return volume;
  }
  const holder = volume.Attachments?.find(({ State }) => State !== "detached");
  if (holder !== undefined && holder.InstanceId !== instanceId) {
    return `it is still ${holder.State ?? "attached"} to ${holder.InstanceId ?? "another machine"}`;
  }
  if (holder === undefined) {
    if (volume.State !== "available") {
      return `it is ${volume.State ?? "in an unknown state"}`;
    }
    const refusal = await ask(clients, config, instanceId);
    if (refusal !== undefined) {
      return refusal;
    }
  }
  for (let tries = 0; tries < 100; tries += 1) {
    if (await isAttached(volumeId)) {
      return undefined;
    }
    await sleep(200);
  }
  return "EC2 says that it is attached, but the device does not appear";
}

async function describe(clients: AwsClients, volumeId: string): Promise<Volume | string> {
  const { DescribeVolumesCommand } = await import("@aws-sdk/client-ec2");
  const ec2 = await clients.ec2();
  try {
    const { Volumes } = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] }));
    return Volumes?.[0] ?? "EC2 does not know it";
  } catch (error) {
    if (error instanceof Error) {
      return error.name === "InvalidVolume.NotFound"
        ? "EC2 says that it does not exist"
        : `EC2 does not answer for it: ${error.message}`;
    }
    throw error;
  }
}

async function ask(
  clients: AwsClients,
  config: MemberConfig,
  instanceId: string,
): Promise<string | undefined> {
  const { AttachVolumeCommand } = await import("@aws-sdk/client-ec2");
  const ec2 = await clients.ec2();
  try {
    await ec2.send(
      new AttachVolumeCommand({
        VolumeId: config.volume.id,
        InstanceId: instanceId,
        Device: config.volume.device,
      }),
    );
    return undefined;
  } catch (error) {
    if (error instanceof Error) {
      return `EC2 does not attach it: ${error.message}`;
    }
    throw error;
  }
}
