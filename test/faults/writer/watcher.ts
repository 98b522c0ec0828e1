import { setTimeout as sleep } from "node:timers/promises";
import type { Etcd3, Watcher as EtcdWatcher } from "etcd3";
import { now } from "./clock.ts";
import { clientOf, Endpoint, reasonOf, type ClientTls } from "./endpoint.ts";
import type { Journal } from "./lines.ts";

/** Without an event for this long a watcher asks another member: what it hangs on may be dead without a word. */
const stallMs = 3000;

/**
 * Watches all that is written, for as long as the writer runs, through whichever member answers. Revisions that it is shown must
 * rise, whatever happens to the cluster; where its place in the history is gone it lists anew, and the list must not be older.
 */
export class Watching {
  readonly #addresses: readonly string[];
  readonly #tls: ClientTls;
  readonly #journal: Journal;
  readonly #prefix: string;
  #last = 0n;
  #lastAt = now();
  #stopped = false;

  constructor(addresses: readonly string[], tls: ClientTls, prefix: string, journal: Journal) {
    this.#addresses = addresses;
    this.#tls = tls;
    this.#prefix = prefix;
    this.#journal = journal;
  }

  /** Ends the watching. */
  stop(): void {
    this.#stopped = true;
  }

  /** Watches until stopped. */
  async run(): Promise<void> {
    for (let turn = 0; !this.#stopped; turn += 1) {
      const address = this.#addresses[turn % this.#addresses.length] ?? "";
      const client = clientOf(address, this.#tls);
      try {
        if ((await this.#through(client)) === "compacted") await this.#listAnew();
      } finally {
        client.close();
      }
      await sleep(100);
    }
  }

  /** Watches through one member until it fails or falls silent. */
  async #through(client: Etcd3): Promise<"failed" | "compacted"> {
    let ended: "failed" | "compacted" | undefined;
    this.#lastAt = now();
    let watcher: EtcdWatcher | undefined;
    try {
      const builder = client.watch().prefix(this.#prefix);
      if (this.#last > 0n) builder.startRevision(String(this.#last + 1n));
      watcher = builder.watcher();
      watcher.on("connected", () => {
        this.#journal.add({
          kind: "watch",
          what: "connected",
          revision: String(this.#last),
          at: now(),
        });
      });
      watcher.on("data", ({ events }) => {
        for (const { kv } of events) this.#seen(BigInt(kv.mod_revision));
      });
      watcher.on("disconnected", () => {
        ended ??= "failed";
      });
      watcher.on("error", (error: Error) => {
        // The library does not pass on why; the server's one reason is that the place in the history is gone.
        ended ??= /^Watcher canceled/.test(reasonOf(error)) ? "compacted" : "failed";
      });
      while (!this.#stopped && ended === undefined && now() - this.#lastAt < stallMs) {
        await sleep(50);
      }
    } finally {
      // The connection is thrown away with the client; whether the cancellation arrives does not matter.
      watcher?.cancel().catch(() => undefined);
    }
    return ended ?? "failed";
  }

  #seen(revision: bigint): void {
    this.#lastAt = now();
    // Events of one transaction share a revision, and the writer's transactions have one.
    if (revision <= this.#last) {
      const what = `the watcher was at revision ${this.#last} and was shown ${revision}`;
      this.#journal.add({ kind: "violation", what, at: now() });
    }
    this.#last = revision;
  }

  /** The history up to here is gone: what the cluster says now must not be older than what was seen. */
  async #listAnew(): Promise<void> {
    for (const address of this.#addresses) {
      const endpoint = new Endpoint(address, this.#tls, 2000);
      try {
        const { revision } = await endpoint.linearizable();
        if (revision < this.#last) {
          const what = `the watcher was at revision ${this.#last}; the cluster is at ${revision}`;
          this.#journal.add({ kind: "violation", what, at: now() });
        }
        this.#journal.add({
          kind: "watch",
          what: "compacted",
          revision: String(revision),
          at: now(),
        });
        this.#last = revision;
        return;
      } catch {
        // The next one may answer; if none does, the watch is tried again and says the same.
      } finally {
        endpoint.close();
      }
    }
  }
}
