import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { Suite } from "../../lab/suite.ts";
import { waitFor } from "../../lab/support.ts";
import { now } from "../writer/clock.ts";
import { judge, redundant, resumption, type Verdict } from "../writer/judge.ts";
import type { Health } from "../writer/lines.ts";
import type { WriterProcess } from "../writer/process.ts";
import { Cluster } from "./cluster.ts";
import { journals } from "./machine.ts";
import { assertWhole } from "./whole.ts";
import { keptFaults, resultTable, type Result } from "./results.ts";

/** What a fault did, told by the line that made it. */
export interface Made {
  /** When it happened (monotonic milliseconds). */
  readonly at: number;
  /** When it was in effect; a look at the members counts from here on. */
  readonly inEffectAt?: number;
  /** Redundancy is lost for certain: it is back only after it was seen to be gone. */
  readonly broken?: boolean;
  /** The highest revision of which a copy survived, where disks were destroyed that may have held the only ones. */
  readonly survived?: bigint;
}

/** What a line works with. */
export interface Stage {
  readonly cluster: Cluster;
  readonly writer: WriterProcess;
  readonly context: TestContext;
  /** Adds a figure to the line's result. */
  readonly note: (name: string, value: string | number) => void;
}

/** One fault under the writer. */
export interface Line {
  /** What FAULT= names. */
  readonly name: string;
  readonly what: string;
  /** What happens then, for docs/operations.md. */
  readonly then: string;
  /** Makes the fault. */
  readonly act: (stage: Stage) => Promise<Made>;
  /** Longest time to full redundancy. */
  readonly withinSeconds: number;
  /** How many clusters may have acknowledged: 2 where the fault leads to a next generation. */
  readonly clusters?: 1 | 2;
  /** Looks at what only this line promises, after everything is back. */
  readonly check?: (stage: Stage, outcome: Outcome) => Promise<void> | void;
  readonly streams?: number;
  /** Why the line shows nothing at the moment, if so. */
  readonly unless?: (cluster: Cluster) => Promise<string | undefined>;
}

/** What is known when a line is over. */
export interface Outcome {
  readonly made: Made;
  readonly verdict: Verdict;
  readonly before: Health;
  readonly back: Health;
  readonly result: Result;
}

/** All lines, in one lab. */
export const faults = new Suite<Cluster, Result>({
  variable: "FAULT",
  up: () => Cluster.up(),
  down: () => Cluster.down(),
  table: resultTable,
  kept: keptFaults,
});

/** Registers a line: the writer writes, the fault happens, everything comes back, everything is counted. */
export function line(definition: Line): void {
  faults.step(definition.name, async (context) => {
    const lab = await faults.lab();
    const reason = await definition.unless?.(lab);
    if (reason !== undefined) {
      context.skip(reason);
      return;
    }
    const prefix = `faults/${definition.name}/${Date.now()}/`;
    const writer = await lab.writer(prefix, definition.streams ?? 6);
    try {
      await runLine(definition, lab, writer, context);
    } catch (error) {
      context.diagnostic(lastWords(writer));
      context.diagnostic(await lab.statusText().catch(() => ""));
      context.diagnostic(await journals(lab).catch(() => ""));
      throw error;
    } finally {
      await writer.end();
      await lab.heal();
    }
  });
}

/** What was wrong with the members from the fault on, whenever that changed, in seconds from it. */
function wayBack(lines: ReturnType<WriterProcess["journal"]["read"]>, faultAt: number): string {
  let last = "";
  const changes = lines
    .filter((each) => each.kind === "health")
    .filter(({ since }) => since >= faultAt)
    .flatMap(({ at, why }) => {
      // Which numbers a message carries is not news.
      const words = why.replaceAll(/after [\d.]+s.*?(?=;|$)/g, "").trim() || "healthy";
      if (words === last) return [];
      last = words;
      return [`  +${((at - faultAt) / 1000).toFixed(1)} ${words}`];
    });
  return `the way back:\n${changes.slice(0, 40).join("\n")}`;
}

/** What the writer saw last, for the message of a failure: why puts failed, and what was wrong with the members. */
function lastWords(writer: WriterProcess): string {
  const lines = writer.journal.read();
  const reasons = lines.filter((each) => each.kind === "unknown").map(({ why }) => why);
  const looks = lines.filter((each) => each.kind === "health").map(({ why }) => why || "healthy");
  const latest = (each: readonly string[]): string[] => [...new Set(each.slice(-60))].slice(-8);
  return JSON.stringify({ puts: latest(reasons), looks: latest(looks) }, undefined, 1);
}

async function runLine(
  definition: Line,
  lab: Cluster,
  writer: WriterProcess,
  context: TestContext,
): Promise<void> {
  const notes: Record<string, string | number> = {};
  const stage: Stage = {
    cluster: lab,
    writer,
    context,
    note: (name, value) => {
      notes[name] = value;
    },
  };
  const { value: start } = await waitFor("a healthy cluster that takes writes", 120, () => {
    const lines = writer.journal.read();
    const look = lines.findLast((each) => each.kind === "health");
    const writes = lines.filter((each) => each.kind === "ack").length;
    return Promise.resolve(look?.healthy === true && writes >= 1000 ? look : undefined);
  });
  const made = await definition.act(stage);
  const inEffectAt = made.inEffectAt ?? now();
  const { value: back } = await waitFor("full redundancy", definition.withinSeconds, () =>
    Promise.resolve(redundant(writer.journal.read(), inEffectAt, made.broken ?? false)),
  );
  await resumed(writer, back.at);
  await writer.stop();
  const content = await writer.read();
  const lines = writer.journal.read();
  const verdict = judge(lines, content.stored, made.survived);
  const { resumedMs, silenceMs } = resumption(lines, made.at);
  const result: Result = {
    line: definition.name,
    order: faults.orderOf(definition.name),
    what: definition.what,
    then: definition.then,
    acknowledged: verdict.acknowledged,
    lost: verdict.lost.length,
    onlyOnDestroyed: verdict.onlyOnDestroyed.length,
    unknown: verdict.unknown,
    resumedSeconds: resumedMs === undefined ? null : resumedMs / 1000,
    silenceSeconds: silenceMs / 1000,
    redundantSeconds: (back.at - made.at) / 1000,
    notes,
  };
  faults.measured(result);
  context.diagnostic(JSON.stringify({ ...result, notes }));
  context.diagnostic(wayBack(lines, made.at));
  assertWhole(verdict, definition.clusters ?? 1);
  const ids = Object.values(content.clusterIds);
  assert.equal(new Set(ids).size, 1, JSON.stringify(content.clusterIds));
  await definition.check?.(stage, { made, verdict, before: start, back, result });
  await lab.verify();
  // Only what held is a figure.
  faults.keep(result);
}

/** The writer goes on for a while in the cluster that has come back. */
async function resumed(writer: WriterProcess, backAt: number): Promise<void> {
  await waitFor("writes after full redundancy", 60, () => {
    const after = writer.journal
      .read()
      .filter((each) => each.kind === "ack" && each.sentAt > backAt).length;
    return Promise.resolve(after >= 200 ? true : undefined);
  });
}
