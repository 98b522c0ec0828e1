import { table } from "../../../scripts/operator/lib/table.ts";
import { Kept } from "../../lab/kept.ts";

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

/** The latest figures of each line, for docs/operations.md. */
export const keptFaults = new Kept<Result>("faults", ({ line }) => line);

/** A table for the end of a run. */
export function resultTable(results: readonly Result[]): string {
  const seconds = (value: number | null): string =>
    value === null ? "-" : `${value.toFixed(1)} s`;
  return table(
    ["fault", "acknowledged", "lost", "only on destroyed", "writes resumed", "full redundancy"],
    results.map((each) => [
      each.line,
      ...[each.acknowledged, each.lost, each.onlyOnDestroyed].map(String),
      ...[each.resumedSeconds, each.redundantSeconds].map(seconds),
    ]),
  );
}
