import type { MemberConfig } from "../../components/plan/memberConfig";
import { Refusal } from "./deadline";
import { volumeInUse } from "./disk";
import { handOver } from "./handOver";
import { instanceId, launchedWith } from "./imds";
import { readIfThere, writeDurably } from "./files";
import type { Machine } from "./machine";
import { paths } from "./paths";
import { step } from "./point";
import { readRecord } from "./record";
import { must, run } from "./run";
import { reasonOf, say } from "./say";
import { etcdState, stopEtcd } from "./service";
import { announce } from "./state";

/**
 * The machine's own end, when another one is to take its place under the member. Whoever asks for it only writes a note; the agent that
 * lives as long as the machine does the rest, and goes on with it whatever else is killed.
 */

/** Why this machine is not the one that the desired state wants, or undefined when it is. */
export function wrongMachine(
  is: Awaited<ReturnType<typeof launchedWith>>,
  wanted: MemberConfig["machine"],
): string | undefined {
  if (wanted === undefined) {
    return undefined;
  }
  const differences = [
    is.instanceType === wanted.instanceType
      ? undefined
      : `instance type ${is.instanceType} to ${wanted.instanceType}`,
    is.imageId === wanted.imageId ? undefined : `image ${is.imageId} to ${wanted.imageId}`,
    is.userDataSha256 === wanted.userDataSha256 ? undefined : "another boot script",
  ].filter((each) => each !== undefined);
  return differences.length === 0 ? undefined : differences.join(", ");
}

/** The same, of this machine. */
export async function whyToLeave(config: MemberConfig): Promise<string | undefined> {
  return config.machine === undefined
    ? undefined
    : wrongMachine(await launchedWith(), config.machine);
}

/** Throws unless the role may end this machine. Asked before anything is changed: a member that stopped and cannot leave is worse. */
export async function mayTerminate({ clients }: Machine): Promise<void> {
  const { TerminateInstancesCommand } = await import("./sdkEc2.ts");
  const ec2 = await clients.ec2();
  const id = await instanceId();
  try {
    await ec2.send(new TerminateInstancesCommand({ InstanceIds: [id], DryRun: true }));
  } catch (error) {
    if (!(error instanceof Error) || error.name === "DryRunOperation") {
      return;
    }
    const words = `this machine may not end itself: ${error.message}`;
    throw error.name === "UnauthorizedOperation" ? new Refusal(words) : new Error(words);
  }
}

/**
 * Asks the agent to let this machine go. Its sshd takes nobody in any more, but for the connection that is open: whoever meets the
 * member's sshd from now on has met the next machine.
 */
export async function askToLeave(because: string): Promise<void> {
  await step("leave:ask", () => writeDurably(paths.leave, `${because}\n`));
  await must("systemctl", ["mask", "--runtime", "--now", "ssh.socket", "ssh.service"]);
}

/** Why this machine leaves, if it does. */
export async function leaving(): Promise<string | undefined> {
  return (await readIfThere(paths.leave))?.trim();
}

/** Hands over, stops etcd, lets go of the volume and ends the machine. Every step may be repeated. */
export async function leave(
  machine: Machine,
  config: MemberConfig,
  because: string,
): Promise<void> {
  await announce({
    state: "waiting",
    wait: "nextMachine",
    reason: `ends this machine, so that another one takes its place: ${because}`,
  });
  if ((await etcdState()) === "active") {
    const view = await readRecord(machine.bucket);
    if (view.kind === "present") {
      await handOver(config, view.record);
    }
  }
  await run("systemctl", ["stop", "etcd-upkeep.service"]);
  await step("leave:stop", stopEtcd);
  await step("leave:unmount", unmount);
  await detach(machine, config);
  await step("leave:terminate", () => terminate(machine));
}

async function unmount(): Promise<void> {
  if ((await run("mountpoint", ["-q", paths.mount])).code === 0) {
    await must("umount", [paths.mount]);
  }
}

/** The end of the machine would do the same, a little later. */
async function detach({ clients }: Machine, config: MemberConfig): Promise<void> {
  const { DetachVolumeCommand } = await import("./sdkEc2.ts");
  const ec2 = await clients.ec2();
  const volumeId = (await volumeInUse()) ?? config.volume.id;
  try {
    await step("leave:detach", async () => {
      await ec2.send(
        new DetachVolumeCommand({ VolumeId: volumeId, InstanceId: await instanceId() }),
      );
    });
  } catch (error) {
    say(`the volume is not detached beforehand: ${reasonOf(error)}`);
  }
}

async function terminate({ clients }: Machine): Promise<void> {
  const { TerminateInstancesCommand } = await import("./sdkEc2.ts");
  const ec2 = await clients.ec2();
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [await instanceId()] }));
}
