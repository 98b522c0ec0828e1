import { duration, stage, type Log } from "../toolchain/progress.ts";

/** Runs named stages, says when each begins and ends, and can tell at the end where the time went. */
export class Stages {
  readonly #log: Log;
  readonly #started = performance.now();
  readonly #signal: AbortSignal | undefined;
  readonly #done: { name: string; milliseconds: number }[] = [];

  /** Once the signal has come, no further stage begins: `run` throws its reason. */
  constructor(log: Log, signal?: AbortSignal) {
    this.#log = log;
    this.#signal = signal;
  }

  /** One stage; its name appears when it begins and, with its time, when it ends. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#signal?.throwIfAborted();
    const started = performance.now();
    this.#log(`== ${name} (at ${duration(started - this.#started)})`);
    const result = await stage(this.#log, name, work);
    this.#signal?.throwIfAborted();
    this.#done.push({ name, milliseconds: performance.now() - started });
    return result;
  }

  /** A table of the stages and their times, and the total. */
  table(): string {
    const width = Math.max(...this.#done.map(({ name }) => name.length), 5);
    const rows = this.#done.map(
      ({ name, milliseconds }) => `  ${name.padEnd(width)}  ${duration(milliseconds).padStart(12)}`,
    );
    const total = `  ${"total".padEnd(width)}  ${duration(performance.now() - this.#started).padStart(12)}`;
    return [...rows, total].join("\n");
  }
}
