import assert from "node:assert/strict";

import type { BuildableEtcd } from "../../../lab/toolchain/artifacts.ts";
import { on } from "../../faults/harness/machine.ts";
import { roll, rolls, type Roll } from "../harness/roll.ts";
import type { Settings } from "../harness/stack.ts";
import { membersChange } from "./flags.ts";

/** The settings of a stack that runs another version. */
export const versionSettings = (version: BuildableEtcd): Settings => ({
  "etcd-cluster:etcdVersion": version,
});

/** Another version of etcd on every machine. */
export function versionChange(
  version: BuildableEtcd,
): Pick<Roll, "change" | "preview"> & Required<Pick<Roll, "check">> {
  return {
    change: () => versionSettings(version),
    preview: [
      ...membersChange(3),
      { op: "replace", resource: /^aws:s3\/\S+ etcd-backup-artifact-etcd$/, count: 1 },
    ],
    check: async ({ stack, note }) => {
      for (const member of await stack.cluster.members()) {
        const { stdout } = await on(member, ["/opt/etcd-cluster/etcd/current/etcd", "--version"]);
        assert.match(stdout, new RegExp(`^etcd Version: ${version.replaceAll(".", "\\.")}$`, "m"));
      }
      note("etcd", version);
    },
  };
}

function versionRoll(name: string, what: string, version: BuildableEtcd): void {
  roll({ ...versionChange(version), name, what });
}

/** A patch; then down to the oldest minor, up to the newest and back, each one step from where the one before has left the cluster. */
export function versionRolls(): void {
  versionRoll("patch", "a newer patch of the same minor", "3.6.16");
  versionRoll("down-3.5", "back to the minor before: etcd is told first", "3.5.35");
  rolls.step("skip", async () => {
    const stack = await rolls.lab();
    const before = stack.settings;
    stack.set(versionSettings("3.7.3"));
    const message = await stack.refusedPreview();
    stack.set(before);
    assert.match(
      message,
      /etcd changes its minor one at a time, and this is an upgrade from 3\.5\.35/,
    );
  });
  versionRoll("up-3.6", "from 3.5 to 3.6", "3.6.14");
  versionRoll("up-3.7", "from 3.6 to 3.7", "3.7.3");
  versionRoll("down-3.6", "back from 3.7 to 3.6: etcd is told first", "3.6.14");
}
