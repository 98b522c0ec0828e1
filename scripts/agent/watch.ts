import { setTimeout as sleep } from "node:timers/promises";

import { leaving } from "./leave";
import { Busy } from "./lock";
import type { Machine } from "./machine";
import { must } from "./run";
import { reasonOf, say } from "./say";
import { look } from "./upkeep";

/** Milliseconds between two looks, and until the first one. */
const everyMs = 60_000;
const soonMs = 5000;

/** Members do not all ask S3 and CloudWatch in the same second. */
const spreadMs = 15_000;

/**
 * Looks after the member once a minute for as long as this process lives: metrics, and whether upkeep has something to do, which a process
 * of its own then does, and ends. The look itself is made here, because most of what a process of its own took for it was its start, half
 * a second of the processor every minute. Whatever comes of it is no affair of who starts etcd: it never throws.
 */
export async function watch(machine: Machine): Promise<never> {
  const offset = Math.random() * spreadMs;
  await sleep(soonMs);
  for (;;) {
    try {
      // A machine that leaves lets go of its volume; nothing new begins on that.
      if ((await look(machine)) && (await leaving()) === undefined) {
        await must("systemctl", ["start", "--no-block", "etcd-upkeep.service"]);
      }
    } catch (error) {
      if (!(error instanceof Busy)) {
        say(`the member is not looked after: ${reasonOf(error)}`);
      }
    }
    await sleep(untilNext(Date.now(), offset));
  }
}

/** By the clock, not by the last look: CloudWatch counts whole minutes, and one without a value is an alarm. */
export function untilNext(now: number, offset: number): number {
  return everyMs - ((now - offset) % everyMs);
}
