import { setTimeout as sleep } from "node:timers/promises";

/** The time that is left for something. It is handed down, so that ten waits below one request do not add up. */
export class Deadline {
  readonly #end: number;

  constructor(milliseconds: number) {
    this.#end = performance.now() + milliseconds;
  }

  /** Milliseconds that are left, never below zero. */
  get left(): number {
    return Math.max(0, this.#end - performance.now());
  }

  /** As much as is left, and no more than that. */
  atMost(milliseconds: number): number {
    return Math.min(milliseconds, this.left);
  }

  /** Whether there was time for a pause. */
  async pause(milliseconds: number): Promise<boolean> {
    if (this.left <= milliseconds) return false;
    await sleep(milliseconds);
    return true;
  }
}
