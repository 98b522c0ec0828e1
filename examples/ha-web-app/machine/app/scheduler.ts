import { z } from "zod";

import type { EtcdClient } from "../../../client/etcdClient.ts";
import { lead } from "../../../client/leader.ts";

/** The lock. Whoever made it holds it, as long as its lease lives. */
const lockKey = "ha-web-app/scheduler/lock";
const summaryKey = "ha-web-app/scheduler/summary";

const summarySchema = z.strictObject({
  /** Counts the runs, over all holders: none is left out, none is done twice. */
  run: z.int(),
  /** The machine that ran it. */
  by: z.string(),
  /** How many notes there were. */
  notes: z.int(),
  /** When, ISO 8601. */
  at: z.string(),
});

/** What the scheduler leaves behind each time. */
export type Summary = z.output<typeof summarySchema>;

/** What a scheduler is for. */
export interface SchedulerOptions {
  /** Who this is, for people. */
  readonly machine: string;
  /** How long a holder that is silent still holds the lock. */
  readonly lockSeconds: number;
  /** Milliseconds from one run to the next. */
  readonly periodMs: number;
  /** The work. It may take long: it counts only if the lock is still held when it is done. */
  readonly work: () => Promise<number>;
}

/** Waits for the lock and works, until it is lost or `signal` is aborted; then lets somebody else. */
export async function schedule(
  etcd: EtcdClient,
  { machine, lockSeconds, periodMs, work }: SchedulerOptions,
  pause: (milliseconds: number) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const candidacy = { key: lockKey, name: machine, leaseSeconds: lockSeconds };
  const leadership = await lead(etcd, candidacy, signal);
  try {
    while (!signal.aborted && !leadership.lost.aborted) {
      const notes = await work();
      const seen = await etcd.get(summaryKey);
      const run = (parse(seen.value)?.run ?? 0) + 1;
      const summary: Summary = { run, by: machine, notes, at: new Date().toISOString() };
      // The write and the question whether we still hold the lock are one step. Believing it would not be enough.
      await etcd.replace(seen, JSON.stringify(summary), [leadership.guard]);
      await pause(periodMs);
    }
  } finally {
    await leadership.resign();
  }
}

/** The newest summary. */
export async function readSummary(etcd: EtcdClient): Promise<Summary | undefined> {
  return parse((await etcd.get(summaryKey)).value);
}

function parse(text: string | undefined): Summary | undefined {
  return text === undefined ? undefined : summarySchema.parse(JSON.parse(text));
}
