import type { Alarm } from "./etcd";

/**
 * The disk's budget: what is to be done about a database that has grown. etcd itself compacts every hour and stops writing at its quota
 * (both are in its settings); free space inside the file is given back only by defragmentation, during which a member serves nobody.
 *
 * Only the leader's agent acts, on one member at a time: that is the lock. When leadership moves, the new leader's agent finds a member
 * that is being defragmented not to be well, and waits.
 */

/** Smallest database that is worth it, and the smallest share of it that is free: OpenShift's figures (cluster-etcd-operator). */
const worthBytes = 100_000_000;
const worthShare = 0.45;

/** A member is not defragmented more often than this. */
const againMs = 3_600_000;

/** A cure that did not help is not repeated before this. */
const cureAgainMs = 5 * 60_000;

/** A member, as its own etcd describes it. */
export interface BudgetMember {
  readonly name: string;
  readonly id: string;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  /** Answers a linearizable read. */
  readonly healthy: boolean;
  readonly dbBytes: number;
  readonly inUseBytes: number;
}

/** What the decision depends on. */
export interface BudgetFacts {
  readonly self: string;
  /** Members that answer. */
  readonly members: readonly BudgetMember[];
  /** Members that must be there. */
  readonly expected: number;
  readonly alarms: readonly Alarm[];
  /** When members were defragmented last, and the last cure was tried, as far as this machine knows. */
  readonly defragmentedAt: Readonly<Record<string, number>>;
  readonly curedAt: number | undefined;
  readonly now: number;
}

/** What to do. */
export type BudgetAction =
  | { readonly kind: "idle"; readonly reason: string }
  | { readonly kind: "defragment"; readonly member: string }
  /** The leader's own turn: it becomes a follower first. */
  | { readonly kind: "handOver"; readonly to: string }
  /** Compact, defragment these in turn, disarm. */
  | { readonly kind: "cure"; readonly members: readonly string[] };

const idle = (reason: string): BudgetAction => ({ kind: "idle", reason });

/** Followers by name, then the leader. */
function inTurn(members: readonly BudgetMember[]): BudgetMember[] {
  const number = ({ name }: BudgetMember): number => Number(name.slice(1));
  return [...members].sort(
    (a, b) => Number(a.isLeader) - Number(b.isLeader) || number(a) - number(b),
  );
}

/** Decides. */
export function budgetAction(facts: BudgetFacts): BudgetAction {
  const { self, members, alarms } = facts;
  if (members.find(({ name }) => name === self)?.isLeader !== true) {
    return idle("another member leads");
  }
  if (alarms.some(({ kind }) => kind === "Corrupt")) {
    return idle("a CORRUPT alarm is raised");
  }
  if (alarms.some(({ kind }) => kind === "Nospace")) {
    return cure(facts);
  }
  if (members.length < facts.expected || members.some(({ healthy }) => !healthy)) {
    return idle("not all members are well");
  }
  if (members.some(({ isLearner }) => isLearner)) {
    return idle("a learner catches up");
  }
  const next = inTurn(members).find((member) => isWorthIt(member, facts));
  if (next === undefined) {
    return idle("nothing is worth it");
  }
  const successor = inTurn(members).find(({ isLeader }) => !isLeader);
  return next.isLeader && successor !== undefined
    ? { kind: "handOver", to: successor.name }
    : { kind: "defragment", member: next.name };
}

function isWorthIt(
  { name, dbBytes, inUseBytes }: BudgetMember,
  { defragmentedAt, now }: BudgetFacts,
): boolean {
  const last = defragmentedAt[name];
  return (
    dbBytes >= worthBytes &&
    (dbBytes - inUseBytes) / dbBytes >= worthShare &&
    (last === undefined || now < last || now - last >= againMs)
  );
}

/** Nothing can be written meanwhile, so that a member which is away is no reason to wait. */
function cure({ members, curedAt, now }: BudgetFacts): BudgetAction {
  if (curedAt !== undefined && now >= curedAt && now - curedAt < cureAgainMs) {
    return idle("the quota is used up, and the last cure did not help");
  }
  const able = inTurn(members.filter(({ healthy, isLearner }) => healthy && !isLearner));
  return { kind: "cure", members: able.map(({ name }) => name) };
}

/** Share of the quota from which on disarming would only raise the alarm again. */
const fullShare = 0.95;

/** Members whose database is still about as large as it may be. */
export function stillFull(
  members: readonly Pick<BudgetMember, "name" | "dbBytes">[],
  quotaBytes: number,
): string[] {
  return members.filter(({ dbBytes }) => dbBytes >= fullShare * quotaBytes).map(({ name }) => name);
}
