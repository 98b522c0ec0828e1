import { isIntact, type Attestation, type Report } from "./attestation";
import type { Action, Facts, Source } from "./facts";
import { compareRanks, type Rank } from "./rank";
import type { ClusterRecord } from "./record";
import { quorumOf } from "./transitions";

/**
 * The roll call: how members that lost their quorum find out, from what every one of them swears to, whether they can go on as they
 * are, and otherwise which copy of the data the next generation begins with. Nothing here guesses: one silent member, and
 * nothing happens but a wait that names it.
 */

/** Seconds without anything new after which a roll call is closed: whoever was to act may have lost what he attested. */
export const stallSeconds = 600;

const wait = (name: Extract<Action, { kind: "wait" }>["name"], needs: string): Action => ({
  kind: "wait",
  name,
  needs,
});

/** What a member without a quorum does while the record is open: says so, and calls the roll when all have said so. */
export function withoutQuorum(
  { self, roll }: Facts,
  record: ClusterRecord,
  holds: Exclude<Report["holds"], "withdrawn">,
): Action {
  const mine = currentReports(roll.reports, record).find(({ member }) => member === self.member);
  const source = record.source.kind === "snapshot" ? record.source.sha256 : undefined;
  const unreadable = source !== undefined && roll.unreadable.includes(source);
  if (
    mine?.holds !== holds ||
    mine.instanceId !== self.instanceId ||
    mine.volumeId !== self.volumeId ||
    (mine.unreadable !== undefined) !== unreadable
  ) {
    return { kind: "report", record, holds };
  }
  const without = currentReports(roll.reports, record).filter(
    ({ holds: what }) => what !== "withdrawn",
  );
  const silent = record.roster
    .map(({ name }) => name)
    .filter((name) => !without.some(({ member }) => member === name));
  if (silent.length > 0) {
    return wait(
      "quorum",
      `a quorum, or for ${silent.join(", ")} to say that there is none: a silent member may be alive behind a broken network`,
    );
  }
  return nothingIsLost(without, roll.previous, record)
    ? wait(
        "network",
        "members that reach each other: every volume is intact, and a roll call has said so already",
      )
    : { kind: "callRoll", record };
}

/** Whether this member has said in this epoch that it has no quorum, and has not taken it back. */
export function hasReported({ self, roll }: Facts, record: ClusterRecord): boolean {
  return currentReports(roll.reports, record).some(
    ({ member, holds }) => member === self.member && holds !== "withdrawn",
  );
}

function currentReports(reports: readonly Report[], record: ClusterRecord): Report[] {
  return reports.filter(
    ({ clusterUid, epoch }) => clusterUid === record.clusterUid && epoch === record.epoch,
  );
}

/**
 * Whether another roll call would end as the last one did: it found that the members can go on as they are, and each says the same
 * as then, on the same machine and volume.
 */
function nothingIsLost(
  reports: readonly Report[],
  previous: readonly Attestation[],
  record: ClusterRecord,
): boolean {
  return (
    record.roster.every(({ name }) => {
      const report = reports.find(({ member }) => member === name);
      const attested = previous.find(({ member }) => member === name);
      return (
        attested !== undefined &&
        report?.holds === heldBy(attested, record.generation) &&
        attested.instanceId === report.instanceId &&
        attested.volumeId === report.volumeId &&
        // Without a quorum nothing is committed: if something was, there was a quorum since, and members may have changed.
        (report.commit ?? 0) <= (attested.data?.commit ?? Number.MAX_SAFE_INTEGER)
      );
    }) && canGoOn(record, previous)
  );
}

/** What a report would say of what was attested. */
function heldBy({ data }: Attestation, generation: number): Report["holds"] {
  return data === undefined ? "blank" : isIntact(data, generation) ? "data" : "damaged";
}

/** What a member does that has attested in this roll call. */
export function afterAttesting(facts: Facts, record: ClusterRecord, mine: Attestation): Action {
  const { self, disk, roll } = facts;
  const stale =
    mine.volumeId !== self.volumeId || (mine.data === undefined) !== (disk.kind === "blank");
  if (stale) {
    const because = `${self.member} no longer has what it attested`;
    return { kind: "closeRoll", record, because };
  }
  const stalled = roll.stalledSeconds > stallSeconds;
  const missing = record.roster
    .map(({ name }) => name)
    .filter((name) => !roll.attestations.some(({ member }) => member === name));
  if (missing.length > 0) {
    return stalled
      ? { kind: "closeRoll", record, because: `${missing.join(", ")} did not answer the roll call` }
      : wait("rollCall", `${missing.join(", ")} to say what they hold, in epoch ${record.epoch}`);
  }
  const verdict = judgeRoll(record, roll);
  switch (verdict.kind) {
    case "reopen":
      return { kind: "closeRoll", record, because: "a majority of the voters is intact" };
    case "nothing":
      return stalled
        ? { kind: "closeRoll", record, because: "there is still nothing to begin with" }
        : wait("noSource", verdict.needs);
    case "source":
      if (self.recovery === "manual") {
        return wait("operator", "an operator's restore: recovery is manual");
      }
      return begin(facts, record, verdict.copy, stalled);
  }
}

function begin(
  { self, roll }: Facts,
  record: ClusterRecord,
  copy: Copy | "new",
  stalled: boolean,
): Action {
  if (copy === "new") {
    return { kind: "propose", record, source: { kind: "new" } };
  }
  if (copy.holder !== undefined && copy.holder !== self.member) {
    return stalled
      ? { kind: "closeRoll", record, because: `${copy.holder} did not hand over its copy` }
      : wait("rollCall", `${copy.holder} to hand over its copy, the newest`);
  }
  if (copy.holder !== undefined && roll.notRecoverable !== undefined) {
    return stalled
      ? { kind: "closeRoll", record, because: `${self.member}: ${roll.notRecoverable}` }
      : wait("survivor", `a person: the newest copy is here, and ${roll.notRecoverable}`);
  }
  return { kind: "propose", record, source: copy.source };
}

/** A copy that the next generation may begin with. */
interface Copy {
  readonly rank: Rank;
  /** Of copies with the same rank, the one with the smallest is taken. */
  readonly handicap: number;
  /** Who alone can hand it over; undefined when it is in the bucket. */
  readonly holder?: string;
  readonly source: Source;
}

/** What the attestations of all mean. */
export type Verdict =
  | { readonly kind: "reopen" }
  | { readonly kind: "source"; readonly copy: Copy | "new" }
  | { readonly kind: "nothing"; readonly needs: string };

/** Judges a complete roll call. */
export function judgeRoll(record: ClusterRecord, roll: Facts["roll"]): Verdict {
  if (canGoOn(record, roll.attestations)) {
    return { kind: "reopen" };
  }
  const [best] = copies(record, roll);
  if (best !== undefined) {
    return { kind: "source", copy: best };
  }
  // A generation that began with a source has its predecessors' writes, even if nobody ever started in it.
  return record.formed || record.source.kind === "snapshot"
    ? {
        kind: "nothing",
        needs:
          "an operator's restore, or an explicit start without data: writes may have been acknowledged, and no copy of them is left",
      }
    : { kind: "source", copy: "new" };
}

/**
 * Whether those with intact data can elect a leader and commit, as they are: one of them is a voter, and has a majority behind it both
 * in the configuration at its commit index, with which etcd starts, and in the one at its last entry, with which it goes on. Voters
 * count by etcd's ids, not by names: a learner and a member that was removed have none. In the first configuration only those give
 * their vote whose log is not newer; and on data whose own log says that it was removed, etcd does not run.
 */
function canGoOn(record: ClusterRecord, attestations: readonly Attestation[]): boolean {
  const able = attestations
    .map(({ data }) => data)
    .filter((data) => isIntact(data, record.generation))
    .filter(({ removed }) => removed !== true);
  return able.some((candidate) => {
    const behind = (voters: readonly string[], holders: readonly { readonly id: string }[]) =>
      voters.filter((voter) => holders.some(({ id }) => id === voter)).length >=
      quorumOf(voters.length);
    const { votersAtCommit, votersAtLast } = candidate;
    return (
      votersAtCommit.includes(candidate.id) &&
      votersAtLast.length > 0 &&
      behind(
        votersAtCommit,
        able.filter((holder) => compareRanks(holder, candidate) <= 0),
      ) &&
      behind(votersAtLast, able)
    );
  });
}

/**
 * All copies, the best first. Of equal ones, a survivor's comes before one in the bucket; and of survivors with the same log, one that is
 * sound, and a voter's: from that it is easier to begin.
 */
function copies(record: ClusterRecord, roll: Facts["roll"]): Copy[] {
  const readable = (sha256: string): boolean =>
    !roll.unreadable.includes(sha256) &&
    !roll.attestations.some(({ unreadable }) => unreadable === sha256);
  const held = roll.attestations.flatMap(({ member, data, setAside }): Copy[] =>
    // A learner that had received nothing has nothing to give.
    [...(data === undefined ? [] : [data]), ...setAside]
      .filter(({ index }) => index > 0)
      .map((holding) => ({
        rank: rankOf(holding),
        handicap:
          (holding.damage === undefined ? 0 : 2) +
          (holding.id !== undefined && holding.votersAtLast.includes(holding.id) ? 0 : 1),
        holder: member,
        source: {
          kind: "own",
          rank: rankOf(holding),
          ...(holding.setAside === undefined ? {} : { folder: holding.setAside }),
        },
      })),
  );
  const backups = roll.backups
    .filter(({ sha256 }) => readable(sha256))
    .map((backup): Copy => ({
      rank: backup.rank,
      handicap: 4,
      source: { kind: "backup", backup },
    }));
  const earlier = record.earlierSources
    .filter(({ sha256 }) => readable(sha256))
    .map((named): Copy => ({ rank: named.rank, handicap: 4, source: { kind: "named", ...named } }));
  return [...held, ...backups, ...birth(record, readable), ...earlier].sort(
    (a, b) => compareRanks(b.rank, a.rank) || a.handicap - b.handicap,
  );
}

/**
 * The source of this very generation: as new as the generation itself before its first entry, and newer than anything from before,
 * which it was chosen over.
 */
function birth(record: ClusterRecord, readable: (sha256: string) => boolean): Copy[] {
  const { source } = record;
  if (source.kind === "new" || !readable(source.sha256)) {
    return [];
  }
  const { key, sha256, rank } = source;
  return [
    {
      rank: { generation: record.generation, term: 0, index: 0 },
      handicap: 4,
      source: { kind: "named", key, sha256, rank },
    },
  ];
}

function rankOf({ generation, term, index }: Rank): Rank {
  return { generation, term, index };
}
