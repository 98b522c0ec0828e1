import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repository } from "./support.ts";

/** The latest figures of each case, beyond one run; not tracked. */
export class Kept<Result> {
  readonly #file: string;
  readonly #nameOf: (result: Result) => string;

  /** @param name of the file in coverage/ */
  constructor(name: string, nameOf: (result: Result) => string) {
    this.#file = join(repository, "coverage", `${name}.json`);
    this.#nameOf = nameOf;
  }

  /** All, by case; none when there are none. */
  read(): Record<string, Result> {
    try {
      return JSON.parse(readFileSync(this.#file, "utf8")) as Record<string, Result>;
    } catch {
      return {};
    }
  }

  /** Keeps those of one case; the others' stay. */
  keep(result: Result): void {
    const all = { ...this.read(), [this.#nameOf(result)]: result };
    mkdirSync(dirname(this.#file), { recursive: true });
    writeFileSync(this.#file, `${JSON.stringify(all, undefined, 2)}\n`);
  }
}
