import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What the engine says that it is about to do, or has done. */
export interface EngineStep {
  /** Before the step, or after it. */
  readonly when: "begins" | "ends";
  readonly op: string;
  readonly type: string;
  readonly name: string;
}

interface EngineEvent {
  readonly resourcePreEvent?: { readonly metadata: StepMetadata };
  readonly resOutputsEvent?: { readonly metadata: StepMetadata };
}

interface StepMetadata {
  readonly op: string;
  readonly type: string;
  readonly urn: string;
}

/** How an `up` ended. */
export interface UpEnding {
  readonly code: number | null;
  readonly output: string;
  readonly seconds: number;
  /** All that the engine began and ended. */
  readonly steps: readonly EngineStep[];
}

/** A `pulumi up` that runs. */
export class PulumiUp {
  readonly #folder = mkdtempSync(join(tmpdir(), "etcd-roll-"));
  readonly #child: ChildProcess;
  readonly #ended: Promise<Omit<UpEnding, "steps">>;
  #output = "";
  #running = true;

  constructor(program: string, environment: Record<string, string>) {
    const started = performance.now();
    const log = join(this.#folder, "events.json");
    this.#child = spawn(
      "pulumi",
      ["up", "--yes", "--skip-preview", "--color", "never", "--event-log", log],
      {
        cwd: program,
        env: { ...process.env, ...environment, PULUMI_DEBUG_COMMANDS: "true" },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
    this.#ended = new Promise((resolve) => {
      this.#child.once("exit", (code) => {
        this.#running = false;
        const seconds = (performance.now() - started) / 1000;
        resolve({ code, output: this.#output, seconds });
      });
    });
  }

  /** Everything that it has said so far. */
  get output(): string {
    return this.#output;
  }

  /** All steps that the engine has told of, the oldest first. */
  steps(): EngineStep[] {
    let text: string;
    try {
      text = readFileSync(join(this.#folder, "events.json"), "utf8");
    } catch {
      return [];
    }
    const lines = text.split("\n");
    // Either empty, or half written.
    lines.pop();
    return lines.flatMap((line) => {
      const { resourcePreEvent, resOutputsEvent } = JSON.parse(line) as EngineEvent;
      const metadata = resourcePreEvent?.metadata ?? resOutputsEvent?.metadata;
      if (metadata === undefined) return [];
      const when = resourcePreEvent === undefined ? "ends" : "begins";
      const { op, type, urn } = metadata;
      return [{ when, op, type, name: urn.split("::").at(-1) ?? "" }];
    });
  }

  /**
   * Waits for a condition while it runs.
   *
   * @throws when it ends before, or the deadline passes; the message has what it said
   */
  async until(
    what: string,
    deadlineSeconds: number,
    condition: (steps: readonly EngineStep[]) => boolean | Promise<boolean>,
  ): Promise<void> {
    const end = performance.now() + deadlineSeconds * 1000;
    while (!(await condition(this.steps()))) {
      if (!this.#running) throw new Error(`pulumi up ended before ${what}:\n${this.#output}`);
      if (performance.now() > end) {
        throw new Error(`no ${what} within ${deadlineSeconds} s:\n${this.#output}`);
      }
      await sleep(20);
    }
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.end();
  }

  /** Waits for its end. */
  async end(): Promise<UpEnding> {
    const ending = { ...(await this.#ended), steps: this.steps() };
    rmSync(this.#folder, { recursive: true, force: true });
    return ending;
  }
}
