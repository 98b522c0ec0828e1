import { quorumOf } from "../../scripts/agent/transitions";
import type { Folder } from "./disk";
import {
  changed,
  configurationAt,
  positionAt,
  type Configuration,
  type Entry,
  type Wal,
} from "./log";
import type { Random } from "./random";

/** A running etcd process, and raft among them: elections, replication, changes of the configuration that take effect when applied. */

/** A running etcd process. */
export class Etcd {
  readonly name: string;
  readonly generation: number;
  readonly folder: Folder;
  readonly wal: Wal;
  leader: string | undefined;
  /** Known to be committed, and applied; the volume may know less. */
  commit: number;
  configuration: Configuration;
  /** As a leader: how far everybody's log is known to agree. */
  match: Map<string, number> | undefined;
  /** As a leader: no other change of the configuration before this entry is applied. */
  pending = 0;

  constructor(name: string, generation: number, folder: Folder, wal: Wal) {
    this.name = name;
    this.generation = generation;
    this.folder = folder;
    this.wal = wal;
    this.commit = wal.commit;
    this.configuration = configurationAt(wal, wal.commit);
  }

  get id(): string {
    return this.wal.id;
  }

  get leads(): boolean {
    return this.match !== undefined;
  }

  get votes(): boolean {
    return this.configuration.voters.includes(this.id);
  }

  follow(term: number, leader: string | undefined): void {
    if (term > this.wal.term) {
      this.wal.term = term;
      this.wal.vote = undefined;
    }
    this.leader = leader;
    this.match = undefined;
  }
}

/** What raft needs of the world around it. */
export interface Network {
  readonly random: Random;
  /** All processes that run. */
  running(): readonly Etcd[];
  reaches(from: Etcd, to: Etcd): boolean;
  /** A leader has committed entries, up to this one of its log. */
  committed(leader: Etcd, from: number): void;
  elected(leader: Etcd): void;
  /** The process ends by itself: it was removed. */
  ends(etcd: Etcd): void;
}

/** The process that runs under an id, if it can be reached. */
export function peer(network: Network, from: Etcd, id: string): Etcd | undefined {
  return network
    .running()
    .find(
      (each) =>
        each.id === id && each.wal.clusterId === from.wal.clusterId && network.reaches(from, each),
    );
}

/** One member asks all voters that it knows for their votes. */
export function campaign(network: Network, candidate: Etcd, lossy: number): void {
  const { wal } = candidate;
  if (!candidate.votes || candidate.leads) {
    return;
  }
  candidate.follow(wal.term + 1, undefined);
  const { term } = wal;
  wal.vote = candidate.id;
  const mine = positionAt(wal, wal.entries.length);
  let granted = 1;
  for (const id of candidate.configuration.voters) {
    const voter = id === candidate.id ? undefined : peer(network, candidate, id);
    if (voter === undefined || network.random.chance(lossy)) {
      continue;
    }
    if (voter.configuration.removed.includes(candidate.id)) {
      network.ends(candidate);
      return;
    }
    if (voter.wal.term > term) {
      candidate.follow(voter.wal.term, undefined);
      return;
    }
    if (voter.wal.term < term) {
      voter.follow(term, undefined);
    }
    const theirs = positionAt(voter.wal, voter.wal.entries.length);
    const upToDate =
      mine.term > theirs.term || (mine.term === theirs.term && mine.index >= theirs.index);
    if (upToDate && (voter.wal.vote ?? candidate.id) === candidate.id) {
      voter.wal.vote = candidate.id;
      granted += network.random.chance(lossy) ? 0 : 1;
    }
  }
  if (granted >= quorumOf(candidate.configuration.voters.length)) {
    candidate.leader = candidate.id;
    candidate.match = new Map();
    candidate.pending = wal.entries.length;
    network.elected(candidate);
    wal.entries.push({ term, kind: "noop" });
  }
}

/** The leader's own disk catches up with what it has sent. */
export function sync(network: Network, leader: Etcd): void {
  leader.wal.synced = leader.wal.entries.length;
  leader.match?.set(leader.id, leader.wal.synced);
  advance(network, leader);
}

/** The leader sends another member what it lacks, up to so many entries; the answer may be lost. */
export function replicate(
  network: Network,
  leader: Etcd,
  id: string,
  most: number,
  lossy: number,
): void {
  const follower = peer(network, leader, id);
  if (follower === undefined || leader.match === undefined || id === leader.id) {
    return;
  }
  if (follower.configuration.removed.includes(leader.id)) {
    network.ends(leader);
    return;
  }
  if (follower.wal.term > leader.wal.term) {
    leader.follow(follower.wal.term, undefined);
    return;
  }
  follower.follow(leader.wal.term, leader.id);
  const theirs = follower.wal.entries;
  const ours = leader.wal.entries;
  if (follower.wal.base === undefined) {
    follower.wal.base = leader.wal.base;
    follower.configuration = configurationAt(follower.wal, 0);
  }
  let same = Math.min(leader.match.get(id) ?? 0, theirs.length, ours.length);
  while (same < theirs.length && same < ours.length && theirs[same] === ours[same]) {
    same += 1;
  }
  const end = Math.min(ours.length, same + most);
  for (let at = same; at < end; at += 1) {
    const entry = ours[at] as Entry;
    if (theirs[at] !== entry) {
      theirs.length = at;
      theirs.push(entry);
    }
  }
  follower.wal.synced = theirs.length;
  learn(network, follower, Math.min(leader.commit, end));
  if (!network.random.chance(lossy)) {
    leader.match.set(id, Math.max(leader.match.get(id) ?? 0, end));
    advance(network, leader);
  }
}

/** The leader commits what a majority has, if it is of its own term. */
function advance(network: Network, leader: Etcd): void {
  const { match, configuration, wal } = leader;
  if (match === undefined) {
    return;
  }
  const reached = configuration.voters.map((id) => match.get(id) ?? 0).sort((a, b) => b - a);
  const common = reached[quorumOf(reached.length) - 1] ?? 0;
  if (common > leader.commit && wal.entries[common - 1]?.term === wal.term) {
    const before = leader.commit;
    learn(network, leader, common);
    network.committed(leader, before);
  }
}

/** A member learns that entries are committed, and applies them. Its volume may learn it only with the next entries. */
function learn(network: Network, etcd: Etcd, commit: number): void {
  const { wal } = etcd;
  for (let at = etcd.commit; at < commit; at += 1) {
    etcd.configuration = changed(etcd.configuration, wal.entries[at] as Entry);
  }
  etcd.commit = Math.max(etcd.commit, commit);
  if (network.random.chance(0.5)) {
    wal.commit = Math.max(wal.commit, etcd.commit);
  }
  if (etcd.configuration.removed.includes(etcd.id)) {
    wal.commit = etcd.commit;
    network.ends(etcd);
  }
}

/** The leader that this member can ask now, with a majority behind it. */
export function leaderOf(network: Network, etcd: Etcd): Etcd | undefined {
  const leader = etcd.leads
    ? etcd
    : etcd.leader === undefined
      ? undefined
      : peer(network, etcd, etcd.leader);
  if (leader?.match === undefined || leader.wal.term !== etcd.wal.term) {
    return undefined;
  }
  const { voters, learners } = leader.configuration;
  if (!voters.includes(etcd.id) && !learners.includes(etcd.id)) {
    return undefined;
  }
  const behind = voters.filter(
    (id) => id === leader.id || peer(network, leader, id)?.wal.term === leader.wal.term,
  );
  const own = leader.wal.entries[leader.commit - 1]?.term === leader.wal.term;
  return own && behind.length >= quorumOf(voters.length) ? leader : undefined;
}

/** A linearizable read of the member list through one member: what the leader has committed, and this member has applied. */
export function readMembers(network: Network, etcd: Etcd): Configuration | undefined {
  const leader = leaderOf(network, etcd);
  return leader !== undefined && etcd.commit >= leader.commit ? etcd.configuration : undefined;
}

/** Asks for a change of the configuration; what etcd's own guards refuse is an error. The entry may still come to nothing. */
export function propose(
  network: Network,
  etcd: Etcd,
  kind: "addLearner" | "promote" | "remove",
  id: string,
): Entry {
  const leader = leaderOf(network, etcd);
  if (leader?.match === undefined || leader.pending > leader.commit) {
    throw new Abandoned("no leader takes a change now");
  }
  const { voters, learners, removed } = leader.configuration;
  const active = voters.filter((each) => each === leader.id || peer(network, leader, each));
  if (kind === "remove" && voters.includes(id)) {
    const left = voters.filter((each) => each !== id);
    if (left.length === 0 || active.filter((each) => each !== id).length < quorumOf(left.length)) {
      throw new Abandoned("etcd refuses: the others would have no quorum");
    }
  }
  if (kind === "addLearner" && (learners.length > 0 || removed.includes(id))) {
    throw new Abandoned("etcd refuses: there is a learner already");
  }
  if (kind === "promote") {
    const ready = (leader.match.get(id) ?? 0) >= leader.wal.entries.length * 0.9;
    if (!learners.includes(id) || !ready || active.length + 1 < quorumOf(voters.length + 1)) {
      throw new Abandoned("etcd refuses: the learner is not ready");
    }
  }
  const entry: Entry = { term: leader.wal.term, kind, id };
  leader.wal.entries.push(entry);
  leader.pending = leader.wal.entries.length;
  return entry;
}

/** An effect that ends before it is done; the next round decides anew. */
export class Abandoned extends Error {}
