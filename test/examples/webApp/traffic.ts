import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Sent } from "./requests.ts";

/** Requests to the web app, from inside a machine's network, for as long as something is done to it. */
export class Traffic {
  readonly #child: ChildProcess;
  readonly #sent: Sent[] = [];
  readonly #read: Promise<void>;

  /**
   * @param pid a process of the machine
   * @param addresses of the balancer, asked in turn
   */
  constructor(pid: number, addresses: readonly string[]) {
    this.#child = spawn(
      "nsenter",
      [
        ...["-t", String(pid), "-n", process.execPath, "--disable-warning=ExperimentalWarning"],
        ...[join(import.meta.dirname, "requests.ts"), ...addresses],
      ],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: this.#child.stdout ?? process.stdin });
    lines.on("line", (line) => this.#sent.push(JSON.parse(line) as Sent));
    this.#read = once(lines, "close").then(() => undefined);
  }

  /** What was sent and answered until now. */
  get sent(): readonly Sent[] {
    return this.#sent;
  }

  /** Sends no more, waits for what is under way, and tells everything. */
  async end(): Promise<readonly Sent[]> {
    this.#child.stdin?.end();
    await this.#read;
    return this.#sent;
  }
}

/** Whether somebody got what was asked for. */
export function succeeded({ status }: Sent): boolean {
  return status === 200 || status === 201;
}

/** What went wrong, in few words: by kind, how many, when the first and the last began and ended after `since`, and examples. */
export function faults(sent: readonly Sent[], since: number): string {
  const failed = sent.filter((each) => !succeeded(each));
  const seconds = (time: number): string => `${((time - since) / 1000).toFixed(1)} s`;
  const kinds = [...new Set(failed.map(({ kind }) => kind))];
  const lines = kinds.map((kind) => {
    const of = failed.filter((each) => each.kind === kind);
    const first = Math.min(...of.map(({ began }) => began));
    const last = Math.max(...of.map(({ began }) => began));
    const why = [...new Set(of.map(({ status, error }) => error ?? `status ${status ?? 0}`))];
    return `${of.length} ${kind}s failed, begun ${seconds(first)} to ${seconds(last)} after: ${why.join(", ")}`;
  });
  return `${sent.length} requests; ${lines.join("; ") || "none failed"}`;
}
