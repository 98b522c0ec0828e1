import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

import { on } from "../../faults/harness/machine.ts";
import { roll } from "../harness/roll.ts";
import { membersChange } from "./flags.ts";

/** Everything under a member may change while the member stays what it is. */
export function machineRolls(): void {
  roll({
    name: "instance-type",
    what: "another instance type: every machine makes place for another one",
    change: ({ stack }) => ({
      "etcd-cluster:instanceType":
        stack.settings["etcd-cluster:instanceType"] === "t3.medium" ? "t3.small" : "t3.medium",
    }),
    preview: [
      ...membersChange(3),
      { op: "update", resource: /^aws:ec2\/launchTemplate:LaunchTemplate etcd-m\d$/, count: 3 },
      { op: "update", resource: /^aws:autoscaling\/group:Group etcd-m\d$/, count: 3 },
    ],
  });
  if (!growsInUse()) return;
  roll({
    name: "volume",
    what: "larger volumes with more throughput, in use",
    change: ({ stack }) => ({
      "etcd-cluster:volumeSizeGiB": Number(stack.settings["etcd-cluster:volumeSizeGiB"] ?? 10) + 2,
      "etcd-cluster:volumeThroughputMiBps": 150,
    }),
    preview: [
      ...membersChange(3),
      { op: "update", resource: /^aws:ebs\/volume:Volume etcd-m\d$/, count: 3 },
    ],
    leaderChanges: 0,
    down: 0,
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

/** Whether this host's root may grow a file system that is mounted (CAP_SYS_RESOURCE); some containers may not. */
function growsInUse(): boolean {
  const mask = /^CapBnd:\s+([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return ((BigInt(`0x${mask ?? "0"}`) >> 24n) & 1n) === 1n;
}
