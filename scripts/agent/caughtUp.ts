import { ports } from "../../components/plan/ports";
import type { MemberConfig } from "../../components/plan/memberConfig";
import {
  agentTls,
  throughEndpoint,
  type ClientTls,
  type EtcdEndpoint,
  type MemberStatus,
} from "./etcd";
import { ownerOf } from "./listed";
import type { ClusterRecord } from "./record";
import { reasonOf } from "./say";
import { announcedInWords } from "./state";

/** Milliseconds for one call. */
const callMs = 3000;

/**
 * Whether a member that came back is one that the next member's turn may count on: it has a vote, a quorum confirms its reads, it says
 * itself that it is ready, and it has applied all that the leader had committed when this was first asked.
 */
export class CaughtUp {
  readonly #config: MemberConfig;
  #goal: bigint | undefined;

  constructor(config: MemberConfig) {
    this.#config = config;
  }

  /** One look; throws the reason why not yet. */
  async look(roster: ClusterRecord["roster"]): Promise<MemberStatus> {
    const { member, address } = this.#config;
    try {
      const tls = await agentTls();
      const see = (endpoint: EtcdEndpoint): Promise<MemberStatus> =>
        this.#see(endpoint, roster, tls);
      return await throughEndpoint(address, callMs, see, tls);
    } catch (error) {
      throw new Error(
        `${member}: no quorum yet: ${reasonOf(error)}; the agent: ${await announcedInWords()}`,
        { cause: error },
      );
    }
  }

  async #see(
    endpoint: EtcdEndpoint,
    roster: ClusterRecord["roster"],
    tls: ClientTls,
  ): Promise<MemberStatus> {
    await endpoint.linearizableRead();
    const status = await endpoint.status();
    if (status.isLearner) {
      throw new Error("it is a learner until it has caught up");
    }
    this.#goal ??= await committedByLeader(status, endpoint, roster, tls);
    if (status.raftAppliedIndex < this.#goal) {
      throw new Error(`it is at index ${status.raftAppliedIndex} on its way to ${this.#goal}`);
    }
    await ready(this.#config.address);
    return status;
  }
}

async function committedByLeader(
  own: MemberStatus,
  endpoint: EtcdEndpoint,
  roster: ClusterRecord["roster"],
  tls: ClientTls,
): Promise<bigint> {
  if (own.leader === undefined) {
    throw new Error("there is no leader");
  }
  if (own.leader === own.id) {
    return own.raftIndex;
  }
  const listed = (await endpoint.members()).find(({ id }) => id === own.leader);
  const address = listed === undefined ? undefined : ownerOf(listed, roster)?.address;
  if (address === undefined) {
    throw new Error(`the leader ${own.leader} is not in the roster`);
  }
  const status = await throughEndpoint(address, callMs, (leader) => leader.status(), tls);
  return status.raftIndex;
}

async function ready(address: string): Promise<void> {
  const { status } = await fetch(`http://${address}:${ports.metrics}/readyz`, {
    signal: AbortSignal.timeout(callMs),
  });
  if (status !== 200) {
    throw new Error(`etcd's readyz says ${status}`);
  }
}
