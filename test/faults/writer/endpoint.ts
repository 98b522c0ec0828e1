import { Etcd3, type IOptions } from "etcd3";

/** Keys and certificates of the client, PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** What a put was answered with. */
export interface PutAnswer {
  readonly revision: bigint;
  readonly clusterId: string;
}

/** A key as it is stored. */
export interface Stored {
  readonly key: string;
  readonly value: string;
  readonly created: string;
  readonly modified: string;
  readonly version: string;
}

type FaultHandling = NonNullable<IOptions["faultHandling"]>;
type Policy = NonNullable<FaultHandling["global"]>;

const never = () => ({
  dispose: () => {
    // Nothing was subscribed.
  },
});

/** Every call is made once: a write that the library repeats by itself would be two writes. */
const once = {
  onSuccess: never,
  onFailure: never,
  execute: async <T>(action: (context: { signal: AbortSignal }) => PromiseLike<T> | T) =>
    action({ signal: new AbortController().signal }),
} as unknown as Policy;

/** A client of one member, made with the library's own options against everything it does unasked. */
export function clientOf(address: string, tls: ClientTls): Etcd3 {
  return new Etcd3({
    hosts: `https://${address}:2379`,
    credentials: {
      rootCertificate: Buffer.from(tls.ca),
      certChain: Buffer.from(tls.certificate),
      privateKey: Buffer.from(tls.key),
    },
    faultHandling: { global: once, host: () => once },
    grpcOptions: {
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 500,
    },
  });
}

/**
 * One member as a client meets it. A call that fails throws the client away: what it is connected to may be a machine that died
 * without a word.
 */
export class Endpoint {
  readonly address: string;
  readonly #tls: ClientTls;
  readonly #deadlineMs: number;
  #client: Etcd3 | undefined;

  constructor(address: string, tls: ClientTls, deadlineMs: number) {
    this.address = address;
    this.#tls = tls;
    this.#deadlineMs = deadlineMs;
  }

  /** Ends the connection. */
  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** Writes a key. */
  async put(key: string, value: string): Promise<PutAnswer> {
    const { header } = await this.#call((client, options) =>
      client.kv.put({ key: Buffer.from(key), value: Buffer.from(value) }, options),
    );
    return { revision: BigInt(header.revision), clusterId: hex(header.cluster_id) };
  }

  /**
   * Writes a key that must not be there yet. However often it is asked for, it is done once: what is there already is answered with
   * the revision at which it was written.
   */
  async create(key: string, value: string): Promise<PutAnswer & { readonly found?: string }> {
    const target = Buffer.from(key);
    const { header, responses, succeeded } = await this.#call((client, options) =>
      client.kv.txn(
        {
          compare: [{ result: "Equal", target: "Create", key: target, create_revision: "0" }],
          success: [{ request_put: { key: target, value: Buffer.from(value) } }],
          failure: [{ request_range: { key: target } }],
        },
        options,
      ),
    );
    const clusterId = hex(header.cluster_id);
    if (succeeded) return { revision: BigInt(header.revision), clusterId };
    const there = responses[0]?.response_range.kvs[0];
    if (there === undefined) throw new Error(`${key} was there, and is not`);
    return { revision: BigInt(there.mod_revision), clusterId, found: there.value.toString() };
  }

  /** A key as a quorum confirms it; undefined when there is none. */
  async get(key: string): Promise<{ revision: bigint; value: string | undefined }> {
    const { header, kvs } = await this.#call((client, options) =>
      client.kv.range({ key: Buffer.from(key) }, options),
    );
    return { revision: BigInt(header.revision), value: kvs[0]?.value.toString() };
  }

  /** A read that a quorum confirms: revision and cluster. */
  async linearizable(): Promise<PutAnswer> {
    const { header } = await this.#call((client, options) =>
      client.kv.range({ key: Buffer.from("faults") }, options),
    );
    return { revision: BigInt(header.revision), clusterId: hex(header.cluster_id) };
  }

  /** What this member has applied, without asking anybody else. */
  async own(): Promise<PutAnswer> {
    const { header } = await this.#call((client, options) =>
      client.kv.range({ key: Buffer.from("faults"), serializable: true }, options),
    );
    return { revision: BigInt(header.revision), clusterId: hex(header.cluster_id) };
  }

  /** Everything below a prefix as a quorum confirms it, at one revision. */
  async all(prefix: string): Promise<Stored[]> {
    const end = Buffer.from(prefix);
    end[end.length - 1] = (end.at(-1) ?? 0) + 1;
    const found: Stored[] = [];
    let from = Buffer.from(prefix);
    let revision: string | undefined;
    for (;;) {
      const start = from;
      const at = revision;
      const { header, kvs, more } = await this.#call((client, options) =>
        client.kv.range(
          {
            key: start,
            range_end: end,
            limit: 1000,
            ...(at === undefined ? {} : { revision: at }),
          },
          options,
        ),
      );
      revision ??= header.revision;
      for (const each of kvs) {
        found.push({
          key: each.key.toString(),
          value: each.value.toString(),
          created: each.create_revision,
          modified: each.mod_revision,
          version: each.version,
        });
      }
      const last = kvs.at(-1);
      if (!more || last === undefined) return found;
      from = Buffer.concat([last.key, Buffer.from([0])]);
    }
  }

  /** The member's status. */
  async status() {
    const status = await this.#call((client, options) => client.maintenance.status(options));
    return {
      id: hex(status.header.member_id),
      clusterId: hex(status.header.cluster_id),
      leader: status.leader === "0" ? undefined : hex(status.leader),
      isLearner: status.isLearner,
      term: Number(status.raftTerm),
      index: BigInt(status.raftIndex),
      applied: BigInt(status.raftAppliedIndex),
      errors: status.errors,
    };
  }

  /** The members as a quorum knows them. */
  async members(): Promise<{ name: string; id: string; isLearner: boolean }[]> {
    const { members } = await this.#call((client, options) =>
      client.cluster.memberList({ linearizable: true }, options),
    );
    return members.map(({ ID, name, isLearner }) => ({ name, id: hex(ID), isLearner }));
  }

  /** The members as this one knows them, with the addresses that clients of theirs are told. */
  async ownMembers(): Promise<
    { name: string; id: string; isLearner: boolean; address: string | undefined }[]
  > {
    const { members } = await this.#call((client, options) =>
      client.cluster.memberList({ linearizable: false }, options),
    );
    return members.map(({ ID, name, isLearner, clientURLs }) => ({
      ...{ name, id: hex(ID), isLearner },
      address: clientURLs.map((url) => new URL(url).hostname)[0],
    }));
  }

  /** Kinds of the alarms that are raised. */
  async alarms(): Promise<string[]> {
    const { alarms } = await this.#call((client, options) =>
      client.maintenance.alarm({ action: "Get" }, options),
    );
    return alarms.map(({ alarm }) => alarm);
  }

  /** Raises the CORRUPT alarm in the name of an id, hexadecimal. */
  async raiseCorrupt(id: string): Promise<void> {
    const memberID = BigInt(`0x${id}`).toString();
    await this.#call((client, options) =>
      client.maintenance.alarm({ action: "Activate", memberID, alarm: "Corrupt" }, options),
    );
  }

  async #call<T>(action: (client: Etcd3, options: { deadline: number }) => Promise<T>): Promise<T> {
    this.#client ??= clientOf(this.address, this.#tls);
    const client = this.#client;
    try {
      return await action(client, { deadline: Date.now() + this.#deadlineMs });
    } catch (error) {
      client.close();
      if (this.#client === client) this.#client = undefined;
      throw error;
    }
  }
}

/** An id as etcdctl prints it. */
export function hex(decimal: string): string {
  return BigInt(decimal).toString(16);
}

/** A failure in one short line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, " ").slice(0, 160);
}
