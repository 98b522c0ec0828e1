import { randomUUID } from "node:crypto";

import { accessStatus } from "./accessAct";
import { EtcdEndpoint, type ClientTls, type KeyHash, type MemberStatus } from "./etcd";
import { judge, type Observation, type RosterMember } from "./judge";
import { reasonOf } from "./say";

/** Proof from outside that a member is healthy: what a client at its address would meet, and whether the members agree. */

/** What verify is about. */
export interface VerifyTarget {
  readonly member: string;
  readonly roster: readonly RosterMember[];
  readonly tls: ClientTls;
  readonly clientPort?: number;
  /** Whether access control must be on; not looked at if it is not said. */
  readonly access?: boolean;
}

/** What a verified member prints; `components/plan/health.ts` reads it. */
export interface Verified {
  readonly name: string;
  readonly id: string;
  readonly clusterId: string;
  readonly role: "leader" | "follower";
  readonly version: string;
  readonly revision: number;
  readonly dbSizeBytes: number;
  readonly checkedAt: string;
}

/** Milliseconds for one call; long enough for an election in between. */
const callMs = 4000;

/** One round of all checks. Throws with `member: reason` of whatever is wrong first. */
export async function verifyOnce(target: VerifyTarget): Promise<Verified> {
  const endpoints = new Map(
    target.roster.map(({ name, address }) => [
      name,
      new EtcdEndpoint(address, target.tls, callMs, target.clientPort),
    ]),
  );
  try {
    return await verifyThrough(target, endpoints);
  } finally {
    for (const endpoint of endpoints.values()) {
      endpoint.close();
    }
  }
}

async function verifyThrough(
  { member, roster, access }: VerifyTarget,
  endpoints: ReadonlyMap<string, EtcdEndpoint>,
): Promise<Verified> {
  const own = endpoints.get(member);
  if (own === undefined) {
    throw new Error(`${member}: is not in the roster of the cluster record`);
  }
  const statuses = await everyone(endpoints, (endpoint) => endpoint.status());
  const ownStatus = statuses.get(member);
  if (ownStatus === undefined || "failure" in ownStatus) {
    throw new Error(`${member}: etcd does not answer: ${ownStatus?.failure ?? "not asked"}`);
  }
  const members = await step(member, "the member list cannot be read", () => own.members());
  const alarms = await step(member, "alarms cannot be read", () => own.alarms());
  await step(member, "a linearizable read fails", () => own.linearizableRead());
  await step(member, "a write fails", () =>
    own.writeProbe(`etcd-cluster/probe/${member}`, randomUUID()),
  );
  const { enabled } = await step(member, "access control cannot be asked for", () =>
    accessStatus(own.access),
  );
  if (access !== undefined && access !== enabled) {
    throw new Error(
      `${member}: access control is ${enabled ? "on" : "off"}; the leader's upkeep turns it ${access ? "on" : "off"} within a minute`,
    );
  }
  const hashes = await hashesOf(endpoints, statuses);
  const observation: Observation = { member, roster, members, alarms, statuses, hashes };
  const [problem] = judge(observation);
  if (problem !== undefined) {
    throw new Error(problem);
  }
  return report(member, await step(member, "etcd does not answer", () => own.status()));
}

function report(name: string, status: MemberStatus): Verified {
  return {
    name,
    id: status.id,
    clusterId: status.clusterId,
    role: status.leader === status.id ? "leader" : "follower",
    version: status.version,
    revision: Number(status.revision),
    dbSizeBytes: status.dbSizeBytes,
    checkedAt: new Date().toISOString(),
  };
}

/** Hashes up to the lowest revision, which everybody has; only of those who answered at all. */
async function hashesOf(
  endpoints: ReadonlyMap<string, EtcdEndpoint>,
  statuses: ReadonlyMap<string, MemberStatus | { failure: string }>,
): Promise<Map<string, KeyHash | { failure: string }>> {
  const answering = new Map(
    [...endpoints].filter(([name]) => !("failure" in (statuses.get(name) ?? { failure: "" }))),
  );
  const revisions = [...statuses.values()].flatMap((each) =>
    "failure" in each ? [] : [each.revision],
  );
  const lowest = revisions.reduce((a, b) => (a < b ? a : b));
  return everyone(answering, (endpoint) => endpoint.hashKv(lowest));
}

async function everyone<T>(
  endpoints: ReadonlyMap<string, EtcdEndpoint>,
  ask: (endpoint: EtcdEndpoint) => Promise<T>,
): Promise<Map<string, T | { failure: string }>> {
  const answers = new Map<string, T | { failure: string }>();
  await Promise.all(
    [...endpoints].map(async ([name, endpoint]) => {
      try {
        answers.set(name, await ask(endpoint));
      } catch (error) {
        answers.set(name, { failure: reasonOf(error) });
      }
    }),
  );
  return answers;
}

async function step<T>(member: string, failure: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw new Error(`${member}: ${failure}: ${reasonOf(error)}`, { cause: error });
  }
}
