import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { anotherRelease, type Differences } from "../harness/release.ts";
import { assertMeant, type Meant } from "../harness/preview.ts";
import { roll, type Roll } from "../harness/roll.ts";
import { membersChange } from "./flags.ts";
import { machinesChange } from "./machines.ts";
import { traces, type Trace } from "./trace.ts";

interface Release extends Pick<Roll, "name" | "what" | "leaderChanges" | "down"> {
  readonly differences: Differences;
  readonly preview: readonly Meant[];
  /** What a roll does to a member: the same traces or others. */
  readonly left: (before: Trace, after: Trace) => void;
}

/** Another release of this program is rolled out under the load, and taken back. */
function releaseRoll({ differences, left, ...definition }: Release): void {
  let folder = "";
  roll({
    ...definition,
    change: async ({ stack }) => {
      folder = await anotherRelease(differences);
      stack.useProgram(folder);
      return {};
    },
    act: async ({ stack, note }) => {
      try {
        const before = await traces(stack);
        const { seconds } = await stack.apply();
        note("there, s", Math.round(seconds));
        const after = await traces(stack);
        for (const [name, trace] of Object.entries(before)) {
          const now = after[name];
          assert.ok(now, name);
          assert.notEqual(now.approved, trace.approved, name);
          left(trace, now);
        }
        assert.deepEqual(await stack.preview(), [], "a preview of the other release");
      } finally {
        stack.useProgram(undefined);
        rmSync(folder, { recursive: true, force: true });
      }
      assertMeant(await stack.preview(), definition.preview);
      await stack.apply();
    },
  });
}

/** What changes with the checkout alone. Each goes there and back, because the rolls after it use this checkout again. */
export function releaseRolls(): void {
  releaseRoll({
    name: "agent",
    what: "another agent, and the old one again: no etcd notices",
    differences: { agent: true },
    preview: [
      ...membersChange(3),
      { op: "replace", resource: /^aws:s3\/\S+ etcd-backup-artifact-agent$/, count: 1 },
    ],
    leaderChanges: 0,
    down: 0,
    left: (before, after) => {
      assert.deepEqual([after.etcd, after.machine], [before.etcd, before.machine]);
    },
  });
  releaseRoll({
    name: "boot-script",
    what: "another boot script, and the old one again: every machine makes place for another one, twice",
    differences: { bootScript: true },
    preview: machinesChange(3),
    leaderChanges: 4,
    left: (before, after) => {
      assert.notEqual(after.machine, before.machine);
    },
  });
}
