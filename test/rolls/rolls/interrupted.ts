import assert from "node:assert/strict";
import { killMachines } from "../../../lab/cli/fault/actions.ts";
import { memberNow } from "../../faults/harness/machine.ts";
import { waitFor } from "../../lab/support.ts";
import { roll, untilAllWell, type Stage } from "../harness/roll.ts";
import { installed, running } from "./trace.ts";
import { versionChange, versionSettings } from "./versions.ts";

const [old, wanted] = ["3.6.14", "3.6.16"] as const;

/** Ends a member's machine, and waits until the next one is in its place and the member is well. Answers what runs there. */
async function replaced(stage: Stage, name: string): Promise<string> {
  const { cluster } = stage.stack;
  const [gone] = await killMachines([await memberNow(cluster, name)]);
  const { value } = await waitFor(`the next machine of ${name}`, 180, async () => {
    const member = await memberNow(cluster, name);
    return member.machine === undefined || member.machine.instanceId === gone
      ? undefined
      : running(member);
  });
  await untilAllWell(stage);
  stage.note(`${name}'s next machine`, value);
  return value;
}

/** What is left of a run that was killed, and what becomes of machines that die meanwhile. */
export function interruptedRolls(): void {
  roll({
    ...versionChange(wanted),
    name: "killed",
    what: "`pulumi up` is killed in the middle of m1's turn; machines of m3, which had none, and of m1 die; the next `up` finishes",
    given: versionSettings(old),
    act: async (stage) => {
      const { stack, note } = stage;
      const up = stack.start();
      await up.until("m1 to be given another etcd", 600, async () => {
        return (await installed(await memberNow(stack.cluster, "m1"))) === wanted;
      });
      await up.kill();
      await untilAllWell(stage);
      // The newest wish is in Pulumi's state, and in the bucket; m3 was not approved for it.
      assert.equal(await replaced(stage, "m3"), old);
      assert.equal(await replaced(stage, "m1"), wanted);
      note("recovered", (await stack.recover()).trim().split("\n").at(-1) ?? "");
      await stack.apply();
    },
    // Two for the roll, and one for each of the machines, which may lead when they die.
    leaderChanges: 4,
  });
}
