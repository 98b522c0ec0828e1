import { setTimeout as sleep } from "node:timers/promises";

import type { Context } from "../shared/resource.ts";
import type { Aws } from "./environment.ts";

/** Code of an AWS error, for instance `DependencyViolation`. */
export function codeOf(error: unknown): string {
  return error instanceof Error ? error.name : "";
}

/** The answer, or undefined when AWS says that there is no such thing. */
export async function unlessMissing<T>(
  missing: readonly string[],
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (missing.includes(codeOf(error))) {
      return undefined;
    }
    throw error;
  }
}

/** Longest pause between two looks, milliseconds: the lab is near, AWS is not. */
const longestPause = 3000;

type Waiting = Pick<Context<Aws>, "signal" | "progress" | "timeoutSeconds">;

/** Repeats a call as long as AWS refuses it with one of these codes, which pass. */
export async function whileBusy<T>(
  busy: readonly string[],
  context: Waiting,
  seconds: number,
  call: () => Promise<T>,
): Promise<T> {
  const deadline = deadlineOf(context, seconds);
  for (let pause = 100; ; pause = Math.min(pause * 1.5, longestPause)) {
    try {
      return await call();
    } catch (error) {
      if (!busy.includes(codeOf(error)) || Date.now() > deadline) {
        throw error;
      }
      context.progress(`still refused: ${codeOf(error)}`);
    }
    await sleep(pause, undefined, { signal: context.signal });
  }
}

/** Looks again and again until the answer is there; undefined means not yet. */
export async function until<T>(
  what: string,
  context: Waiting,
  seconds: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = deadlineOf(context, seconds);
  const started = Date.now();
  for (let pause = 100; ; pause = Math.min(pause * 1.5, longestPause)) {
    const found = await look();
    if (found !== undefined) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`waiting for ${what}: timeout after ${timeoutOf(context, seconds)} s`);
    }
    const waited = Math.round((Date.now() - started) / 1000);
    if (waited >= 2) {
      context.progress(`waiting for ${what} (${waited} s)`);
    }
    await sleep(pause, undefined, { signal: context.signal });
  }
}

/** The user's customTimeouts, or the real provider's default. */
function timeoutOf(context: Waiting, seconds: number): number {
  return context.timeoutSeconds > 0 ? context.timeoutSeconds : seconds;
}

function deadlineOf(context: Waiting, seconds: number): number {
  return Date.now() + timeoutOf(context, seconds) * 1000;
}
