import assert from "node:assert/strict";
import { stopEtcd } from "../../../lab/cli/fault/actions.ts";
import { memberNow } from "../../faults/harness/machine.ts";
import { roll, untilAllWell, type Stage } from "../harness/roll.ts";
import { flagChange } from "./flags.ts";
import { traces } from "./trace.ts";

/** What everybody is told whose turn is refused. */
function refusal(whose: string, sick: string): RegExp {
  return new RegExp(
    `${whose}: refused, nothing was changed: it waited for ${sick}, which is not healthy: [^]*Remedy: [^]*\`pulumi up\` again`,
  );
}

/** The members whose turn a `pulumi up` has begun. */
function turnsOf(steps: readonly { name: string; when: string }[]): string[] {
  return steps
    .filter(({ when }) => when === "begins")
    .flatMap(({ name }) => /^etcd-(m\d)-converge$/.exec(name)?.[1] ?? [])
    .filter((name, index, all) => all.indexOf(name) === index);
}

/** One that follows does not answer: nobody is touched, m1 first in line included. */
async function refusedAtFirst(stage: Stage): Promise<void> {
  const { stack } = stage;
  const before = await traces(stack);
  const { followers } = await stack.cluster.roles();
  const sick = followers.find(({ name }) => name !== "m1");
  assert.ok(sick);
  const goOn = stopEtcd([sick]);
  try {
    const { steps } = await stack.refusedUp(refusal("m1", sick.name));
    assert.deepEqual(turnsOf(steps), ["m1"]);
  } finally {
    goOn();
  }
  assert.deepEqual(await traces(stack), before);
  await untilAllWell(stage);
}

/** m1 had its turn, and does not answer any more when m2's begins: m1 keeps what it got, and nobody else is touched. */
async function refusedOnTheWay(stage: Stage): Promise<void> {
  const { stack } = stage;
  const before = await traces(stack);
  const up = stack.start();
  await up.until("the end of m1's turn", 300, (steps) =>
    steps.some(({ name, when }) => name === "etcd-m1-bootstrap" && when === "ends"),
  );
  const goOn = stopEtcd([await memberNow(stack.cluster, "m1")]);
  try {
    const { code, output, steps } = await up.end();
    assert.notEqual(code, 0, output);
    assert.match(output, refusal("m2", "m1"));
    assert.deepEqual(turnsOf(steps), ["m1", "m2"]);
  } finally {
    goOn();
  }
  const { m1: had, ...others } = await traces(stack);
  const { m1: old, ...untouched } = before;
  assert.deepEqual(others, untouched);
  assert.notEqual(had?.approved, old?.approved);
  assert.notEqual(had?.etcd, old?.etcd);
  await untilAllWell(stage);
}

/** Nobody's turn while somebody else is not well; and the next `pulumi up` goes on where it stopped. */
export function refusedRolls(): void {
  roll({
    ...flagChange,
    name: "refused",
    what: "another quota while a follower does not answer; then while m1, which has it, does not; then all do",
    act: async (stage) => {
      await refusedAtFirst(stage);
      await refusedOnTheWay(stage);
      await stage.stack.apply();
    },
  });
}
