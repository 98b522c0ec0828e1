import type { Alarm, KeyHash, ListedMember, MemberStatus } from "./etcd";
import { peerUrlOf } from "./listed";

/** What makes a cluster healthy, judged from what its members said. Pure, so that each rule can be broken in a test. */

/** A member that must be accounted for. */
export interface RosterMember {
  readonly name: string;
  readonly address: string;
}

/** What one round of questions brought. */
export interface Observation {
  /** Who asked, through his own endpoint. */
  readonly member: string;
  readonly roster: readonly RosterMember[];
  readonly members: readonly ListedMember[];
  readonly alarms: readonly Alarm[];
  readonly statuses: ReadonlyMap<string, MemberStatus | { readonly failure: string }>;
  readonly hashes: ReadonlyMap<string, KeyHash | { readonly failure: string }>;
}

/** Entries that a member may be behind in a moment's look at a busy cluster; a lagging one is far beyond. */
const smallGap = 1000n;

/** All problems, each as `member: reason`. Empty: healthy. */
export function judge(observation: Observation): string[] {
  return [
    ...silent(observation),
    ...membership(observation),
    ...raft(observation),
    ...alarmed(observation),
    ...differing(observation),
  ];
}

function answers({ statuses }: Observation): [string, MemberStatus][] {
  return [...statuses].flatMap(([name, status]): [string, MemberStatus][] =>
    "failure" in status ? [] : [[name, status]],
  );
}

function silent({ roster, statuses }: Observation): string[] {
  return roster.flatMap(({ name, address }) => {
    const status = statuses.get(name);
    return status === undefined || "failure" in status
      ? [`${name}: etcd at ${address} does not answer: ${status?.failure ?? "not asked"}`]
      : [];
  });
}

function membership({ roster, members }: Observation): string[] {
  const missing = roster.flatMap(({ name, address }) => {
    const url = peerUrlOf(address);
    const listed = members.find((each) => each.name === name);
    if (listed === undefined) {
      return [`${name}: is not in etcd's member list`];
    }
    return listed.peerUrls.includes(url)
      ? []
      : [`${name}: etcd knows it at ${listed.peerUrls.join(", ")}, not at ${url}`];
  });
  const extra = members
    .filter(({ name }) => !roster.some((each) => each.name === name))
    .map(
      ({ id, name }) =>
        `${name === "" ? id : name}: is in etcd's member list, but not in the roster`,
    );
  const learners = members
    .filter(({ isLearner }) => isLearner)
    .map(({ id, name }) => `${name === "" ? id : name}: is a learner, it has no vote yet`);
  return [...missing, ...extra, ...learners];
}

function raft(observation: Observation): string[] {
  const problems: string[] = [];
  const all = answers(observation);
  const own = all.find(([name]) => name === observation.member)?.[1];
  if (own === undefined) {
    return problems;
  }
  const leader = all.find(([, status]) => status.id === own.leader)?.[1];
  for (const [name, status] of all) {
    const listed = observation.members.find((each) => each.name === name);
    if (listed !== undefined && listed.id !== status.id) {
      problems.push(`${name}: answers as ${status.id}, the member list has ${listed.id}`);
    }
    if (status.clusterId !== own.clusterId) {
      problems.push(
        `${name}: is in cluster ${status.clusterId}, ${observation.member} in ${own.clusterId}`,
      );
    }
    if (status.leader === undefined) {
      problems.push(`${name}: sees no leader`);
    } else if (status.leader !== own.leader) {
      problems.push(
        `${name}: follows ${status.leader}, ${observation.member} ${own.leader ?? "nobody"}`,
      );
    }
    const newest = leader?.raftIndex ?? status.raftIndex;
    if (newest - status.raftAppliedIndex > smallGap) {
      problems.push(`${name}: is ${newest - status.raftAppliedIndex} entries behind`);
    }
  }
  return problems;
}

function alarmed({ alarms, members }: Observation): string[] {
  return alarms.map(({ memberId, kind }) => {
    const name = members.find(({ id }) => id === memberId)?.name ?? memberId;
    return `${name}: alarm ${kind}`;
  });
}

/** Only hashes of members that compacted at the same revision say anything about each other. */
function differing({ member, hashes }: Observation): string[] {
  const own = hashes.get(member);
  if (own === undefined || "failure" in own) {
    return [`${member}: its keys cannot be hashed: ${own?.failure ?? "not asked"}`];
  }
  return [...hashes].flatMap(([name, other]) =>
    !("failure" in other) &&
    other.compactRevision === own.compactRevision &&
    other.hash !== own.hash
      ? [`${name}: holds other data than ${member} at the same revision`]
      : [],
  );
}
