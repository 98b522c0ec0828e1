/** Longer than it takes from the choice of an address until the records show it in use. */
const promiseMs = 5000;

/**
 * Addresses that were chosen and that the records do not show yet. Of two requests at the same time both would find the same
 * address free; the second must not be given what the first is about to have.
 */
export class Promised {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes an address of a range, unless it was promised a moment ago. Synchronous: nothing comes in between. */
  take(range: string, address: string): boolean {
    const key = `${range} ${address}`;
    const now = this.#now();
    for (const [each, until] of this.#until) {
      if (until <= now) this.#until.delete(each);
    }
    if (this.#until.has(key)) return false;
    this.#until.set(key, now + promiseMs);
    return true;
  }

  /** The address is nobody's again. */
  release(range: string, address: string): void {
    this.#until.delete(`${range} ${address}`);
  }
}
