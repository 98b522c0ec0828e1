import type { Holding } from "../../scripts/agent/attestation";

/** What etcd keeps on a disk: a raft log with configurations in it, as far as recovery depends on them. */

/** One entry. Entries are compared by identity: two that are equal by content are still two histories. */
export interface Entry {
  readonly term: number;
  readonly kind: "noop" | "write" | "addLearner" | "promote" | "remove";
  /** Number of a client's write. */
  readonly write?: number;
  /** Whom a change of the configuration is about. */
  readonly id?: string;
}

/** Who takes part. An id that was removed never comes back. */
export interface Configuration {
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  readonly removed: readonly string[];
}

/** What a group of members begins with: the first configuration, and the writes of the source. */
export interface Base {
  readonly configuration: Configuration;
  readonly writes: ReadonlySet<number>;
}

/** The durable state of one member of one raft group. */
export interface Wal {
  readonly clusterId: string;
  readonly id: string;
  /** Undefined while a learner has received nothing. */
  base: Base | undefined;
  readonly entries: Entry[];
  /** As many of the entries survive a power failure. */
  synced: number;
  term: number;
  vote: string | undefined;
  /** Commit index as far as it is durable: the truth may be further on. */
  commit: number;
}

const nobody: Configuration = { voters: [], learners: [], removed: [] };

/** The member's name in an id of the model. */
export function nameOf(id: string): string {
  return id.slice(0, id.indexOf("."));
}

/** A configuration after one more entry. */
export function changed(before: Configuration, { kind, id }: Entry): Configuration {
  if (id === undefined || before.removed.includes(id)) {
    return before;
  }
  const without = (list: readonly string[]): string[] => list.filter((each) => each !== id);
  switch (kind) {
    case "addLearner":
      return before.voters.includes(id)
        ? before
        : { ...before, learners: [...without(before.learners), id] };
    case "promote":
      return before.learners.includes(id)
        ? { ...before, voters: [...before.voters, id], learners: without(before.learners) }
        : before;
    case "remove":
      return {
        voters: without(before.voters),
        learners: without(before.learners),
        removed: [...before.removed, id],
      };
    case "noop":
    case "write":
      return before;
  }
}

/** The configuration after so many entries. */
export function configurationAt(wal: Wal, entries: number): Configuration {
  return wal.entries.slice(0, entries).reduce(changed, wal.base?.configuration ?? nobody);
}

/** The writes in a log up to an entry. */
export function writesOf(wal: Wal, entries = wal.entries.length): Set<number> {
  const writes = new Set(wal.base?.writes);
  for (const { write } of wal.entries.slice(0, entries)) {
    if (write !== undefined) {
      writes.add(write);
    }
  }
  return writes;
}

/** Term and index after so many entries, as raft counts them: what a group begins with has index 1 in term 1. */
export function positionAt(wal: Wal, entries: number): { term: number; index: number } {
  return wal.base === undefined
    ? { term: 0, index: 0 }
    : { term: wal.entries[entries - 1]?.term ?? 1, index: entries + 1 };
}

/** What reading the log offline says. */
export function holdingOf(wal: Wal, generation: number, damage: string | undefined): Holding {
  return {
    generation,
    ...positionAt(wal, wal.entries.length),
    commit: positionAt(wal, wal.commit).index,
    id: wal.id,
    votersAtCommit: [...configurationAt(wal, wal.commit).voters],
    votersAtLast: [...configurationAt(wal, wal.entries.length).voters],
    ...(configurationAt(wal, wal.commit).removed.includes(wal.id) ? { removed: true } : {}),
    ...(damage === undefined ? {} : { damage }),
  };
}

/** What a crash of the process may leave: what was not synced may be gone, and the commit index may be an older one. */
export function tear(wal: Wal, keep: number): void {
  if (keep < wal.entries.length) {
    wal.entries.length = Math.max(keep, wal.synced);
  }
  wal.synced = wal.entries.length;
  wal.commit = Math.min(wal.commit, wal.entries.length);
}

/** A copy that shares no state that changes. */
export function copyOf(wal: Wal): Wal {
  return { ...wal, entries: [...wal.entries] };
}
