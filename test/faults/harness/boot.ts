import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  DescribeInstancesCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { ec2 } from "../../../lab/cli/fault/actions.ts";
import { labMachines, machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { runFolder } from "../../../lab/paths.ts";
import { inside, waitFor } from "../../lab/support.ts";
import { now } from "../writer/clock.ts";

/** Wall-clock time of a monotonic moment, and back: machines' journals know only the former. */
export function wallClock(monotonic: number): number {
  return Date.now() - (now() - monotonic);
}

let bare: Promise<number> | undefined;

/**
 * Seconds from the launch of a machine that does nothing to the end of its cloud-init: what every machine here needs, whatever
 * it is for. Of the same image and type as a member's, in its subnet; measured once per run.
 */
export function bareBootSeconds(region: string, like: Member): Promise<number> {
  bare ??= measureBareBoot(region, like);
  return bare;
}

async function measureBareBoot(region: string, like: Member): Promise<number> {
  const client = ec2(region);
  const { Reservations = [] } = await client.send(
    new DescribeInstancesCommand({ InstanceIds: [machineOf(like).instanceId] }),
  );
  const model = Reservations[0]?.Instances?.[0];
  if (model === undefined) throw new Error(`${like.name} has no machine`);
  const { Instances = [] } = await client.send(
    new RunInstancesCommand({
      MinCount: 1,
      MaxCount: 1,
      ImageId: model.ImageId,
      InstanceType: model.InstanceType,
      SubnetId: model.SubnetId,
      UserData: Buffer.from("#!/bin/sh\ntrue\n").toString("base64"),
    }),
  );
  const started = now();
  const id = Instances[0]?.InstanceId ?? "";
  try {
    await waitFor("a bare machine to have booted", 120, async () => {
      const root = (await labMachines()).find((machine) => machine.id === id)?.rootFolder;
      // Not var/lib/cloud/instance: a link that leads out of the machine when it is followed from the host.
      return root !== undefined && existsSync(join(root, "var/lib/cloud/data/result.json"))
        ? true
        : undefined;
    });
    return (now() - started) / 1000;
  } finally {
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
  }
}

/** The availability zone of a machine. */
export async function zoneOf(region: string, instanceId: string): Promise<string> {
  const { Reservations = [] } = await ec2(region).send(
    new DescribeInstancesCommand({ InstanceIds: [instanceId] }),
  );
  return Reservations[0]?.Instances?.[0]?.Placement?.AvailabilityZone ?? "";
}

/** A moment on a machine's way to health, in seconds from its launch. */
export interface BootStep {
  readonly step: string;
  readonly seconds: number;
}

/** Wall-clock milliseconds at which a group launched a machine, from the lab's own log. */
export function launchedAt(instanceId: string): number {
  const log = readFileSync(join(runFolder, "daemon.log"), "utf8");
  const line = log.split("\n").find((each) => each.endsWith(`: launched ${instanceId}`));
  if (line === undefined) throw new Error(`no launch of ${instanceId} is in the lab's log`);
  return Date.parse(line.split(" ")[0] ?? "");
}

/** What is looked for in a machine's journal, in the order in which it happens. */
const marks: readonly (readonly [string, RegExp])[] = [
  ["systemd runs", /./],
  ["cloud-init runs boot.sh", /== boot: member /],
  ["artifacts are in place", /== boot: artifacts are in place/],
  ["the agent runs", /^starting$/],
  ["etcd is started", /^starting: etcd, generation /],
  ["etcd serves", /ready to serve client requests/],
  ["the agent finds it well", /^running$/],
];

/** The steps of a machine's boot from its journal and from cloud-init's output, which carries no time but boot.sh's own seconds. */
export async function bootSteps(member: Member): Promise<BootStep[]> {
  const { pid, instanceId } = machineOf(member);
  if (pid === undefined) throw new Error(`${member.name}: its machine does not run`);
  const zero = launchedAt(instanceId);
  const journal = await inside(
    pid,
    ["journalctl", "--no-pager", "--output=json", "--output-fields=MESSAGE"],
    { timeoutSeconds: 30 },
  );
  const entries = journal.stdout.split("\n").flatMap((text) => {
    if (text === "") return [];
    const entry = JSON.parse(text) as { MESSAGE?: unknown; __REALTIME_TIMESTAMP: string };
    return typeof entry.MESSAGE === "string"
      ? [{ message: entry.MESSAGE, at: Number(entry.__REALTIME_TIMESTAMP) / 1000 }]
      : [];
  });
  return marks.flatMap(([step, pattern]) => {
    const found = entries.find(({ message }) => pattern.test(message));
    return found === undefined ? [] : [{ step, seconds: (found.at - zero) / 1000 }];
  });
}
