import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "../../lab/support.ts";

/** What one fault did, as measured. */
export interface Result {
  readonly line: string;
  /** Its place among all lines. */
  readonly order: number;
  readonly what: string;
  /** What happens then, for docs/operations.md. */
  readonly then: string;
  readonly acknowledged: number;
  readonly lost: number;
  /** Acknowledged, and held only by disks that the fault destroyed. */
  readonly onlyOnDestroyed: number;
  readonly unknown: number;
  /** Seconds from the fault until writes were acknowledged again; absent where there was nothing to resume. */
  readonly resumedSeconds: number | null;
  /** The longest time without any acknowledgement. */
  readonly silenceSeconds: number;
  /** Seconds from the fault until all members were voters and healthy again. */
  readonly redundantSeconds: number | null;
  /** What else the line measured. */
  readonly notes: Readonly<Record<string, string | number>>;
}

/** Where the last run's figures are kept, for docs/operations.md; not tracked. */
export const resultsFile = join(repository, "coverage", "faults.json");

/** The figures of earlier runs by line; none when there are none. */
export function readResults(): Record<string, Result> {
  try {
    return JSON.parse(readFileSync(resultsFile, "utf8")) as Record<string, Result>;
  } catch {
    return {};
  }
}

/** Keeps a line's figures; those of other lines stay. */
export function keepResult(result: Result): void {
  mkdirSync(dirname(resultsFile), { recursive: true });
  const all = { ...readResults(), [result.line]: result };
  writeFileSync(resultsFile, `${JSON.stringify(all, undefined, 2)}\n`);
}

/** A table for the end of a run. */
export function resultTable(results: readonly Result[]): string {
  const seconds = (value: number | null): string => (value === null ? "-" : value.toFixed(1));
  const rows = [
    ["fault", "acknowledged", "lost", "only on destroyed", "writes resumed", "full redundancy"],
    ...results.map((each) => [
      each.line,
      String(each.acknowledged),
      String(each.lost),
      String(each.onlyOnDestroyed),
      `${seconds(each.resumedSeconds)} s`,
      `${seconds(each.redundantSeconds)} s`,
    ]),
  ];
  const widths = rows[0]?.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths?.[column] ?? 0) : cell.padStart(widths?.[column] ?? 0),
        )
        .join("  "),
    )
    .join("\n");
}
