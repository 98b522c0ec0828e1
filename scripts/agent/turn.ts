import { etcdStep } from "../../components/plan/etcdVersions";
import type { NamedEntry } from "./listed";
import type { ClusterRecord } from "./record";
import { quorumOf } from "./transitions";

/**
 * A member's turn: whether it may change now. One member after another is brought to its desired state, and only while everybody is
 * well, whatever it changes: most changes take the member out of the quorum for a moment, and what goes wrong with the others is not to
 * meet another change. Two exceptions, because they may be the repair: a member that is down, and certificates.
 */

/** What the desired state changes, and what it may repair. */
export interface Change {
  /** etcd is restarted on this machine. */
  readonly restart: boolean;
  /** Another machine takes this one's place; why, in words. */
  readonly machine?: string;
  /** Versions of etcd, of the state in use and of the desired one. */
  readonly version: { readonly from: string; readonly to: string };
  /** The database may become larger: the cure of a NOSPACE alarm. */
  readonly moreQuota: boolean;
  /** The volume is larger than the state in use says; stops nothing. */
  readonly grows: boolean;
  /** The member's certificates are others. */
  readonly certificates: boolean;
}

/** What a member's own endpoint says. */
export interface Voice {
  readonly id: string;
  readonly clusterId: string;
  readonly version: string;
  readonly leader: string | undefined;
  readonly isLearner: boolean;
  /** Highest index that it knows to be committed, and that it has applied. */
  readonly committed: bigint;
  readonly applied: bigint;
  readonly alarms: readonly { readonly memberId: string; readonly kind: string }[];
}

/** Everything that a turn depends on; gathered anew before each decision. */
export interface TurnFacts {
  readonly member: string;
  readonly change: Change;
  /** Whether this machine's etcd runs. */
  readonly running: boolean;
  readonly record: ClusterRecord;
  /** Generation of the data on this machine's volume. */
  readonly generation: number | undefined;
  /** etcd's member list, confirmed by a quorum, or why there is none. */
  readonly list: readonly NamedEntry[] | { readonly failure: string };
  /** What everybody in the roster says, this member included, after a linearizable read; or what went wrong. */
  readonly voices: ReadonlyMap<string, Voice | { readonly failure: string }>;
  /** Asked for only when the version is to change. */
  readonly cluster: ClusterVersion | undefined;
}

/** What etcd says of versions. */
export interface ClusterVersion {
  /** That all members can speak; `3.6.0` while some run 3.6 and some 3.7. */
  readonly version: string;
  /** That this member's database is written for; etcd 3.5 does not say. */
  readonly storage?: string | undefined;
  /** Minor that etcd was told to go down to. */
  readonly downgrade?: string | undefined;
}

/** What becomes of a turn. */
export type Turn =
  /** Go on; `outage` when nobody can serve meanwhile. */
  | { readonly kind: "apply"; readonly outage: boolean; readonly first?: FirstStep }
  /** This may pass by itself within seconds. */
  | { readonly kind: "wait"; readonly needs: string }
  | { readonly kind: "refuse"; readonly reason: string };

/** What etcd must be told before its version changes. */
export type FirstStep =
  | { readonly kind: "enableDowngrade"; readonly to: string }
  | { readonly kind: "cancelDowngrade"; readonly from: string };

/** Entries by which a follower may be behind the leader and still count as caught up: less than a second of writing. */
export const closeEnough = 5000n;

const refuse = (reason: string): Turn => ({ kind: "refuse", reason });
const wait = (needs: string): Turn => ({ kind: "wait", needs });

/** Decides. */
export function turn(facts: TurnFacts): Turn {
  const { change, running } = facts;
  if (!running) {
    // It may be the repair, and nobody's quorum gets worse by it.
    return (
      skipped(change.version.from, change) ?? downAlone(facts) ?? { kind: "apply", outage: false }
    );
  }
  if (!stops(change) && change.certificates) {
    // Where certificates have ended, nobody is well, and nobody can be asked: only others end that.
    return { kind: "apply", outage: false };
  }
  return recordIsOpen(facts) ?? everybodyIsWell(facts) ?? versionMayFollow(facts) ?? apply(facts);
}

function stops({ restart, machine }: Change): boolean {
  return restart || machine !== undefined;
}

function recordIsOpen({ record, generation, member }: TurnFacts): Turn | undefined {
  if (record.phase !== "open") {
    return refuse(`the roll is called, epoch ${record.epoch}; wait until it is over`);
  }
  if (!record.formed) {
    return refuse(`generation ${record.generation} has not formed yet`);
  }
  if (generation !== record.generation) {
    return refuse(
      `the data of ${member} is of generation ${generation ?? "nothing"}, the record of ${record.generation}`,
    );
  }
  const leaving = record.roster.find((entry) => entry.leaving === true);
  return leaving === undefined
    ? undefined
    : refuse(`${leaving.name} is being removed; finish that first (resize)`);
}

function everybodyIsWell(facts: TurnFacts): Turn | undefined {
  const { record, list, voices, member } = facts;
  if ("failure" in list) {
    return wait(`a quorum that confirms the member list: ${list.failure}`);
  }
  const alarm = raised(facts);
  if (alarm !== undefined) {
    return refuse(alarm);
  }
  const strange = list.find(({ name }) => !record.roster.some((each) => each.name === name));
  if (strange !== undefined) {
    return refuse(`etcd has a member ${strange.id} that the roster does not know`);
  }
  for (const { name } of record.roster) {
    const listed = list.filter((each) => each.name === name);
    if (listed.length !== 1) {
      return wait(`${name} to be once in etcd's member list, where it is ${listed.length} times`);
    }
    if (listed[0]?.isLearner === true) {
      return wait(`${name}, a learner, to catch up and get its vote`);
    }
  }
  return voters(facts, list, voices.get(member));
}

function raised({ change, voices }: TurnFacts): string | undefined {
  for (const [name, voice] of voices) {
    const alarms = "failure" in voice ? [] : voice.alarms;
    // A larger quota is what takes this one back; to refuse it would be to keep it.
    const [alarm] = alarms.filter(({ kind }) => !(change.moreQuota && /^nospace$/i.test(kind)));
    if (alarm !== undefined) {
      return `the alarm ${alarm.kind.toUpperCase()} of member ${alarm.memberId} is raised (${name} says so); see the runbook of the alarm`;
    }
  }
  return undefined;
}

function voters(
  { record, voices, member }: TurnFacts,
  list: readonly NamedEntry[],
  own: ReturnType<TurnFacts["voices"]["get"]>,
): Turn | undefined {
  if (own === undefined || "failure" in own) {
    return wait(`${member} itself to answer: ${own?.failure ?? "not asked"}`);
  }
  const highest = [...voices.values()]
    .map((voice) => ("failure" in voice ? 0n : voice.committed))
    .reduce((a, b) => (a > b ? a : b));
  let well = 0;
  for (const { name } of record.roster) {
    if (name === member) {
      continue;
    }
    const voice = voices.get(name);
    if (voice === undefined || "failure" in voice) {
      return wait(`${name}, which is not healthy: ${voice?.failure ?? "not asked"}`);
    }
    if (voice.clusterId !== own.clusterId) {
      return refuse(`${name} answers for the cluster ${voice.clusterId}, not ${own.clusterId}`);
    }
    if (!list.some((each) => each.name === name && each.id === voice.id)) {
      return wait(`${name} to take part under the id that the member list has for it`);
    }
    if (voice.leader === undefined || voice.leader !== own.leader) {
      return wait(`${name} and ${member} to agree on a leader`);
    }
    if (highest - voice.applied > closeEnough) {
      return wait(`${name} to catch up: it is ${highest - voice.applied} entries behind`);
    }
    well += 1;
  }
  return record.roster.length > 1 && well < quorumOf(record.roster.length)
    ? refuse(
        `without ${member}, ${well} of ${record.roster.length} members remain, which is no quorum`,
      )
    : undefined;
}

function skipped(running: string, { version }: Change, who = "it"): Turn | undefined {
  const step = etcdStep(running, version.to);
  return typeof step === "object"
    ? refuse(`${who} runs etcd ${running}: ${step.rule}. Remedy: ${step.remedy}`)
    : undefined;
}

/**
 * A member that is down cannot be brought to an older minor than the cluster's: etcd has to be told while all are well. Whoever runs
 * the older minor proves that the cluster is not of the newer one yet; when nobody answers, etcd itself looks at its data.
 */
function downAlone({ change, voices, member }: TurnFacts): Turn | undefined {
  const { from, to } = change.version;
  if (etcdStep(from, to) !== "down") {
    return undefined;
  }
  const others = [...voices].flatMap(([name, voice]) =>
    name === member || "failure" in voice ? [] : [voice.version],
  );
  return others.length === 0 || others.some((version) => minorOf(version) === minorOf(to))
    ? undefined
    : refuse(
        `${member} is down, and the others run ${others[0] ?? from}: etcd goes down to ${minorOf(to)} when all members are well. Remedy: bring it back with ${from} first`,
      );
}

/** What runs counts here, not what the last desired state asked for. */
function versionMayFollow({ cluster, voices, change }: TurnFacts): Turn | undefined {
  const { from, to } = change.version;
  if (from === to) {
    return undefined;
  }
  for (const [name, voice] of voices) {
    const no = skipped("failure" in voice ? from : voice.version, change, name);
    if (no !== undefined) {
      return no;
    }
  }
  if (cluster === undefined) {
    return wait("etcd to say which version the cluster has");
  }
  const [has, wanted] = [minorOf(cluster.version), minorOf(to)];
  if (has === wanted) {
    // A database that is written for a newer minor is not for an older program.
    return cluster.storage === undefined ||
      etcdStep(`${minorOf(cluster.storage)}.99`, to) !== "down"
      ? undefined
      : wait(`etcd to bring its database down from ${cluster.storage} to ${wanted}`);
  }
  switch (etcdStep(`${has}.99`, to)) {
    case "up":
      return undefined;
    case "down":
      return cluster.downgrade === wanted
        ? wait(`etcd to bring the cluster down from ${cluster.version} to ${wanted}`)
        : undefined;
    default:
      return wait(`the cluster to be more than ${cluster.version}, now that all its members are`);
  }
}

function minorOf(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

function apply({ record, cluster, change }: TurnFacts): Turn {
  const first = cluster === undefined ? undefined : firstStep(cluster, change.version.to);
  return {
    kind: "apply",
    outage: record.roster.length === 1 && stops(change),
    ...(first === undefined ? {} : { first }),
  };
}

/**
 * etcd lets a member of an older minor in only after it was told that the cluster goes down; and none of a newer one before that was
 * taken back. While an upgrade is not complete, the cluster is of the older version still, and the way back is free.
 */
function firstStep({ version, downgrade }: ClusterVersion, to: string): FirstStep | undefined {
  if (etcdStep(`${minorOf(version)}.99`, to) === "down") {
    return { kind: "enableDowngrade", to: minorOf(to) };
  }
  return downgrade === undefined || downgrade === minorOf(to)
    ? undefined
    : { kind: "cancelDowngrade", from: downgrade };
}
