import { setTimeout as sleep } from "node:timers/promises";

import { messageOf } from "../shared/errors.ts";

/** First delay, growth and longest delay of the real provider's retries, milliseconds. None of it can be configured there either. */
const delays = { first: 100, factor: 1.5, longest: 5000 } as const;

const defaultLimit = 10;

/** How to dial again. */
export interface Retry {
  /** Begins every line about a failed attempt, for instance `Dial proxy`. */
  readonly what: string;
  /** Attempts that may fail before the one whose failure counts; -1 for endless patience. */
  readonly limit: number | undefined;
  readonly signal: AbortSignal;
  readonly report: (line: string) => void;
}

/** Tries until it works, or until more attempts have failed than may. Every kind of failure is retried, a wrong key too. */
export async function withRetry<T>(retry: Retry, attempt: () => Promise<T>): Promise<T> {
  const limit = retry.limit ?? defaultLimit;
  let delay: number = delays.first;
  for (let failed = 1; ; failed += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (limit > -1 && failed > limit) {
        throw new Error(`after ${failed - 1} failed attempts: ${messageOf(error)}`);
      }
    }
    retry.report(`${retry.what} ${failed}/${limit === -1 ? "inf" : limit} failed: retrying`);
    await sleep(delay, undefined, { signal: retry.signal });
    delay = Math.min(delay * delays.factor, delays.longest);
  }
}
