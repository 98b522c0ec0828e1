/** What the tests of the agent's cost count with. */

/** The middle one; the mean of both when there are two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [(sorted.length - 1) >> 1, sorted.length >> 1].map((at) => sorted[at]);
  if (low === undefined || high === undefined) throw new Error("the median of nothing");
  return (low + high) / 2;
}

/** What etcd's benchmark program says that it reached. Requests that failed make its figure worthless. */
export function requestsPerSecond(report: string): number {
  const rate = Number(/^\s*Requests\/sec:\s+([0-9.]+)$/m.exec(report)?.[1]);
  if (!(rate > 0) || /^Error distribution:$/m.test(report)) {
    throw new Error(`no rate that counts in the benchmark's report:\n${report}`);
  }
  return rate;
}

/** Requests a second of one pair of runs, and which of the two came first. */
export interface Pair {
  readonly first: "bare" | "with agent";
  readonly bare: number;
  readonly withAgent: number;
}

/** What the pairs say together. */
export interface Throughput {
  readonly pairs: number;
  /** Medians over all runs of a kind. */
  readonly bare: number;
  readonly withAgent: number;
  /** Of the medians. */
  readonly ratio: number;
  /** Median of each pair's own ratio: what changes slowly on the host does not count in it. */
  readonly pairedRatio: number;
}

/** Sums up. */
export function throughputOf(pairs: readonly Pair[]): Throughput {
  const bare = median(pairs.map((pair) => pair.bare));
  const withAgent = median(pairs.map((pair) => pair.withAgent));
  return {
    pairs: pairs.length,
    bare,
    withAgent,
    ratio: withAgent / bare,
    pairedRatio: median(pairs.map((pair) => pair.withAgent / pair.bare)),
  };
}

/** The order of so many pairs: each kind comes first in every other one, so that what changes with time favours neither. */
export function orders(pairs: number): Pair["first"][] {
  return Array.from({ length: pairs }, (_, at) => (at % 2 === 0 ? "bare" : "with agent"));
}
