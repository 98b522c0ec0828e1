import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DescribeVolumesCommand } from "@aws-sdk/client-ec2";
import { ec2 } from "../../../lab/cli/fault/actions.ts";
import { machineOf } from "../../../lab/cli/fault/members.ts";
import { on } from "../../faults/harness/machine.ts";
import type { Meant } from "../harness/preview.ts";
import { roll, type Roll } from "../harness/roll.ts";
import { membersChange } from "./flags.ts";
import { traces } from "./trace.ts";

/** What a change of every member's machine shows. */
export function machinesChange(members: number): Meant[] {
  return [
    ...membersChange(members),
    { op: "update", resource: /^aws:ec2\/launchTemplate:LaunchTemplate etcd-m\d$/, count: members },
    { op: "update", resource: /^aws:autoscaling\/group:Group etcd-m\d$/, count: members },
  ];
}

/** What a change of every member's volume shows, and does: etcd does not notice. */
const volumesChange: Pick<Roll, "preview" | "leaderChanges" | "down"> = {
  preview: [
    ...membersChange(3),
    { op: "update", resource: /^aws:ebs\/volume:Volume etcd-m\d$/, count: 3 },
  ],
  leaderChanges: 0,
  down: 0,
};

/** Everything under a member may change while the member stays what it is. */
export function machineRolls(): void {
  roll({
    name: "instance-type",
    what: "another instance type: every machine makes place for another one",
    change: ({ stack }) => ({
      "etcd-cluster:instanceType":
        stack.settings["etcd-cluster:instanceType"] === "t3.medium" ? "t3.small" : "t3.medium",
    }),
    preview: machinesChange(3),
  });
  fasterVolumes();
  if (!growsInUse()) return;
  roll({
    name: "volume",
    what: "larger volumes with more throughput, in use",
    change: ({ stack }) => ({
      "etcd-cluster:volumeSizeGiB": Number(stack.settings["etcd-cluster:volumeSizeGiB"] ?? 10) + 2,
      "etcd-cluster:volumeThroughputMiBps": 150,
    }),
    ...volumesChange,
    check: async ({ stack, note }) => {
      for (const member of await stack.cluster.members()) {
        const { stdout } = await on(member, ["df", "--output=size", "-B1G", "/var/lib/etcd"]);
        const gib = Number(stdout.trim().split("\n").at(-1));
        note(`${member.name} GiB`, gib);
        assert.ok(gib >= 11, stdout);
      }
    },
  });
}

/** What EC2 gives a volume in use. The machines need not know; their next volume would be like it. */
function fasterVolumes(): void {
  let before: Awaited<ReturnType<typeof traces>> = {};
  roll({
    name: "volume-speed",
    what: "volumes with more throughput and operations, in use",
    prepare: async ({ stack }) => {
      before = await traces(stack);
    },
    change: () => ({
      "etcd-cluster:volumeIops": 3500,
      "etcd-cluster:volumeThroughputMiBps": 150,
    }),
    ...volumesChange,
    check: async ({ stack }) => {
      const members = await stack.cluster.members();
      const { Volumes = [] } = await ec2(stack.cluster.region).send(
        new DescribeVolumesCommand({
          VolumeIds: members.map((member) => machineOf(member).volumeId ?? ""),
        }),
      );
      assert.deepEqual(
        Volumes.map(({ Iops, Throughput }) => [Iops, Throughput]),
        members.map(() => [3500, 150]),
      );
      for (const [name, { etcd, machine }] of Object.entries(await traces(stack))) {
        assert.deepEqual([etcd, machine], [before[name]?.etcd, before[name]?.machine], name);
      }
    },
  });
}

/** Whether this host's root may grow a file system that is mounted (CAP_SYS_RESOURCE); some containers may not. */
function growsInUse(): boolean {
  const mask = /^CapBnd:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return ((BigInt(`0x${mask ?? "0"}`) >> 24n) & 1n) === 1n;
}
