import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { Etcd3, type ICallable, type IHashKVResponse, type IOptions } from "etcd3";

import { ports } from "../../components/plan/ports";
import type { AuthCalls } from "./accessAct";
import { paths } from "./paths";

/**
 * The only file that knows the etcd client. The library has no deadline unless told, repeats every failed call three times (writes
 * as well) and shuts a host out for five seconds after three failures; here every call has a deadline and is made once.
 */

type FaultHandling = NonNullable<IOptions["faultHandling"]>;
type Policy = NonNullable<FaultHandling["global"]>;

const never = () => ({
  dispose: () => {
    // Nothing was subscribed.
  },
});

/** A policy that does nothing: one attempt, no memory. */
const once = {
  onSuccess: never,
  onFailure: never,
  execute: async <T>(action: (context: { signal: AbortSignal }) => PromiseLike<T> | T) =>
    action({ signal: new AbortController().signal }),
} as unknown as Policy;

/** Keys and certificates for a client, PEM. */
export interface ClientTls {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** The agent's own client certificate, read anew each time because it may have been exchanged. */
export async function agentTls(): Promise<ClientTls> {
  const { clientCa, agentCertificate, agentKey } = paths.pkiFiles;
  // Through the link once, so that all three are of one set.
  const folder = await realpath(dirname(clientCa));
  const read = (file: string): Promise<Buffer> => readFile(join(folder, basename(file)));
  const [ca, certificate, key] = await Promise.all([
    read(clientCa),
    read(agentCertificate),
    read(agentKey),
  ]);
  return { ca, certificate, key };
}

/**
 * Asks one member through an endpoint of its own, which is closed again whatever becomes of it.
 *
 * @param deadlineMs milliseconds for each call
 * @param tls whom the caller is; the agent when absent
 */
export async function throughEndpoint<T>(
  address: string,
  deadlineMs: number,
  ask: (endpoint: EtcdEndpoint) => Promise<T>,
  tls?: ClientTls,
): Promise<T> {
  const endpoint = new EtcdEndpoint(address, tls ?? (await agentTls()), deadlineMs);
  try {
    return await ask(endpoint);
  } finally {
    endpoint.close();
  }
}

/** What a member says about itself. Ids are hexadecimal, as etcdctl prints them. */
export interface MemberStatus {
  readonly id: string;
  readonly clusterId: string;
  readonly version: string;
  /** Id of the leader as this member sees it, or undefined without one. */
  readonly leader: string | undefined;
  readonly isLearner: boolean;
  readonly raftTerm: bigint;
  readonly raftIndex: bigint;
  readonly raftAppliedIndex: bigint;
  readonly revision: bigint;
  readonly dbSizeBytes: number;
  /** What of it a defragmentation would keep. */
  readonly dbInUseBytes: number;
  readonly errors: readonly string[];
}

/** An entry of etcd's member list. The name is empty until the member has started. */
export interface ListedMember {
  readonly id: string;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
}

/** Members of one cluster. */
export interface MemberList {
  readonly clusterId: string;
  readonly members: readonly ListedMember[];
}

/** A raised alarm. */
export interface Alarm {
  readonly memberId: string;
  /** As etcd's API names it: `Nospace`, `Corrupt`. */
  readonly kind: string;
}

/** Hash of all keys up to a revision; comparable only between members that compacted at the same revision. */
export interface KeyHash {
  readonly hash: string;
  readonly compactRevision: string;
}

/** As the beginning and the end of a range: all keys. */
const everything = Buffer.of(0);

const hex = (decimal: string): string => BigInt(decimal).toString(16);
const decimal = (id: string): string => BigInt(`0x${id}`).toString();

/** One member's client endpoint. */
export class EtcdEndpoint {
  readonly #client: Etcd3;
  readonly #deadlineMs: number;

  constructor(address: string, tls: ClientTls, deadlineMs: number, port: number = ports.client) {
    this.#deadlineMs = deadlineMs;
    this.#client = new Etcd3({
      hosts: `https://${address}:${port}`,
      credentials: { rootCertificate: tls.ca, privateKey: tls.key, certChain: tls.certificate },
      faultHandling: { global: once, host: () => once },
      grpcOptions: {
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 1000,
      },
    });
  }

  #bounded(milliseconds = this.#deadlineMs) {
    return { deadline: Date.now() + milliseconds };
  }

  /** The member's status; answered by this member alone, with or without a quorum. */
  async status(): Promise<MemberStatus> {
    const status = await this.#client.maintenance.status(this.#bounded());
    return {
      id: hex(status.header.member_id),
      clusterId: hex(status.header.cluster_id),
      version: status.version,
      leader: status.leader === "0" ? undefined : hex(status.leader),
      isLearner: status.isLearner,
      raftTerm: BigInt(status.raftTerm),
      raftIndex: BigInt(status.raftIndex),
      raftAppliedIndex: BigInt(status.raftAppliedIndex),
      revision: BigInt(status.header.revision),
      dbSizeBytes: Number(status.dbSize),
      dbInUseBytes: Number(status.dbSizeInUse),
      errors: status.errors,
    };
  }

  /** The member list, confirmed by a quorum. */
  async members(): Promise<readonly ListedMember[]> {
    return (await this.memberList()).members;
  }

  /** The member list, confirmed by a quorum, and whose it is. Answered whatever alarms are raised. */
  async memberList(): Promise<MemberList> {
    const list = await this.#client.cluster.memberList({ linearizable: true }, this.#bounded());
    return {
      clusterId: hex(list.header.cluster_id),
      members: list.members.map(({ ID, name, peerURLs, isLearner }) => ({
        id: hex(ID),
        name,
        peerUrls: peerURLs,
        isLearner,
      })),
    };
  }

  /** Raised alarms. */
  async alarms(): Promise<Alarm[]> {
    const answer = await this.#client.maintenance.alarm({ action: "Get" }, this.#bounded());
    return answer.alarms.map(({ memberID, alarm }) => ({ memberId: hex(memberID), kind: alarm }));
  }

  /** Takes an alarm back. */
  async disarm({ memberId, kind }: Alarm): Promise<void> {
    await this.#client.maintenance.alarm(
      { action: "Deactivate", memberID: decimal(memberId), alarm: kind as "Corrupt" },
      this.#bounded(),
    );
  }

  /** Hash of the keys up to a revision, on this member. */
  async hashKv(revision: bigint): Promise<KeyHash> {
    // The library's own hashKV() asks for a method that does not exist under that name; the layer below it can.
    const below = this.#client.maintenance["client"] as ICallable<unknown>;
    const answer = await below.exec<IHashKVResponse>(
      "Maintenance",
      "hashKv",
      { revision: revision.toString() },
      this.#bounded(),
    );
    // A number of 32 bits, whatever the library's types say.
    return { hash: BigInt(answer.hash).toString(), compactRevision: answer.compact_revision };
  }

  /** A read that needs a quorum; returns the revision. */
  async linearizableRead(key = "etcd-cluster/probe"): Promise<bigint> {
    const answer = await this.#client.kv.range({ key: Buffer.from(key) }, this.#bounded());
    return BigInt(answer.header.revision);
  }

  /** Number of keys that there were at a revision, as this member knows it. */
  async keyCount(revision: bigint): Promise<number> {
    const answer = await this.#client.kv.range(
      {
        key: everything,
        range_end: everything,
        count_only: true,
        serializable: true,
        revision: revision.toString(),
      },
      this.#bounded(),
    );
    return Number(answer.count);
  }

  /** A value as this member knows it. */
  async read(key: string): Promise<string | undefined> {
    const { kvs } = await this.#client.kv.range(
      { key: Buffer.from(key), serializable: true },
      this.#bounded(),
    );
    return kvs[0]?.value.toString();
  }

  /** Writes a value. */
  async write(key: string, value: string): Promise<void> {
    await this.#client.kv.put(
      { key: Buffer.from(key), value: Buffer.from(value) },
      this.#bounded(),
    );
  }

  /** Drops what was overwritten or deleted before a revision, on all members; returns when this one is done. */
  async compact(revision: bigint, milliseconds: number): Promise<void> {
    await this.#client.kv.compact(
      { revision: revision.toString(), physical: true },
      this.#bounded(milliseconds),
    );
  }

  /** Gives free space in the database back, on this member, which serves nobody meanwhile. */
  async defragment(milliseconds: number): Promise<void> {
    await this.#client.maintenance.defragment(this.#bounded(milliseconds));
  }

  /** Writes a value, reads it back through a quorum and removes it. Throws when what is read is not what was written. */
  async writeProbe(key: string, value: string): Promise<void> {
    const name = Buffer.from(key);
    await this.#client.kv.put({ key: name, value: Buffer.from(value) }, this.#bounded());
    const { kvs } = await this.#client.kv.range({ key: name }, this.#bounded());
    if (kvs[0]?.value.toString() !== value) {
      throw new Error("a value that was acknowledged is not there");
    }
    await this.#client.kv.deleteRange({ key: name }, this.#bounded());
  }

  /** Hands leadership to another member; only the leader can. */
  async moveLeader(to: string): Promise<void> {
    await this.#client.maintenance.moveLeader({ targetID: decimal(to) }, this.#bounded(10_000));
  }

  /** Adds a member as learner. */
  async addLearner(peerUrl: string): Promise<string> {
    const answer = await this.#client.cluster.memberAdd(
      { peerURLs: [peerUrl], isLearner: true },
      this.#bounded(),
    );
    return hex(answer.member.ID);
  }

  /** Makes a learner a voter; etcd refuses while it is behind. */
  async promote(id: string): Promise<void> {
    await this.#client.cluster.memberPromote({ ID: decimal(id) }, this.#bounded());
  }

  /** Removes a member. */
  async remove(id: string): Promise<void> {
    await this.#client.cluster.memberRemove({ ID: decimal(id) }, this.#bounded());
  }

  /** Calls about users and roles. */
  get access(): AuthCalls {
    return { auth: this.#client.auth, bounded: () => this.#bounded() };
  }

  /** Lets go of the connection. */
  close(): void {
    this.#client.close();
  }
}
