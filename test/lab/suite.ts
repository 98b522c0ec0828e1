import { after, test, type TestContext } from "node:test";
import { chosen } from "./chosen.ts";
import type { Kept } from "./kept.ts";

/** One of the things that a suite does with its lab. */
interface Case {
  readonly name: string;
  readonly work: (context: TestContext) => Promise<void>;
}

/** What a suite is made of. */
export interface SuiteOptions<Lab, Result> {
  /** The variable of the environment that names cases. */
  readonly variable: string;
  readonly up: () => Promise<Lab>;
  readonly down: () => Promise<void>;
  /** What the cases measured, for the end of a run. */
  readonly table: (results: readonly Result[]) => string;
  /** Where the figures of cases that held are kept. */
  readonly kept: Kept<Result>;
}

/** Cases that share one lab, which the first of them brings up; the environment may choose some. */
export class Suite<Lab, Result> {
  readonly #options: SuiteOptions<Lab, Result>;
  readonly #cases: Case[] = [];
  readonly #results: Result[] = [];
  #lab: Promise<Lab> | undefined;

  constructor(options: SuiteOptions<Lab, Result>) {
    this.#options = options;
  }

  /** The one lab of this run. */
  lab(): Promise<Lab> {
    this.#lab ??= this.#options.up();
    return this.#lab;
  }

  /** Adds a case. */
  step(name: string, work: Case["work"]): void {
    this.#cases.push({ name, work });
  }

  /** The place of a case among all. */
  orderOf(name: string): number {
    return this.#cases.findIndex((each) => each.name === name);
  }

  /** Takes figures into the table at the end, whether what they are of holds or not. */
  measured(result: Result): void {
    this.#results.push(result);
  }

  /** Keeps figures beyond this run: of what held. */
  keep(result: Result): void {
    this.#options.kept.keep(result);
  }

  /** To be called after all cases: runs those that were chosen, shows the figures, and takes the lab down. */
  run(): void {
    const { variable, table, down } = this.#options;
    after(async () => {
      if (this.#results.length > 0) process.stdout.write(`\n${table(this.#results)}\n\n`);
      if (this.#lab !== undefined) await down();
    });
    const names = chosen(
      this.#cases.map(({ name }) => name),
      process.env[variable] ?? "",
    );
    for (const { name, work } of this.#cases) {
      if (names.includes(name)) test(name, work);
    }
  }
}
