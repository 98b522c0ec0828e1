import { setTimeout as sleep } from "node:timers/promises";

/** What a look comes to: what was waited for, or what is still in its way, in words. */
export type Look<T> = { readonly done: T } | { readonly still: string };

/**
 * Looks again and again until what is waited for is there; what is in its way is said on stderr whenever it changes, with the time.
 *
 * @param seconds for all of it; one look at least is made, and one that has begun ends
 * @param inVain makes the error's words of what still stood in the way and of the seconds that went by
 */
export async function untilDone<T>(
  look: () => Promise<Look<T>>,
  seconds: number,
  inVain: (still: string, elapsed: string) => string,
): Promise<{ done: T; elapsed: string }> {
  const started = performance.now();
  let said = "";
  for (;;) {
    const now = await look();
    const past = (performance.now() - started) / 1000;
    const elapsed = `${past.toFixed(0)} s`;
    if ("done" in now) return { done: now.done, elapsed };
    if (past > seconds) throw new Error(inVain(now.still, elapsed));
    if (now.still !== said) process.stderr.write(`${now.still} (${elapsed})\n`);
    said = now.still;
    await sleep(1000);
  }
}
