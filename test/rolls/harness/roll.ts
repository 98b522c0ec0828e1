import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { journals } from "../../faults/harness/machine.ts";
import { assertWhole } from "../../faults/harness/whole.ts";
import { now } from "../../faults/writer/clock.ts";
import { judge } from "../../faults/writer/judge.ts";
import type { Voters } from "../../faults/writer/lines.ts";
import type { WriterProcess } from "../../faults/writer/process.ts";
import { Kept } from "../../lab/kept.ts";
import { Suite } from "../../lab/suite.ts";
import { waitFor } from "../../lab/support.ts";
import { figuresOf, tooFewUp } from "./figures.ts";
import { assertMeant, type Meant } from "./preview.ts";
import { rollTable, type RollResult } from "./results.ts";
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
  /** What the stack must be like before; it is brought there without being measured. A function is told what it is like. */
  readonly given?: Settings | ((now: Settings) => Settings);
  /** The user of access control whose requests the load is; the operator unless it is said. */
  readonly user?: string;
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

/** All rolls, in one lab. */
export const rolls = new Suite<RollStack, RollResult>({
  variable: "ROLL",
  up: () => RollStack.up(),
  down: () => RollStack.down(),
  table: rollTable,
  kept: new Kept("rolls", (result) => result.roll),
});

/** Registers a roll. */
export function roll(definition: Roll): void {
  rolls.step(definition.name, async (context) => {
    const stack = await rolls.lab();
    await bringTo(stack, definition.given);
    const { cluster } = stack;
    const prefix = `rolls/${definition.name}/${Date.now()}/`;
    const { user } = definition;
    const writer = await cluster.writer(prefix, 0, {
      ...load,
      ...(user === undefined ? {} : { user }),
    });
    try {
      await runRoll(definition, stack, writer, context);
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

async function bringTo(stack: RollStack, given: Roll["given"]): Promise<void> {
  const wanted = typeof given === "function" ? given(stack.settings) : (given ?? {});
  if (stack.has(wanted)) return;
  stack.set(wanted);
  await stack.apply();
}

/** Waits until a look that began at this moment or later says that all members are well. */
export async function untilAllWell({ stack, load: writer }: Stage): Promise<void> {
  const from = now();
  await waitFor("members that are all well", 180, () =>
    Promise.resolve(
      wellLook(writer, stack.cluster.declared.length, from) === undefined ? undefined : true,
    ),
  );
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
  stack: RollStack,
  writer: WriterProcess,
  context: TestContext,
): Promise<void> {
  const notes: Record<string, string | number> = {};
  const stage: Stage = {
    stack,
    load: writer,
    context,
    note: (name, value) => {
      notes[name] = value;
    },
  };
  const before = stack.cluster.declared.length;
  await waitFor("a healthy cluster under load", 120, () =>
    Promise.resolve(
      wellLook(writer, before) !== undefined && served(writer, 0) >= 500 ? true : undefined,
    ),
  );
  const from = now();
  await definition.prepare?.(stage);
  stack.set(
    typeof definition.change === "function" ? await definition.change(stage) : definition.change,
  );
  assertMeant(await stack.preview(), definition.preview);
  const started = now();
  await (definition.act?.(stage) ?? stack.apply());
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
  rolls.measured(result);
  context.diagnostic(JSON.stringify(result));
  assertWhole(verdict, 1);
  const failures = lines.filter((line) => line.kind === "failed" && line.client === "retrying");
  assert.deepEqual(failures.slice(0, 20), [], "requests that failed in spite of retries");
  assert.deepEqual(tooFewUp(lines, from, definition.down ?? 1).slice(0, 20), [], "voters up");
  const allowed = definition.leaderChanges ?? 2;
  assert.ok(figures.leaderChanges <= allowed, `the leader changed ${figures.leaderChanges} times`);
  assert.deepEqual(await stack.preview(), [], "a preview after the roll");
  await definition.check?.(stage, result);
  await stack.cluster.verify();
  rolls.keep(result);
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
