import { table } from "../../../scripts/operator/lib/table.ts";
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
  return table(
    columns.map(([title]) => title),
    results.map((result) => columns.map(([, show]) => show(result))),
  );
}
