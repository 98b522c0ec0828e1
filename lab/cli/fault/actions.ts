import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DeleteVolumeCommand,
  DescribeVolumesCommand,
  DetachVolumeCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { z } from "zod";
import { processesOf } from "../../machines/cgroups.ts";
import { adminCredentials, addresses, frontEndpoint } from "../../paths.ts";
import { control, labMachines, machineOf, type Member } from "./members.ts";

/** What faults do. Each is in effect when its promise resolves, unless it says otherwise. */

/** A client of the lab's EC2 as its administrator. */
export function ec2(region: string): EC2Client {
  return new EC2Client({ region, endpoint: frontEndpoint, credentials: adminCredentials });
}

/** The process of a member's etcd, as the host numbers it. */
export function etcdPid(member: Member): number | undefined {
  const { instanceId } = machineOf(member);
  return processesOf(instanceId).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, "utf8").trim() === "etcd";
    } catch {
      return false;
    }
  });
}

function mustRun(member: Member): number {
  const pid = etcdPid(member);
  if (pid === undefined) throw new Error(`${member.name}: no etcd runs on its machine`);
  return pid;
}

/** kill -9 of these members' etcd, all in the same moment. Answers the processes that died. */
export async function killEtcd(members: readonly Member[]): Promise<number[]> {
  const pids = members.map(mustRun);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  for (const pid of pids) {
    while (isAlive(pid)) await sleep(2);
  }
  return pids;
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Stops these members' etcd in the middle of whatever they do, and answers how to let them go on. */
export function stopEtcd(members: readonly Member[]): () => void {
  const pids = members.map(mustRun);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  return () => {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // It was killed meanwhile.
      }
    }
  };
}

/** Ends the members' machines as if their hosts had died, all at once. Answers the ids of the machines. */
export async function killMachines(members: readonly Member[]): Promise<string[]> {
  const ids = members.map((member) => machineOf(member).instanceId);
  await Promise.all(ids.map((id) => control("POST", `machines/${id}/kill`)));
  return ids;
}

/**
 * Ends machines and their data volumes: each volume is deleted through the API as soon as the dead machine has let go of it, long
 * before the next one has booted, and its file goes with it.
 */
export async function destroyVolumes(
  members: readonly Member[],
  region: string,
): Promise<{ instanceId: string; volumeId: string }[]> {
  const doomed = members.map((member) => {
    const { instanceId, volumeId } = machineOf(member);
    if (volumeId === undefined) throw new Error(`${member.name}: no data volume is attached`);
    return { instanceId, volumeId };
  });
  await killMachines(members);
  await Promise.all(doomed.map(({ volumeId }) => deleteVolume(ec2(region), volumeId)));
  return doomed;
}

/** Deletes a volume whose machine is dead, and waits until AWS knows it no more. */
export async function deleteVolume(client: EC2Client, volumeId: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      await client.send(new DeleteVolumeCommand({ VolumeId: volumeId }));
    } catch (error) {
      last = error;
    }
    try {
      const { Volumes = [] } = await client.send(
        new DescribeVolumesCommand({ VolumeIds: [volumeId] }),
      );
      if (Volumes.length === 0) return;
      if ((Volumes[0]?.Attachments ?? []).length > 0) {
        // A stopped instance keeps its volumes until it is told to let go.
        await client.send(new DetachVolumeCommand({ VolumeId: volumeId })).catch(() => undefined);
      }
    } catch (error) {
      if (error instanceof Error && error.name === "InvalidVolume.NotFound") return;
      last = error;
    }
    await sleep(100);
  }
  throw new Error(`the volume ${volumeId} could not be deleted within 30 s`, { cause: last });
}

/** Cuts a zone off from everything, or heals it. In effect within a round of the lab's daemon, about a second. */
export async function cutZone(zone: string, cut: boolean): Promise<void> {
  await control("POST", `zones/${zone}/${cut ? "cut" : "heal"}`);
}

/** Packets lost in both directions between two groups of addresses; none where a group is empty. */
function between(some: readonly string[], others: readonly string[]) {
  if (some.length === 0 || others.length === 0) return [];
  return [
    { from: some, to: others },
    { from: others, to: some },
  ];
}

/** Sets the packets that a named fault loses; none ends it. */
export async function drop(
  name: string,
  drops: readonly { from: readonly string[]; to: readonly string[] }[],
): Promise<void> {
  if (drops.length === 0) await control("POST", `drops/${name}/clear`);
  else await control("POST", `drops/${name}/set`, drops);
}

/** Cuts members off from all other members, and from S3 too. The bastion and clients reach them as before. */
export async function cutPeers(
  name: string,
  members: readonly Member[],
  all: readonly Member[],
  alsoS3: boolean,
): Promise<void> {
  const own = members.map(({ address }) => address);
  const others = all.map(({ address }) => address).filter((address) => !own.includes(address));
  await drop(name, [...between(own, others), ...(alsoS3 ? between(own, [addresses.s3]) : [])]);
}

/** Cuts members off from S3: packets are lost, as when a route is gone. */
export async function cutS3(name: string, members: readonly Member[]): Promise<void> {
  await drop(
    name,
    between(
      members.map(({ address }) => address),
      [addresses.s3],
    ),
  );
}

/** S3 answers these members, or every machine, with 503; an empty list ends it. */
export async function refuseS3(members: readonly Member[] | "all"): Promise<void> {
  const refused = members === "all" ? "all" : members.map(({ address }) => address);
  if (refused.length === 0) await control("POST", "s3/serve");
  else await control("POST", "s3/refuse", refused);
}

const uploadsSchema = z.array(z.object({ target: z.string(), address: z.string() }));

/** Machines' puts to paths that contain a text stand still half-way, until they are cut. */
export async function holdUploads(path: string): Promise<void> {
  await control("POST", "s3/uploads/hold", { path });
}

/** The puts that stand still half-way now. */
export async function heldUploads(): Promise<{ target: string; address: string }[]> {
  return uploadsSchema.parse(await control("GET", "s3/uploads"));
}

/** Cuts the connections of all puts that stand still half-way; later ones go through. */
export async function cutUploads(): Promise<void> {
  await control("POST", "s3/uploads/cut");
}

/** Ends every fault that lasts: cuts of zones and packets, refusals, uploads that stand still. */
export async function healAll(zones: readonly string[]): Promise<void> {
  for (const zone of new Set(zones)) await cutZone(zone, false);
  for (const name of faultNames) await drop(name, []);
  await refuseS3([]);
  await cutUploads();
}

/** Names under which `make fault` and the tests lose packets. */
export const faultNames = ["s3", "peers", "gate", "lag"] as const;

/** Address of a machine from which clients may reach the members: the bastion. */
export async function bastionId(): Promise<string> {
  const bastion = (await labMachines()).find(({ publicAddress }) => publicAddress !== undefined);
  if (bastion === undefined) throw new Error("the lab has no bastion at the moment");
  return bastion.id;
}
