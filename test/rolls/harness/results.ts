import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "../../lab/support.ts";
import type { Figures } from "./figures.ts";

/** What one roll did, as measured. */
export interface RollResult extends Figures {
  readonly roll: string;
  readonly what: string;
  /** From the start of `pulumi up` to its end. */
  readonly seconds: number;
  readonly electionTimeoutMs: number;
  readonly acknowledged: number;
  readonly lost: number;
  /** What else the roll measured. */
  readonly notes: Readonly<Record<string, string | number>>;
}

/** Where the last run's figures are kept; not tracked. */
const resultsFile = join(repository, "coverage", "rolls.json");

/** Keeps a roll's figures; those of other rolls stay. */
export function keepRoll(result: RollResult): void {
  let all: Record<string, RollResult> = {};
  try {
    all = JSON.parse(readFileSync(resultsFile, "utf8")) as Record<string, RollResult>;
  } catch {
    // None are kept yet.
  }
  mkdirSync(dirname(resultsFile), { recursive: true });
  writeFileSync(
    resultsFile,
    `${JSON.stringify({ ...all, [result.roll]: result }, undefined, 2)}\n`,
  );
}

const columns: readonly (readonly [string, (result: RollResult) => string])[] = [
  ["roll", ({ roll }) => roll],
  ["seconds", ({ seconds }) => seconds.toFixed(0)],
  ["acknowledged", ({ acknowledged }) => String(acknowledged)],
  ["lost", ({ lost }) => String(lost)],
  ["failed with retries", ({ failed, requests }) => `${failed.retrying} of ${requests.retrying}`],
  ["failed without", ({ failed, requests }) => `${failed.once} of ${requests.once}`],
  ["slowest", ({ slowestMs }) => `${slowestMs.toFixed(0)} ms`],
  ["write gap", ({ writeGapMs }) => `${writeGapMs.toFixed(0)} ms`],
  ["election timeout", ({ electionTimeoutMs }) => `${electionTimeoutMs} ms`],
  ["leader changes", ({ leaderChanges }) => String(leaderChanges)],
  ["most down", ({ mostDown }) => String(mostDown)],
];

/** A table for the end of a run. */
export function rollTable(results: readonly RollResult[]): string {
  const rows = [
    columns.map(([title]) => title),
    ...results.map((result) => columns.map(([, show]) => show(result))),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "))
    .join("\n");
}
