import { randomUUID } from "node:crypto";
import {
  castGrpcError,
  EtcdLeaseInvalidError,
  GRPCUnavailableError,
  Range,
  type Etcd3,
  type ICompare,
  type IKeyValue,
  type IRequestOp,
  type ITxnResponse,
} from "etcd3";
import { Connections, isRecoverable, type ConnectionOptions } from "./connections.ts";

/** What a client needs. */
export interface ClientOptions extends ConnectionOptions {
  /** Beginning of the keys under which writes are noted for two minutes: this application's own, for instance `/shop/receipts/`. */
  readonly receipts: string;
}

/** A key as it was seen. */
export interface Seen {
  readonly key: string;
  /** Undefined when there was no such key. */
  readonly value: string | undefined;
  /** Revision of its last change, by which it is known whether there was another one; "0" without the key. */
  readonly revision: string;
}

/** What became of a guarded write, and what is there now. */
export interface Outcome {
  readonly done: boolean;
  readonly now: Seen;
}

/** A write of which nobody knows whether it was done, or will still be. Read before you decide; repeating it may do it twice. */
export class OutcomeUnknown extends Error {
  constructor(what: string, cause: unknown) {
    super(`${what}: no answer says whether it was done, or will still be`, { cause });
    this.name = "OutcomeUnknown";
  }
}

/** Keys below a prefix, as they were at a revision. */
interface State {
  readonly entries: Map<string, string>;
  revision: bigint;
}

type OnState = (entries: ReadonlyMap<string, string>) => void;

/** Seconds that a receipt is kept: many times as long as a call. */
const receiptSeconds = 120;

/** Reads, writes and follows keys. */
export class EtcdClient {
  readonly connections: Connections;
  readonly #receipts: string;
  #receiptLease: { readonly id: Promise<string>; readonly since: number } | undefined;

  private constructor(connections: Connections, receipts: string) {
    this.connections = connections;
    this.#receipts = receipts;
  }

  /** Makes a client. It connects when something is asked. */
  static async create(options: ClientOptions): Promise<EtcdClient> {
    return new EtcdClient(await Connections.create(options), options.receipts);
  }

  /** Ends all connections. What follows keys or leads has to be ended before. */
  close(): void {
    this.connections.close();
  }

  /** Reads a key, confirmed by a quorum. */
  async get(key: string): Promise<Seen> {
    const { kvs } = await this.connections.repeat(async (client) =>
      client.kv.range({ key: bytes(key) }),
    );
    return seenAs(key, kvs[0]);
  }

  /** Reads all keys that begin with a prefix, as they were at one revision. gRPC's limit is 4 MiB. */
  async list(prefix: string): Promise<ReadonlyMap<string, string>> {
    const { entries } = await this.connections.repeat(async (client) => stateOf(client, prefix));
    return entries;
  }

  /** Writes a key, whatever is there. Sent once: without an answer it is an `OutcomeUnknown`. Prefer `replace` and `update`. */
  async put(key: string, value: string): Promise<void> {
    try {
      await this.connections.once(async (client) =>
        client.kv.put({ key: bytes(key), value: bytes(value) }),
      );
    } catch (error) {
      throw isRecoverable(error) ? new OutcomeUnknown(`put ${key}`, error) : error;
    }
  }

  /**
   * Writes a key if it is still as it was seen, and if all of `guards` hold; `undefined` deletes it. It is sent until there is an
   * answer, and yet done once at most:
   *
   * - a receipt is written with it, by which an attempt sees that an earlier one was done;
   * - an attempt that arrives late finds the receipt, or the receipt's lease is gone; then etcd refuses the transaction as a whole.
   */
  async replace(
    seen: Seen,
    value: string | undefined,
    guards: readonly ICompare[] = [],
  ): Promise<Outcome> {
    const key = bytes(seen.key);
    const change: IRequestOp =
      value === undefined
        ? { request_delete_range: { key } }
        : { request_put: { key, value: bytes(value) } };
    const lease = await this.#leaseOfReceipts();
    const receipt = bytes(`${this.#receipts}${randomUUID()}`);
    let attempts = 0;
    try {
      const answer = await this.connections.repeat(async (client) => {
        attempts += 1;
        return client.kv.txn({
          compare: [lastChanged(key, seen.revision), lastChanged(receipt, "0"), ...guards],
          success: [change, { request_put: { key: receipt, value: Buffer.alloc(0), lease } }],
          failure: [{ request_range: { key: receipt } }, { request_range: { key } }],
        });
      });
      const [noted, there] = answer.succeeded ? [] : found(answer);
      if (!answer.succeeded && noted === undefined) {
        return { done: false, now: seenAs(seen.key, there) };
      }
      const written = noted?.mod_revision ?? answer.header.revision;
      const revision = value === undefined ? "0" : written;
      return { done: true, now: { key: seen.key, value, revision } };
    } catch (error) {
      // Somebody has revoked it, or a restore knows nothing of it: the next write takes another.
      if (error instanceof EtcdLeaseInvalidError) this.#receiptLease = undefined;
      const isUnknown = attempts > 1 || isRecoverable(error);
      throw isUnknown ? new OutcomeUnknown(`replace ${seen.key}`, error) : error;
    }
  }

  /** Makes another value of a key's value, again whenever somebody else was quicker: `change` must do nothing else. */
  async update(key: string, change: (value: string | undefined) => string): Promise<Seen> {
    let seen = await this.get(key);
    for (;;) {
      const { done, now } = await this.replace(seen, change(seen.value));
      if (done) return now;
      seen = now;
    }
  }

  /**
   * Calls `onState` with all keys that begin with a prefix, now and after every change, until `signal` is aborted. After an interruption
   * it goes on where it was, at another member; where etcd has dropped that part of the history, it lists anew.
   */
  async follow(prefix: string, onState: OnState, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const state = await this.connections.repeat(
        async (client) => stateOf(client, prefix),
        signal,
      );
      if (state === undefined) return;
      onState(state.entries);
      await this.connections.repeat(async (client) => {
        await this.#watch(client, prefix, state, onState, signal);
      }, signal);
    }
  }

  /**
   * Watches at one member. The state is changed in place, so that the next watch begins after what this one has shown. Returns when
   * etcd has dropped what comes next, or at the signal; throws when it was interrupted.
   */
  async #watch(
    client: Etcd3,
    prefix: string,
    state: State,
    onState: OnState,
    signal: AbortSignal,
  ): Promise<void> {
    const { timing } = this.connections;
    const { start, end } = Range.prefix(prefix);
    const start_revision = String(state.revision + 1n);
    const stream = await client.watchClient.watch();
    const unheard = new AbortController();
    // A stream has no deadline, and the system accepts connections for a member that hangs.
    const waiting = setTimeout(() => {
      unheard.abort();
    }, timing.attempt);
    const stopped = AbortSignal.any([signal, unheard.signal]);
    try {
      await new Promise<void>((resolve, reject) => {
        const interrupted = (error?: Error): void => {
          if (signal.aborted) resolve();
          else reject(error ? castGrpcError(error) : new GRPCUnavailableError("no watch"));
        };
        stopped.addEventListener("abort", () => {
          interrupted();
        });
        stream.on("end", interrupted).on("error", interrupted);
        stream.on("data", ({ canceled, compact_revision, cancel_reason, events }) => {
          clearTimeout(waiting);
          if (stopped.aborted) return;
          if (canceled && compact_revision !== "0") resolve();
          else if (canceled) reject(new Error(`the watch of ${prefix}: ${cancel_reason}`));
          for (const { type, kv } of events) {
            if (type === "Put") state.entries.set(kv.key.toString(), kv.value.toString());
            else state.entries.delete(kv.key.toString());
            // Not the answer's own revision: that may be ahead of what has been shown.
            state.revision = BigInt(kv.mod_revision);
          }
          if (events.length > 0) onState(state.entries);
        });
        stream.write({ create_request: { key: start, range_end: end, start_revision } });
      });
    } finally {
      clearTimeout(waiting);
      stream.cancel();
    }
  }

  /** A lease that lives for another minute at least, far longer than a call. */
  async #leaseOfReceipts(): Promise<string> {
    const held = this.#receiptLease;
    if (held !== undefined && performance.now() - held.since < receiptSeconds * 500) return held.id;
    const since = performance.now();
    // Granted twice does no harm: a lease whose answer was lost runs out by itself.
    const id = this.connections
      .repeat(async (client) => client.leaseClient.leaseGrant({ TTL: receiptSeconds }))
      .then(({ ID }) => ID);
    this.#receiptLease = { id, since };
    id.catch(() => {
      this.#receiptLease = undefined;
    });
    return id;
  }
}

/** UTF-8. */
export const bytes = (text: string): Buffer => Buffer.from(text);

/** A condition: the last change of a key was at this revision; "0" if there is no such key. */
export function lastChanged(key: Buffer, revision: string): ICompare {
  return { result: "Equal", target: "Mod", key, mod_revision: revision };
}

/** What a transaction's reads of single keys found. */
export function found({ responses }: ITxnResponse): (IKeyValue | undefined)[] {
  return responses.map(({ response_range }) => response_range.kvs[0]);
}

function seenAs(key: string, kv: IKeyValue | undefined): Seen {
  return { key, value: kv?.value.toString(), revision: kv?.mod_revision ?? "0" };
}

async function stateOf(client: Etcd3, prefix: string): Promise<State> {
  const { start, end } = Range.prefix(prefix);
  const { kvs, header } = await client.kv.range({ key: start, range_end: end });
  const entries = new Map(kvs.map(({ key, value }) => [key.toString(), value.toString()]));
  return { entries, revision: BigInt(header.revision) };
}
