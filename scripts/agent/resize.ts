import type { NamedEntry } from "./listed";
import type { ClusterRecord, Starting } from "./record";

/**
 * Growing and shrinking, one name and one step at a time. Who must be accounted for is said first and unsaid last: a name enters the
 * roster before etcd knows it, and leaves it after every remaining voter has shown that etcd no longer does.
 */

/** A member that the cluster is to have. */
export interface DesiredMember extends Starting {
  readonly address: string;
}

/** What a member's own endpoint answered to a linearizable read of the member list. */
export type View =
  { readonly clusterId: string; readonly ids: readonly string[] } | { readonly failure: string };

/** Everything that the next step depends on; gathered anew before each one. */
export interface ResizeFacts {
  readonly record: ClusterRecord;
  /** Of the marker under the etcd that was asked: what it says counts for this generation only. */
  readonly generation: number;
  readonly desired: readonly DesiredMember[];
  readonly clusterId: string;
  readonly leader?: string;
  /** etcd's members, by a linearizable read. */
  readonly members: readonly NamedEntry[];
  /** The same, through the endpoint of every voter, by name. */
  readonly views: ReadonlyMap<string, View>;
  /** Names of members that are not healthy, each with the reason; alarms included. */
  readonly unhealthy: ReadonlyMap<string, string>;
}

/** What to do next. After every step the facts are gathered anew. */
export type ResizeStep =
  | { readonly kind: "done" }
  /** Put a name into the roster, and all names of the roster into `joined`. */
  | { readonly kind: "enter"; readonly member: DesiredMember }
  /** Put `leaving`. */
  | { readonly kind: "leave"; readonly name: string }
  /** Ask the leader to hand over to this id. */
  | { readonly kind: "handOver"; readonly from: string; readonly to: string }
  /** Take an id out of etcd's list. */
  | { readonly kind: "remove"; readonly id: string; readonly name?: string }
  /** Take a name out of the roster. */
  | { readonly kind: "drop"; readonly name: string }
  | { readonly kind: "wait"; readonly needs: string }
  | { readonly kind: "refuse"; readonly name: ResizeRefusal; readonly reason: string };

/** Names of refusals, for runbooks. */
export type ResizeRefusal =
  "rollCall" | "notFormed" | "otherGeneration" | "unhealthy" | "tooFew" | "inconsistent";

const refuse = (name: ResizeRefusal, reason: string): ResizeStep => ({
  kind: "refuse",
  name,
  reason,
});

/** Decides. The newest names leave first; whoever is missing enters in the order of the wishes. */
export function resizeStep(facts: ResizeFacts): ResizeStep {
  return (
    obstacle(facts) ??
    stray(facts) ??
    removal(facts) ??
    growth(facts) ??
    shrinkage(facts) ?? { kind: "done" }
  );
}

function obstacle({ record, generation, desired, members }: ResizeFacts): ResizeStep | undefined {
  if (record.phase !== "open") {
    return refuse("rollCall", `the roll is called, epoch ${record.epoch}`);
  }
  if (!record.formed) {
    return refuse("notFormed", `generation ${record.generation} has not formed yet`);
  }
  if (generation !== record.generation) {
    return refuse(
      "otherGeneration",
      `this etcd is of generation ${generation}, the record of ${record.generation}`,
    );
  }
  if (desired.length === 0) {
    return refuse("tooFew", "a cluster of no members is not a cluster");
  }
  const moved = record.roster.find(({ name, address }) =>
    desired.some((each) => each.name === name && each.address !== address),
  );
  if (moved !== undefined) {
    return refuse("inconsistent", `${moved.name} cannot move from ${moved.address}`);
  }
  const stranger = members.find(
    ({ name, isLearner }) =>
      !isLearner && !record.roster.some((entry) => name !== undefined && entry.name === name),
  );
  return stranger === undefined
    ? undefined
    : refuse("inconsistent", `etcd has a voter ${stranger.id} that the roster does not know`);
}

/** A member that was coming back while its name left the roster may have added a learner afterwards: it never gets a vote. */
function stray({ record, members }: ResizeFacts): ResizeStep | undefined {
  const one = members.find(
    ({ name, isLearner }) => isLearner && !record.roster.some((entry) => entry.name === name),
  );
  return one === undefined ? undefined : { kind: "remove", id: one.id };
}

/** What was begun is finished before anything else. */
function removal(facts: ResizeFacts): ResizeStep | undefined {
  const { record, members } = facts;
  const leaving = record.roster.find((entry) => entry.leaving === true);
  if (leaving === undefined) {
    return undefined;
  }
  const listed = members.filter(({ name }) => name === leaving.name);
  const [first] = listed;
  if (first !== undefined) {
    return (
      sick(facts, leaving.name) ??
      handOver(facts, listed) ?? { kind: "remove", id: first.id, name: leaving.name }
    );
  }
  return confirmed(facts, leaving.name);
}

/** Everybody but the one that leaves must be well, or the removal might cost the quorum. */
function sick({ record, unhealthy }: ResizeFacts, except?: string): ResizeStep | undefined {
  const [one] = [...unhealthy].filter(
    ([name]) => name !== except && record.roster.some((entry) => entry.name === name),
  );
  return one === undefined ? undefined : refuse("unhealthy", `${one[0]}: ${one[1]}`);
}

function handOver(
  { leader, members, record, desired }: ResizeFacts,
  listed: readonly NamedEntry[],
): ResizeStep | undefined {
  const from = listed.find(({ id }) => id === leader);
  if (from === undefined) {
    return undefined;
  }
  const others = members.filter(
    ({ name, isLearner }) =>
      !isLearner && record.roster.some((entry) => entry.name === name && entry.leaving !== true),
  );
  // One that leaves next would have to hand over again.
  const stays = others.find(({ name }) => desired.some((each) => each.name === name)) ?? others[0];
  return stays === undefined
    ? refuse("tooFew", "nobody else can lead")
    : { kind: "handOver", from: from.id, to: stays.id };
}

/**
 * The name may go only when every remaining voter has itself applied the removal: a survivor whose log does not have it would count
 * a member of which nobody demands an account any more.
 */
function confirmed({ members, views, clusterId }: ResizeFacts, name: string): ResizeStep {
  for (const voter of members) {
    if (voter.isLearner) {
      continue;
    }
    const view = voter.name === undefined ? undefined : views.get(voter.name);
    const who = voter.name ?? voter.id;
    if (view === undefined || "failure" in view) {
      return { kind: "wait", needs: `${who} to confirm: ${view?.failure ?? "not asked"}` };
    }
    if (view.clusterId !== clusterId) {
      return refuse("inconsistent", `${who} answers for another cluster`);
    }
    if (view.ids.some((id) => !members.some((each) => each.id === id))) {
      return { kind: "wait", needs: `${who} to have applied the removal of ${name}` };
    }
  }
  return { kind: "drop", name };
}

function growth(facts: ResizeFacts): ResizeStep | undefined {
  const { record, desired, members } = facts;
  for (const { name } of record.roster) {
    if (
      desired.some((each) => each.name === name) &&
      !members.some((each) => each.name === name && !each.isLearner)
    ) {
      return { kind: "wait", needs: `${name} to become a voter` };
    }
  }
  const missing = desired.find(({ name }) => !record.roster.some((entry) => entry.name === name));
  if (missing === undefined) {
    return undefined;
  }
  return sick(facts) ?? { kind: "enter", member: missing };
}

function shrinkage(facts: ResizeFacts): ResizeStep | undefined {
  const { record, desired } = facts;
  const [surplus] = record.roster
    .filter(({ name }) => !desired.some((each) => each.name === name))
    .sort((one, other) => numberOf(other.name) - numberOf(one.name));
  if (surplus === undefined) {
    return undefined;
  }
  return sick(facts, surplus.name) ?? { kind: "leave", name: surplus.name };
}

/** m10 came after m9. */
function numberOf(name: string): number {
  return Number(name.replace(/^m/, ""));
}
