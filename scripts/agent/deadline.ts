import { setTimeout as sleep } from "node:timers/promises";

import { reasonOf } from "./say";

/**
 * Repeats something until it succeeds or the time is up; then throws what went wrong last. Time is monotonic: a machine's clock may
 * jump while it boots.
 */
export async function until<T>(
  timeoutSeconds: number,
  attempt: () => Promise<T>,
  options: { readonly pauseMs?: number; readonly onFailure?: (reason: string) => void } = {},
): Promise<T> {
  const end = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      options.onFailure?.(reasonOf(error));
      if (performance.now() >= end || error instanceof Refusal) {
        throw error;
      }
    }
    await sleep(options.pauseMs ?? 500);
  }
}

/** Something that trying again does not change. */
export class Refusal extends Error {}

/** Fails when an action takes longer than it may. What it started may still be running: only for the end of a process. */
export async function bounded<T>(
  timeoutSeconds: number,
  what: string,
  action: Promise<T>,
): Promise<T> {
  const late = new AbortController();
  try {
    return await Promise.race([
      action,
      sleep(timeoutSeconds * 1000, undefined, { signal: late.signal }).then(() => {
        throw new Error(`${what} did not end within ${timeoutSeconds} s`);
      }),
    ]);
  } finally {
    late.abort();
  }
}
