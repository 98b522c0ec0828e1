import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { z } from "zod";

const program = readFileSync(join(import.meta.dirname, "writer.py"), "utf8");

/** What a writer says of a row; `at` is in seconds. */
const line = z.object({
  at: z.number(),
  written: z.number().optional(),
  failed: z.number().optional(),
  why: z.string().optional(),
});

/** The way to the database; the password goes through standard input. */
export interface Way {
  readonly connectionString: string;
  readonly password: string;
  /** The authority's certificate, on the machine on which the writer runs. */
  readonly caFile: string;
  /** Its rows have numbers above this one. */
  readonly first: number;
}

/** A client that commits row after row on a machine of the lab, and remembers which of them were acknowledged, and when. */
export class Writer {
  /** Rows that the primary acknowledged, in order. */
  readonly written: { readonly number: number; readonly at: number }[] = [];
  /** What went wrong, in order. */
  readonly failures: string[] = [];
  readonly #process;

  /** `leaderPid`: process 1 of the machine. */
  constructor(leaderPid: number, way: Way) {
    const namespaces = ["-t", String(leaderPid), "-m", "-u", "-i", "-n", "-p", "-r"];
    this.#process = execa("nsenter", [...namespaces, "--", "python3", "-c", program], {
      stdin: "pipe",
      reject: false,
    });
    this.#process.stdin.write(`${JSON.stringify(way)}\n`);
  }

  /** Reads what it says until it ends; to be awaited after `stop`. */
  async listen(): Promise<void> {
    for await (const text of this.#process) {
      const { at, written, failed, why } = line.parse(JSON.parse(text));
      if (written !== undefined) this.written.push({ number: written, at });
      if (failed !== undefined) this.failures.push(`${failed}: ${why ?? ""}`);
    }
  }

  /** Lets the row under way end, and then the writer. */
  async stop(): Promise<void> {
    this.#process.stdin.end();
    const { exitCode, stderr } = await this.#process;
    if (exitCode !== 0)
      throw new Error(`the writer ended with ${exitCode ?? "a signal"}: ${stderr}`);
  }

  /** The longest time without an acknowledged row after a moment (in seconds, of the same clock), seconds. */
  longestGap(since: number): number {
    const times = this.written.map(({ at }) => at).filter((at) => at >= since);
    return Math.max(...times.map((at, index) => at - (times[index - 1] ?? since)));
  }
}
