import { setTimeout as sleep } from "node:timers/promises";

import type { Volume } from "@aws-sdk/client-ec2";

import { identityTags } from "../../components/plan/iamDocuments";
import type { MemberConfig } from "../../components/plan/memberConfig";
import type { AwsClients } from "./aws";
import { isAttached } from "./disk";

/** The member's volume as EC2 sees it. Attaching is asked for, never forced: another machine may still be writing. */

/** Which volume a machine uses for its member, and whether it is here. */
export type VolumeView =
  | { readonly kind: "attached"; readonly volumeId: string }
  | { readonly kind: "notAttachable"; readonly volumeId: string; readonly reason: string }
  /** EC2 has not known it for `recovery.volumeLossSeconds`, and no volume carries the member's tags. */
  | { readonly kind: "gone"; readonly volumeId: string };

/** Milliseconds for which a volume in place of a lost one is used without asking for the lost one again. */
const lookAgainMs = 60_000;

/** What a search begins with. */
export interface Wanted {
  readonly config: MemberConfig;
  readonly instanceId: string;
  /** The volume that the record's roster has for the member, or the one that this machine used last. */
  readonly recorded: string | undefined;
}

/**
 * Finds the member's volume and has it attached: the recorded one if it exists, else the configured one, else the one that carries
 * the member's tags. One attempt each time; the caller repeats.
 */
export class VolumeFinder {
  readonly #clients: AwsClients;
  /** Since when EC2 has not known a volume, by this process's monotonic clock. */
  #missing: { readonly volumeId: string; readonly since: number } | undefined;
  /** Which one is used in place of a volume that does not exist, and since when that has not been looked at again. */
  #instead: { readonly lost: string; readonly volumeId: string; readonly at: number } | undefined;

  constructor(clients: AwsClients) {
    this.#clients = clients;
  }

  /** One attempt. */
  async find({ config, instanceId, recorded }: Wanted): Promise<VolumeView> {
    const first = recorded ?? config.volume.id;
    // Before any call: a machine that reboots while the API cannot be reached has its volume all the same.
    if (await isAttached(first)) {
      return { kind: "attached", volumeId: first };
    }
    const { lost, volumeId, at } = this.#instead ?? { lost: "", volumeId: "", at: 0 };
    if (lost === first && performance.now() - at < lookAgainMs && (await isAttached(volumeId))) {
      return { kind: "attached", volumeId };
    }
    const known = await this.#byId(first);
    if (typeof known === "string") {
      return { kind: "notAttachable", volumeId: first, reason: known };
    }
    if (known !== undefined) {
      this.#missing = undefined;
      return this.#attach(known, config, instanceId);
    }
    return this.#another(first, config, instanceId);
  }

  /** The recorded volume does not exist: is there another one of this member's? */
  async #another(lost: string, config: MemberConfig, instanceId: string): Promise<VolumeView> {
    const tagged = await this.#byTags(config);
    if (typeof tagged === "string") {
      return { kind: "notAttachable", volumeId: lost, reason: tagged };
    }
    const configured = tagged.find(({ VolumeId }) => VolumeId === config.volume.id);
    const [only, ...more] = configured === undefined ? tagged : [configured];
    if (more.length > 0) {
      const ids = tagged.map(({ VolumeId }) => VolumeId ?? "").join(", ");
      return {
        kind: "notAttachable",
        volumeId: lost,
        reason: `EC2 says that it does not exist, and ${ids} all carry the tags of ${config.member}; leave them on one`,
      };
    }
    if (only !== undefined) {
      this.#missing = undefined;
      this.#instead = { lost, volumeId: only.VolumeId ?? "", at: performance.now() };
      return this.#attach(only, config, instanceId);
    }
    const missing =
      this.#missing?.volumeId === lost
        ? this.#missing
        : { volumeId: lost, since: performance.now() };
    this.#missing = missing;
    const seconds = (performance.now() - missing.since) / 1000;
    const { volumeLossSeconds } = config.recovery;
    return seconds >= volumeLossSeconds
      ? { kind: "gone", volumeId: lost }
      : {
          kind: "notAttachable",
          volumeId: lost,
          reason: `EC2 says that it does not exist; after ${volumeLossSeconds} s without it another one is created`,
        };
  }

  async #byId(volumeId: string): Promise<Volume | string | undefined> {
    const { DescribeVolumesCommand } = await import("./sdkEc2.ts");
    const ec2 = await this.#clients.ec2();
    try {
      const { Volumes } = await ec2.send(new DescribeVolumesCommand({ VolumeIds: [volumeId] }));
      return Volumes?.find(exists);
    } catch (error) {
      if (error instanceof Error) {
        return error.name === "InvalidVolume.NotFound"
          ? undefined
          : `EC2 does not answer for it: ${error.message}`;
      }
      throw error;
    }
  }

  /** All volumes of this member, oldest first. */
  async #byTags({ cluster, member, zone }: MemberConfig): Promise<Volume[] | string> {
    const { DescribeVolumesCommand } = await import("./sdkEc2.ts");
    const ec2 = await this.#clients.ec2();
    try {
      const { Volumes = [] } = await ec2.send(
        new DescribeVolumesCommand({
          Filters: [
            { Name: `tag:${identityTags.cluster}`, Values: [cluster] },
            { Name: `tag:${identityTags.member}`, Values: [member] },
            { Name: "availability-zone", Values: [zone] },
          ],
        }),
      );
      // A machine's root disk carries the same tags, and belongs to it.
      return Volumes.filter(exists).filter(
        ({ Attachments = [] }) =>
          !Attachments.some(({ DeleteOnTermination }) => DeleteOnTermination),
      );
    } catch (error) {
      if (error instanceof Error) {
        return `EC2 does not answer for volumes of ${member}: ${error.message}`;
      }
      throw error;
    }
  }

  async #attach(volume: Volume, config: MemberConfig, instanceId: string): Promise<VolumeView> {
    const volumeId = volume.VolumeId ?? "";
    if (await isAttached(volumeId)) {
      return { kind: "attached", volumeId };
    }
    const no = (reason: string): VolumeView => ({ kind: "notAttachable", volumeId, reason });
    const holder = volume.Attachments?.find(({ State }) => State !== "detached");
    if (holder !== undefined && holder.InstanceId !== instanceId) {
      return no(
        `it is still ${holder.State ?? "attached"} to ${holder.InstanceId ?? "another machine"}`,
      );
    }
    if (holder === undefined) {
      if (volume.State !== "available") {
        return no(`it is ${volume.State ?? "in an unknown state"}`);
      }
      const refusal = await this.#ask(volumeId, config, instanceId);
      if (refusal !== undefined) {
        return no(refusal);
      }
    }
    for (let tries = 0; tries < 100; tries += 1) {
      if (await isAttached(volumeId)) {
        return { kind: "attached", volumeId };
      }
      await sleep(200);
    }
    return no("EC2 says that it is attached, but the device does not appear");
  }

  async #ask(
    volumeId: string,
    config: MemberConfig,
    instanceId: string,
  ): Promise<string | undefined> {
    const { AttachVolumeCommand } = await import("./sdkEc2.ts");
    const ec2 = await this.#clients.ec2();
    try {
      await ec2.send(
        new AttachVolumeCommand({
          VolumeId: volumeId,
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
}

/** EC2 still lists a volume for a while after it is gone. */
function exists({ State }: Volume): boolean {
  return State !== "deleting" && State !== "deleted";
}
