import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, type TestStack } from "../faults/harness/cluster.ts";
import { freezeAgents, lookedAt, residentMiB, upkeepRuns, used } from "./harness/agent.ts";
import { Benchmark } from "./harness/benchmark.ts";
import { orders, throughputOf, type Pair } from "./harness/figures.ts";

/**
 * What the agent takes: of the machine's memory, of its processors when nothing happens, and of etcd's throughput. `COST=` names some of
 * them; `COST_KEEP=1` takes a lab of this stack that runs already, and leaves it.
 */

/** The bounds of what stays resident, MiB, and of all that the agent does in idle time, share of one core. */
const mostMiB = 120;
const mostOfCore = 0.01;

/** The bound of etcd's throughput with the agent, share of what bare etcd reaches. */
const leastThroughput = 0.97;

/** Seconds over which each is looked at. The memory is that of an agent that has gone through its boot and a few minutes of health. */
const memorySeconds = 150;
const idleSeconds = 600;

/**
 * Pairs of runs, and how long one takes: as long as from one of the agent's looks to the next. Runs differ by a tenth for reasons of the
 * host's, of which so many pairs leave two parts in a hundred; ten would leave five.
 */
const pairs = 60;
const runSeconds = 5;

const costStack: TestStack = {
  name: "cost",
  settings: { "etcd-cluster:clusterName": "etcd-cost" },
  keep: process.env["COST_KEEP"] === "1",
};

let shared: Promise<Cluster> | undefined;

function cluster(): Promise<Cluster> {
  shared ??= Cluster.up(costStack);
  return shared;
}

after(async () => {
  if (shared !== undefined) await Cluster.down(costStack);
});

const names: string[] = [];
const wanted = process.env["COST"] ?? "";
const isWanted = (name: string): boolean => wanted === "" || wanted.split(",").includes(name);

function cost(name: string, work: (context: TestContext) => Promise<void>): void {
  names.push(name);
  if (isWanted(name)) test(name, work);
}

/** A figure for people and for docs/architecture.md. */
function show(
  context: TestContext,
  name: string,
  figures: Readonly<Record<string, unknown>>,
): void {
  context.diagnostic(`${name}: ${JSON.stringify(figures)}`);
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

cost("memory", async (context) => {
  const members = await (await cluster()).members();
  const highest = new Map(members.map(({ name }) => [name, 0]));
  const end = performance.now() + memorySeconds * 1000;
  while (performance.now() < end) {
    for (const member of members) {
      const now = residentMiB(member);
      highest.set(member.name, Math.max(now, highest.get(member.name) ?? 0));
    }
    await sleep(1000);
  }
  const last = members.map((member) => [member.name, round(residentMiB(member), 1)] as const);
  show(context, "resident MiB at the end", Object.fromEntries(last));
  show(context, "resident MiB at most", Object.fromEntries(highest));
  for (const [name, most] of highest) {
    assert.ok(most <= mostMiB, `${name}: ${most} MiB are more than ${mostMiB}`);
  }
});

cost("processor", async (context) => {
  const members = await (await cluster()).members();
  const looks = await Promise.all(
    members.map(async (member) => ({
      member,
      before: await used(member),
      from: Date.now() / 1000,
    })),
  );
  await sleep(idleSeconds * 1000);
  for (const { member, before, from } of looks) {
    const after = await used(member);
    const seconds = Date.now() / 1000 - from;
    const resident = after.resident - before.resident;
    const upkeep = after.gone - before.gone;
    const runs = await upkeepRuns(member, Math.floor(from));
    const share = (resident + upkeep) / seconds;
    show(context, member.name, {
      seconds: round(seconds, 0),
      residentSeconds: round(resident, 2),
      upkeepSeconds: round(upkeep, 2),
      upkeepRuns: runs,
      percentOfCore: round(100 * share, 2),
    });
    // Without its look of every minute the figure would say nothing.
    const ago = Date.now() / 1000 - lookedAt(member);
    assert.ok(ago < 90, `${member.name}: the agent looked ${ago} s ago for the last time`);
    assert.ok(share <= mostOfCore, `${member.name}: ${100 * share} % of a core`);
  }
});

cost("throughput", async (context) => {
  const lab = await cluster();
  const members = await lab.members();
  const benchmark = await Benchmark.of(lab);
  try {
    // The database grows to what the runs write to before anything counts.
    const warm = await benchmark.writes(20_000);
    const total = Math.round(warm * runSeconds);
    const measured: Pair[] = [];
    const runWith = async (agents: boolean): Promise<number> => {
      await freezeAgents(members, !agents);
      return benchmark.writes(total);
    };
    for (const first of orders(pairs)) {
      const one = await runWith(first === "with agent");
      const other = await runWith(first === "bare");
      const pair =
        first === "bare"
          ? { first, bare: one, withAgent: other }
          : { first, bare: other, withAgent: one };
      measured.push(pair);
      show(context, "writes a second", pair);
    }
    const result = throughputOf(measured);
    show(context, "throughput", {
      ...result,
      bare: round(result.bare, 0),
      withAgent: round(result.withAgent, 0),
      ratio: round(result.ratio, 4),
      pairedRatio: round(result.pairedRatio, 4),
    });
    assert.ok(result.ratio >= leastThroughput, `${result.ratio} is below ${leastThroughput}`);
  } finally {
    benchmark.end();
    await freezeAgents(members, false);
  }
});

if (!names.some(isWanted)) {
  test(`COST=${wanted}`, () => {
    assert.fail(`there is no such cost; there are ${names.join(", ")}`);
  });
}
