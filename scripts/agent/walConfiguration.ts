import { changeTypes, type Change, type ConfState } from "./walProto";

/** Who votes and who learns, as raft's configuration stands at one index. */
export interface Configuration {
  /** Hexadecimal ids, sorted. */
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  /** Members that took part and were removed, as far back as the changes go; an id never comes back. */
  readonly removed: readonly string[];
}

/** A configuration change at its place in the log. */
export interface PlacedChange extends Change {
  readonly index: bigint;
}

/** A snapshot's configuration at its place in the log. */
export interface Base {
  readonly index: bigint;
  readonly conf: ConfState;
}

/**
 * The configuration at an index: the newest base before it and the changes since. A change that etcd refuses when it applies it (to a
 * member that is gone, that is there already, a promotion of what is no learner) changes nothing; etcd lets such entries stay in the log.
 */
export function configurationAt(
  index: bigint,
  bases: readonly Base[],
  changes: readonly PlacedChange[],
): Configuration {
  const base = bases.findLast((each) => each.index <= index);
  const voters = new Set(base?.conf.voters);
  const learners = new Set(base?.conf.learners);
  const removed = new Set<bigint>();
  for (const change of changes) {
    if (change.index > (base?.index ?? 0n) && change.index <= index) {
      apply(change, voters, learners, removed);
    }
  }
  return {
    voters: hexadecimal(voters),
    learners: hexadecimal(learners),
    removed: hexadecimal(removed),
  };
}

function apply(
  change: Change,
  voters: Set<bigint>,
  learners: Set<bigint>,
  removed: Set<bigint>,
): void {
  const { type, node } = change;
  if (node === 0n || removed.has(node)) {
    return;
  }
  if (type === changeTypes.removeNode) {
    if (voters.delete(node) || learners.delete(node)) {
      removed.add(node);
    }
  } else if (type === changeTypes.addNode && isPromotion(change.context)) {
    if (learners.delete(node)) {
      voters.add(node);
    }
  } else if (type === changeTypes.addNode || type === changeTypes.addLearner) {
    if (!voters.has(node) && !learners.has(node)) {
      (type === changeTypes.addNode ? voters : learners).add(node);
    }
  }
}

function isPromotion(context: Buffer): boolean {
  try {
    const member: unknown = JSON.parse(context.toString());
    return (
      typeof member === "object" &&
      member !== null &&
      "isPromote" in member &&
      member.isPromote === true
    );
  } catch {
    return false;
  }
}

function hexadecimal(ids: ReadonlySet<bigint>): string[] {
  return [...ids].map((id) => id.toString(16)).sort();
}
