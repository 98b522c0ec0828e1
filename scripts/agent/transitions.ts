import { randomUUID } from "node:crypto";

import type { Attestation } from "./attestation";
import type { MemberConfig } from "../../components/plan/memberConfig";
import type { ClusterRecord, NamedSource, RecordContent, Starting } from "./record";

/** How the cluster record changes: every change there is, as a pure function from record to record. */

/** Smallest number of members that is more than half. */
export function quorumOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

const tokenOf = (prefix: string, clusterUid: string, generation: number): string =>
  `${prefix}-${clusterUid}-${generation}`;

/** The first record of a cluster, generation 1, made from the configured first members. */
export function firstRecord(config: MemberConfig): RecordContent {
  const clusterUid = randomUUID();
  return {
    clusterUid,
    generation: 1,
    token: tokenOf(config.cluster, clusterUid, 1),
    epoch: 1,
    phase: "open",
    initial: config.initialMembers.map((member) => member.name),
    roster: config.initialMembers.map((member) => ({ ...member })),
    joined: [],
    formed: false,
    source: { kind: "new" },
    earlierSources: [],
  };
}

/**
 * The record with a member in `joined`, with the volume that it starts on; `formed` becomes true in the very put that makes a quorum
 * of `initial`.
 */
export function withJoined(record: ClusterRecord, member: Starting): RecordContent {
  const joined = [...new Set([...record.joined, member.name])].sort();
  const starters = record.initial.filter((each) => joined.includes(each)).length;
  return {
    ...record,
    roster: record.roster.map((entry) =>
      entry.name === member.name ? { ...entry, volumeId: member.volumeId, used: true } : entry,
    ),
    joined,
    formed: record.formed || starters >= quorumOf(record.initial.length),
  };
}

/** The record with one name more to be accounted for. From here on nobody of `initial` starts by static bootstrap any more. */
export function withEntered(
  record: ClusterRecord,
  { name, address, volumeId }: Starting & { readonly address: string },
): RecordContent {
  const roster = [...record.roster, { name, address, volumeId }];
  return { ...record, roster, joined: roster.map((entry) => entry.name).sort() };
}

/** The record with a member that is about to be removed. */
export function withLeaving(record: ClusterRecord, name: string): RecordContent {
  return {
    ...record,
    roster: record.roster.map((entry) =>
      entry.name === name ? { ...entry, leaving: true } : entry,
    ),
    joined: record.roster.map((entry) => entry.name).sort(),
  };
}

/** The record without a member that every remaining voter has shown to be gone. */
export function withDropped(record: ClusterRecord, name: string): RecordContent {
  return {
    ...record,
    roster: record.roster.filter((entry) => entry.name !== name),
    joined: record.joined.filter((each) => each !== name),
  };
}

/** The record with the roll called: from here on every member stops, is held, and says what it has. */
export function withRollCalled(record: ClusterRecord): RecordContent {
  return { ...record, phase: "rollCall", epoch: record.epoch + 1 };
}

/** The record with the roll call closed: the same generation goes on. */
export function withRollClosed(record: ClusterRecord): RecordContent {
  return { ...record, phase: "open", epoch: record.epoch + 1 };
}

/**
 * Added to every revision by a restore, once for every generation that began since the copy was made. Writes that nobody has any more
 * may have been seen by watchers; at ten thousand writes a second it takes more than a day to come this far after the copy that is
 * restored. A copy of an older generation lacks what the restores since then added, as well.
 */
export const revisionBump = 1_000_000_000;

/**
 * The record of the next generation: without those who were leaving, with the volumes that the members attested. Nobody has joined
 * it yet.
 */
export function nextGeneration(
  record: ClusterRecord,
  attestations: readonly Pick<Attestation, "member" | "volumeId">[],
  source: NamedSource | "new",
): RecordContent {
  const generation = record.generation + 1;
  const roster = record.roster
    .filter(({ leaving }) => leaving !== true)
    .map(({ name, address, volumeId, used }) => {
      const attested = attestations.find(({ member }) => member === name)?.volumeId ?? volumeId;
      const entry = { name, address, volumeId: attested };
      return used === true && attested === volumeId ? { ...entry, used } : entry;
    });
  const before = record.source;
  return {
    clusterUid: record.clusterUid,
    generation,
    token: tokenOf("next", record.clusterUid, generation),
    epoch: record.epoch + 1,
    phase: "open",
    initial: roster.map(({ name }) => name),
    roster,
    joined: [],
    formed: false,
    source:
      source === "new"
        ? { kind: "new" }
        : {
            kind: "snapshot",
            ...source,
            bump: revisionBump * (generation - source.rank.generation),
          },
    earlierSources:
      before.kind === "new"
        ? record.earlierSources
        : [...record.earlierSources, { key: before.key, sha256: before.sha256, rank: before.rank }],
  };
}
