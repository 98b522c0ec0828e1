import assert from "node:assert/strict";
import { killMachines, stopEtcd } from "../../../lab/cli/fault/actions.ts";
import type { SeenRecord } from "../../faults/harness/bucket.ts";
import { memberNow } from "../../faults/harness/machine.ts";
import type { Voters } from "../../faults/writer/lines.ts";
import { waitFor } from "../../lab/support.ts";
import type { Meant } from "../harness/preview.ts";
import { roll, type Roll, type Stage } from "../harness/roll.ts";

const sizeKey = "etcd-cluster:size";

/** What changes with the size at those who stay: they are verified anew, and told of. Nobody's desired state, and no machine. */
function aroundMembers(staying: number): Meant[] {
  return [
    { op: "update", resource: /^command:remote:Command etcd-resize$/, count: 1 },
    { op: "replace", resource: /^command:remote:Command etcd-m\d-verify$/, count: staying },
    { op: "update", resource: /^aws:route53\/\S+ etcd-names-(client|server)-ssl$/, count: 2 },
    { op: "update", resource: /^aws:cloudwatch\/metricAlarm:MetricAlarm etcd-monitoring-/ },
    { op: "update", resource: /^aws:cloudwatch\/dashboard:Dashboard etcd-monitoring$/, count: 1 },
  ];
}

function growing(from: number, newcomers: RegExp): Meant[] {
  return [...aroundMembers(from), { op: "create", resource: newcomers }];
}

function shrinking(to: number, leavers: RegExp): Meant[] {
  return [...aroundMembers(to), { op: "delete", resource: leavers }];
}

/** Of one member alone there is no quorum that could be at risk: it is there or not. */
const quorumAlarm = /^aws:cloudwatch\/metricAlarm:MetricAlarm etcd-monitoring-quorum-at-risk$/;

const fourAndFive = / \S*\bm[45]\b/;
const twoAndThree = / \S*\bm[23]\b/;

function looks({ load }: Stage): Voters[] {
  return load.journal.read().filter((line) => line.kind === "voters");
}

/** What never happens while members come and go: a learner beside another one, and a step of more than one vote. */
async function oneAtATime(stage: Stage): Promise<void> {
  const sizes = looks(stage).map(({ voters }) => voters.length);
  const jumps = sizes.filter((size, index) => Math.abs(size - (sizes[index - 1] ?? size)) > 1);
  assert.deepEqual(jumps, [], `voters: ${sizes.filter((size, i) => size !== sizes[i - 1]).join()}`);
  assert.ok(looks(stage).every(({ learners }) => learners.length <= 1));
  const { roster, phase } = await stage.stack.cluster.bucketView().record();
  const declared = stage.stack.cluster.declared.map(({ name }) => name);
  assert.deepEqual(roster.map(({ name }) => name).sort(), declared);
  assert.equal(phase, "open");
  const backups = await stage.stack.cluster.bucketView().backups();
  assert.ok(backups.length > 0, "no backup was taken");
}

/** `pulumi up` dies when the voters are like that, and the next one goes on. */
async function killedWhen(
  stage: Stage,
  what: string,
  moment: (look: Voters) => boolean,
): Promise<void> {
  const { stack } = stage;
  const up = stack.start();
  await up.until(what, 600, (steps) => {
    const last = looks(stage).at(-1);
    return (
      steps.some(({ name, when }) => name === "etcd-resize" && when === "begins") &&
      last !== undefined &&
      moment(last)
    );
  });
  await up.kill();
  stage.note("recovered", (await stack.recover()).trim().split("\n").at(-1) ?? "");
  await stack.apply();
}

/** Everybody's machine, by the member's name. */
async function machines({ stack }: Stage): Promise<Record<string, string | undefined>> {
  const all = await stack.cluster.members();
  return Object.fromEntries(all.map(({ name, machine }) => [name, machine?.instanceId]));
}

/** Shrinking is refused while a member that stays does not answer, and nothing of those that would go is touched. */
async function refusedWhileSick(stage: Stage): Promise<void> {
  const { stack } = stage;
  const before = { machines: await machines(stage), record: await record(stage) };
  const { followers } = await stack.cluster.roles();
  const sick = followers.find(({ name }) => name === "m2" || name === "m3");
  assert.ok(sick);
  const goOn = stopEtcd([sick]);
  try {
    await stack.refusedUp(new RegExp(`unhealthy: ${sick.name}`));
  } finally {
    goOn();
  }
  assert.deepEqual({ machines: await machines(stage), record: await record(stage) }, before);
}

/** A machine that is replaced afterwards boots into the smaller cluster, and brings nobody back. */
async function replacedAfterwards(stage: Stage): Promise<void> {
  await oneAtATime(stage);
  const { cluster } = stage.stack;
  const before = await members(stage);
  const doomed = await memberNow(cluster, "m3");
  const [old] = await killMachines([doomed]);
  await waitFor("another machine that is well", 180, async () => {
    const { machine } = await memberNow(cluster, "m3");
    if (machine === undefined || machine.instanceId === old) return undefined;
    await cluster.verify();
    return true;
  });
  assert.deepEqual(await members(stage), before);
}

function record({ stack }: Stage): Promise<SeenRecord> {
  return stack.cluster.bucketView().record();
}

/** Names of those who count. */
async function members(stage: Stage): Promise<string[]> {
  return (await record(stage)).roster.map(({ name }) => name);
}

/** Between the sizes, one go each; those that are killed come back to where they began. */
const rolls: readonly Roll[] = [
  {
    name: "grow",
    what: "three members become five",
    given: { [sizeKey]: 3 },
    change: { [sizeKey]: 5 },
    preview: growing(3, fourAndFive),
    members: 5,
    check: oneAtATime,
  },
  {
    name: "shrink-refused",
    what: "five members shall become three while one that stays does not answer; then it does again",
    given: { [sizeKey]: 5 },
    prepare: async ({ stack }) => {
      await stack.leadBy("m5");
      for (const [size, message] of [
        [1, /a cluster of 5 shrinks to 3 at most/],
        [4, /size/],
      ] as const) {
        stack.set({ [sizeKey]: size });
        assert.match(await stack.refusedPreview(), message);
      }
    },
    change: { [sizeKey]: 3 },
    preview: shrinking(3, fourAndFive),
    act: async (stage) => {
      await refusedWhileSick(stage);
      const { output } = await stage.stack.apply();
      assert.match(output, /did: leave[^]*did: handOver[^]*did: remove[^]*did: drop/);
    },
    // The first of them is the test's own.
    leaderChanges: 3,
    members: 3,
    check: oneAtATime,
  },
  {
    name: "grow-killed",
    what: "three members become five, and `pulumi up` dies when the first of them has come",
    given: { [sizeKey]: 3 },
    change: { [sizeKey]: 5 },
    preview: growing(3, fourAndFive),
    act: (stage) => killedWhen(stage, "a fourth voter", ({ voters }) => voters.length === 4),
    members: 5,
    check: oneAtATime,
  },
  {
    name: "shrink-killed",
    what: "five members become three, and `pulumi up` dies when the first of them has left",
    given: { [sizeKey]: 5 },
    change: { [sizeKey]: 3 },
    preview: shrinking(3, fourAndFive),
    act: (stage) => killedWhen(stage, "four voters", ({ voters }) => voters.length === 4),
    members: 3,
    check: replacedAfterwards,
  },
  {
    name: "shrink-to-one",
    what: "three members become one",
    given: { [sizeKey]: 3 },
    change: { [sizeKey]: 1 },
    preview: [...shrinking(1, twoAndThree), { op: "delete", resource: quorumAlarm, count: 1 }],
    members: 1,
    check: oneAtATime,
  },
  {
    name: "grow-from-one",
    what: "one member becomes three",
    given: { [sizeKey]: 1 },
    change: { [sizeKey]: 3 },
    preview: [...growing(1, twoAndThree), { op: "create", resource: quorumAlarm, count: 1 }],
    members: 3,
    check: oneAtATime,
  },
];

/** Members come and go. */
export function sizeRolls(): void {
  for (const each of rolls) roll(each);
}
