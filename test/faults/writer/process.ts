import { spawn, type ChildProcessByStdio } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { machineNamespace } from "../../../lab/machines/machines.ts";
import type { ClientTls } from "./endpoint.ts";
import type { Order, ReadBack } from "./main.ts";
import { Tail } from "./tail.ts";

const program = fileURLToPath(new URL("main.ts", import.meta.url));

/** An answer of the writer to the order of that number. */
interface Said {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}

/** What a writer is started with. */
export interface WriterOptions {
  /** Machine in whose network it runs: a client's, so that security groups apply to it. */
  readonly machineId: string;
  readonly members: readonly { readonly name: string; readonly address: string }[];
  readonly tls: ClientTls;
  /** Whose requests the load is; those of `tls` unless it is said. */
  readonly as?: ClientTls;
  readonly prefix: string;
  readonly streams: number;
  /** Clients that read and write, with ordinary retries and without; none unless it is said. */
  readonly retrying?: number;
  readonly once?: number;
  /** Whether the members change: who votes is followed, and not whether those of the beginning are well. */
  readonly changing?: boolean;
}

/** A writer that runs, from the outside. */
export class WriterProcess {
  readonly journal: Tail;
  readonly #folder: string;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers = new Map<number, (said: Said) => void>();
  #orders = 0;
  #gone = false;

  private constructor(options: WriterOptions) {
    this.#folder = mkdtempSync(join(tmpdir(), "etcd-faults-"));
    const namespace = `/run/netns/${machineNamespace(options.machineId)}`;
    this.#child = spawn(
      "nsenter",
      [`--net=${namespace}`, process.execPath, "--disable-warning=ExperimentalWarning", program],
      {
        stdio: ["pipe", "pipe", "inherit"],
        // DEP0123: gRPC dials members by address, which TLS may.
        env: { PATH: process.env["PATH"], NODE_OPTIONS: "--disable-warning=DEP0123" },
      },
    );
    this.#child.stdin.on("error", () => {
      // It ended; whoever waits for an answer hears of it.
    });
    this.#child.once("exit", (code, signal) => {
      this.#gone = true;
      const error = `the writer ended (${signal ?? code ?? ""})`;
      for (const [id, answer] of this.#answers) answer({ id, error });
    });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as Said;
      this.#answers.get(said.id)?.(said);
      this.#answers.delete(said.id);
    });
    this.journal = new Tail(join(this.#folder, "journal"));
  }

  /** Starts a writer; it writes from the moment this resolves. */
  static async start(options: WriterOptions): Promise<WriterProcess> {
    const writer = new WriterProcess(options);
    const { members, tls, prefix, streams, retrying, once, changing } = options;
    const journal = join(writer.#folder, "journal");
    const named = members.map(({ name, address }) => ({ name, address }));
    const load = { load: options.as ?? tls, streams, retrying, once, changing };
    await writer.#ask({ order: "start", members: named, tls, prefix, journal, ...load });
    return writer;
  }

  /** Ends the writing and waits for the puts under way. */
  async stop(): Promise<void> {
    await this.#ask({ order: "stop" });
  }

  /** Reads everything back through a quorum. */
  async read(): Promise<ReadBack> {
    const file = join(this.#folder, "content");
    await this.#ask({ order: "read", file });
    return JSON.parse(readFileSync(file, "utf8")) as ReadBack;
  }

  /** The revision that a member has applied, asked of it alone: it needs no quorum for that. */
  async ownRevision(address: string): Promise<bigint> {
    return BigInt((await this.#ask<{ revision: string }>({ order: "own", address })).revision);
  }

  /** Raises etcd's CORRUPT alarm in the name of an id, hexadecimal, which need not be a member's. */
  async raiseCorrupt(address: string, id: string): Promise<void> {
    await this.#ask({ order: "alarm", address, id });
  }

  /** One put through one member; resolves with its revision at the acknowledgement. */
  async put(address: string, key: string, value: string, seconds: number): Promise<bigint> {
    const order: Order = { order: "put", address, key, value, seconds };
    return BigInt((await this.#ask<{ revision: string }>(order)).revision);
  }

  /** Ends the process and removes what it wrote. */
  async end(): Promise<void> {
    if (!this.#gone) {
      const exited = new Promise((resolve) => this.#child.once("exit", resolve));
      this.#child.kill("SIGKILL");
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ask<T>(order: Order): Promise<T> {
    if (this.#gone) throw new Error("the writer has ended");
    const id = (this.#orders += 1);
    const said = await new Promise<Said>((resolve) => {
      this.#answers.set(id, resolve);
      this.#child.stdin.write(`${JSON.stringify({ id, order })}\n`);
    });
    if (said.error !== undefined) {
      throw new Error(`the writer, told to ${order.order}: ${said.error}`);
    }
    return said.answer as T;
  }
}
