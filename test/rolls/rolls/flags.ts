import type { Meant } from "../harness/preview.ts";
import { roll, type Roll } from "../harness/roll.ts";

/** What a change of every member's desired state shows: its documents and its commands. */
export function membersChange(members: number): Meant[] {
  return [
    { op: "replace", resource: /^aws:s3\/\S+ etcd-m\d-config$/, count: members },
    ...["wait", "repair", "converge", "back", "bootstrap", "verify"].map((command): Meant => ({
      op: "replace",
      resource: new RegExp(`^command:remote:Command etcd-m\\d-${command}$`),
      count: members,
    })),
  ];
}

/** Another quota: a setting with which every etcd starts again. */
export const flagChange: Pick<Roll, "change" | "preview"> = {
  change: ({ stack }) => ({
    "etcd-cluster:backendQuotaGiB": stack.settings["etcd-cluster:backendQuotaGiB"] === 2 ? 1 : 2,
  }),
  preview: [
    ...membersChange(3),
    { op: "update", resource: /^aws:cloudwatch\/\S+ etcd-monitoring-db-near-quota$/, count: 1 },
    { op: "update", resource: /^aws:cloudwatch\/dashboard:Dashboard etcd-monitoring$/, count: 1 },
  ],
};

/** A change of etcd's own settings, for which every etcd has to start again. */
export function flagRolls(): void {
  roll({ ...flagChange, name: "flag", what: "another quota: every etcd starts again with it" });
}
