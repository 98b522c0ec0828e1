import { throughEndpoint, type ClientTls, type EtcdEndpoint, type MemberList } from "./etcd";
import type { RosterMember } from "./judge";
import { quorumOf } from "./transitions";

/** What the other members say, asked for when this machine's own etcd cannot be. */

/** Milliseconds for one call. */
const callMs = 2000;

/** Asks members at the same time, each through an endpoint of its own; failures are undefined. */
async function everyone<T>(
  addresses: readonly string[],
  tls: ClientTls,
  ask: (endpoint: EtcdEndpoint) => Promise<T>,
): Promise<(T | undefined)[]> {
  return Promise.all(
    addresses.map(async (address) => {
      try {
        return await throughEndpoint(address, callMs, ask, tls);
      } catch {
        return undefined;
      }
    }),
  );
}

/** The member list that a quorum confirms to one of these members; undefined when there is no quorum behind any of them. */
export async function confirmedByOthers(
  addresses: readonly string[],
  tls: ClientTls,
): Promise<MemberList | undefined> {
  const answers = await everyone(addresses, tls, (endpoint) => endpoint.memberList());
  return answers.find((answer) => answer !== undefined);
}

/**
 * Whether all other voters of a confirmed list are a quorum by themselves, run without trouble, and hold the same keys at one
 * revision: then, and only then, a damaged copy has nothing that they have not.
 */
export async function othersAgree(
  member: string,
  roster: readonly RosterMember[],
  list: MemberList,
  tls: ClientTls,
): Promise<boolean> {
  const voters = list.members.filter(({ isLearner }) => !isLearner);
  const own = list.members.find(({ name }) => name === member);
  const others = voters.filter(({ id }) => id !== own?.id);
  const addresses = others.map(
    ({ name }) => roster.find((each) => each.name === name)?.address ?? "",
  );
  if (others.length < quorumOf(voters.length) || addresses.includes("")) {
    return false;
  }
  const answers = await everyone(addresses, tls, async (endpoint) => ({
    status: await endpoint.status(),
    alarms: await endpoint.alarms(),
  }));
  const statuses = answers.flatMap((answer) => (answer === undefined ? [] : [answer.status]));
  const alarms = answers.flatMap((answer) => answer?.alarms ?? []);
  const healthy =
    statuses.length === others.length &&
    alarms.every(({ memberId }) => memberId === own?.id) &&
    statuses.every(({ leader, clusterId }) => leader !== undefined && clusterId === list.clusterId);
  if (!healthy) {
    return false;
  }
  const revision = statuses.map((status) => status.revision).reduce((a, b) => (a < b ? a : b));
  const hashes = await everyone(addresses, tls, (endpoint) => endpoint.hashKv(revision));
  const [first] = hashes;
  return hashes.every(
    (hash) =>
      first !== undefined &&
      hash?.hash === first.hash &&
      hash.compactRevision === first.compactRevision,
  );
}
