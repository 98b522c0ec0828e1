import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import { journals } from "../../faults/harness/machine.ts";
import { now } from "../../faults/writer/clock.ts";
import { judge } from "../../faults/writer/judge.ts";
import type { Voters } from "../../faults/writer/lines.ts";
import type { WriterProcess } from "../../faults/writer/process.ts";
import { waitFor } from "../../lab/support.ts";
import { figuresOf, tooFewUp } from "./figures.ts";
import { assertMeant, type Meant } from "./preview.ts";
import { keepRoll, rollTable, type RollResult } from "./results.ts";
import { RollStack, type Settings } from "./stack.ts";

/** What a roll works with. */
export interface Stage {
  readonly stack: RollStack;
  readonly load: WriterProcess;
  readonly context: TestContext;
  /** Adds a figure to the roll's result. */
  readonly note: (name: string, value: string | number) => void;
}

/** One change of a running cluster, under the load. */
export interface Roll {
  /** What ROLL= names. */
  readonly name: string;
  readonly what: string;
  /** What the stack must be like before; it is brought there without being measured. */
  readonly given?: Settings;
  /** The settings that change. A function is asked after `prepare`. */
  readonly change: Settings | ((stage: Stage) => Settings | Promise<Settings>);
  /** What happens before the change, with the load running: a member is broken, for example. */
  readonly prepare?: (stage: Stage) => Promise<void>;
  /** What the preview must show, and all that it may show. */
  readonly preview: readonly Meant[];
  /** Makes the change; one `pulumi up` that succeeds unless it is said. */
  readonly act?: (stage: Stage) => Promise<void>;
  /** Members in the end; as many as before unless it is said. */
  readonly members?: number;
  /** How often the leader may change; 2 unless it is said. */
  readonly leaderChanges?: number;
  /** How many voters may be down at the same time; 1 unless it is said. */
  readonly down?: number;
  /** Looks at what only this roll promises, after everything. */
  readonly check?: (stage: Stage, result: RollResult) => Promise<void>;
}

/** The clients of a roll's load. */
const load = { retrying: 4, once: 2, changing: true } as const;

/** etcd's own default, which the program leaves as it is; milliseconds. */
export const electionTimeoutMs = 1000;

const wanted = process.env["ROLL"] ?? "";
const names: string[] = [];
const results: RollResult[] = [];
let registered = 0;
let shared: Promise<RollStack> | undefined;

/** The one lab of this run, brought up by the first roll that needs it. */
export function stack(): Promise<RollStack> {
  shared ??= RollStack.up();
  return shared;
}

/** Shows the figures after the last roll, and takes the lab down. To be called once, before any roll. */
export function useLab(): void {
  after(async () => {
    if (results.length > 0) process.stdout.write(`\n${rollTable(results)}\n\n`);
    if (shared !== undefined) await RollStack.down();
  });
}

/** Registers something that needs the lab without the load. */
export function step(name: string, work: (context: TestContext) => Promise<void>): void {
  names.push(name);
  if (wanted !== "" && !wanted.split(",").includes(name)) return;
  registered += 1;
  test(name, work);
}

/** To be called after all rolls: a ROLL= that names none of them is a failure that lists them. */
export function endOfRolls(): void {
  if (registered > 0) return;
  test(`ROLL=${wanted}`, () => {
    assert.fail(`there is no such roll; there are ${names.join(", ")}`);
  });
}

/** Registers a roll. */
export function roll(definition: Roll): void {
  step(definition.name, async (context) => {
    const rolls = await stack();
    if (definition.given !== undefined && !rolls.has(definition.given)) {
      rolls.set(definition.given);
      await rolls.apply();
    }
    const { cluster } = rolls;
    const prefix = `rolls/${definition.name}/${Date.now()}/`;
    const writer = await cluster.writer(prefix, 0, load);
    try {
      await runRoll(definition, rolls, writer, context);
    } catch (error) {
      context.diagnostic(lastLooks(writer));
      context.diagnostic(await cluster.statusText().catch(() => ""));
      context.diagnostic(await journals(cluster).catch(() => ""));
      throw error;
    } finally {
      await writer.end();
      await cluster.heal();
    }
  });
}

/** The latest look at the voters, if one says that all of so many are well. */
function wellLook(writer: WriterProcess, members: number, from = 0): Voters | undefined {
  const look = writer.journal.read().findLast((line) => line.kind === "voters");
  return look !== undefined &&
    look.since >= from &&
    look.voters.length === members &&
    look.up.length === members &&
    look.learners.length === 0 &&
    look.leader !== undefined
    ? look
    : undefined;
}

function served(writer: WriterProcess, from: number): number {
  return writer.journal.read().filter((line) => line.kind === "served" && line.sentAt >= from)
    .length;
}

async function runRoll(
  definition: Roll,
  rolls: RollStack,
  writer: WriterProcess,
  context: TestContext,
): Promise<void> {
  const notes: Record<string, string | number> = {};
  const stage: Stage = {
    stack: rolls,
    load: writer,
    context,
    note: (name, value) => {
      notes[name] = value;
    },
  };
  const before = rolls.cluster.declared.length;
  await waitFor("a healthy cluster under load", 120, () =>
    Promise.resolve(
      wellLook(writer, before) !== undefined && served(writer, 0) >= 500 ? true : undefined,
    ),
  );
  const from = now();
  await definition.prepare?.(stage);
  rolls.set(
    typeof definition.change === "function" ? await definition.change(stage) : definition.change,
  );
  assertMeant(await rolls.preview(), definition.preview);
  const started = now();
  await (definition.act?.(stage) ?? rolls.apply());
  const ended = now();
  const size = definition.members ?? before;
  await waitFor(`${size} healthy members that serve`, 120, () =>
    Promise.resolve(
      wellLook(writer, size, ended) !== undefined && served(writer, ended) >= 300
        ? true
        : undefined,
    ),
  );
  await writer.stop();
  const content = await writer.read();
  const lines = writer.journal.read();
  const verdict = judge(lines, content.stored);
  const figures = figuresOf(lines, from);
  const result: RollResult = {
    roll: definition.name,
    what: definition.what,
    seconds: (ended - started) / 1000,
    electionTimeoutMs,
    acknowledged: verdict.acknowledged,
    lost: verdict.lost.length,
    ...figures,
    notes,
  };
  results.push(result);
  context.diagnostic(JSON.stringify(result));
  const { lost, duplicates, mismatches, wrongRevisions, strangers, violations } = verdict;
  const wrong = { lost, duplicates, mismatches, wrongRevisions, strangers, violations };
  for (const [kind, cases] of Object.entries(wrong)) assert.deepEqual(cases.slice(0, 20), [], kind);
  assert.equal(verdict.clusterIds.length, 1, verdict.clusterIds.join(", "));
  const failures = lines.filter((line) => line.kind === "failed" && line.client === "retrying");
  assert.deepEqual(failures.slice(0, 20), [], "requests that failed in spite of retries");
  assert.deepEqual(tooFewUp(lines, from, definition.down ?? 1).slice(0, 20), [], "voters up");
  const allowed = definition.leaderChanges ?? 2;
  assert.ok(figures.leaderChanges <= allowed, `the leader changed ${figures.leaderChanges} times`);
  assert.deepEqual(await rolls.preview(), [], "a preview after the roll");
  await definition.check?.(stage, result);
  await rolls.cluster.verify();
  keepRoll(result);
}

/** How the voters were, whenever that changed: for the message of a failure. */
function lastLooks(writer: WriterProcess): string {
  let last = "";
  const changes = writer.journal.read().flatMap((line) => {
    if (line.kind !== "voters") return [];
    const { voters, up, learners, leader, term } = line;
    const words = `${up.join(" ")} of ${voters.join(" ")}${learners.length > 0 ? `, learners ${learners.join(" ")}` : ""}, led by ${leader ?? "nobody"} in term ${term}`;
    if (words === last) return [];
    last = words;
    return [`  ${(line.at / 1000).toFixed(1)} ${words}`];
  });
  return `the voters:\n${changes.slice(-60).join("\n")}`;
}
