import type { Attestation } from "../../scripts/agent/attestation";
import type { ClusterRecord, NamedSource } from "../../scripts/agent/record";
import type { ResizeFacts, View } from "../../scripts/agent/resize";
import { judgeRoll } from "../../scripts/agent/rollCall";
import { storage } from "../../components/plan/storage";
import { Abandoned, leaderOf, propose, readMembers } from "./etcd";
import { nameOf, writesOf } from "./log";
import { putRecord, readRecord, type Steps } from "./store";
import type { Member, Program, World } from "./world";

/** What people and their programs do from outside: growing, shrinking, and the restore with its fencing. */

/** The operator's own way to the bucket; as unreliable as a member's. */
const outside = (world: World): Member => {
  const [first] = world.members.values();
  if (first === undefined) {
    throw new Error("there are no members");
  }
  return { ...first, s3: true };
};

/** Makes the cluster have these members. */
export function* resize(world: World, desired: readonly string[]): Program {
  const who = outside(world);
  for (let round = 0; round < 60; round += 1) {
    try {
      const done = yield* resizeRound(world, who, desired);
      if (done) {
        return;
      }
    } catch (error) {
      if (!(error instanceof Abandoned)) {
        throw error;
      }
    }
    yield "resize: again";
  }
}

function* resizeRound(world: World, who: Member, desired: readonly string[]): Steps<boolean> {
  const view = yield* readRecord(world, who);
  if (view.kind !== "present") {
    return false;
  }
  const { record } = view;
  yield "resize: asks etcd";
  const facts = resizeFacts(world, record, desired);
  if (facts === undefined) {
    return false;
  }
  const step = world.rules.resizeStep(facts);
  world.say("resize", JSON.stringify(step));
  const { transitions } = world.rules;
  switch (step.kind) {
    case "done":
      return true;
    case "wait":
    case "refuse":
      return false;
    case "enter":
      yield* putRecord(world, who, transitions.withEntered(record, step.member), view.etag);
      return false;
    case "leave":
      yield* putRecord(world, who, transitions.withLeaving(record, step.name), view.etag);
      return false;
    case "drop":
      yield* putRecord(world, who, transitions.withDropped(record, step.name), view.etag);
      return false;
    case "handOver": {
      yield "resize: hands leadership over";
      const leader = world.running().find(({ id }) => id === step.from);
      leader?.follow(leader.wal.term, undefined);
      return false;
    }
    case "remove": {
      yield "resize: removes";
      const through = world
        .running()
        .find((each) => each.id !== step.id && leaderOf(world, each) !== undefined);
      if (through !== undefined) {
        propose(world, through, "remove", step.id);
      }
      return false;
    }
  }
}

function resizeFacts(
  world: World,
  record: ClusterRecord,
  names: readonly string[],
): ResizeFacts | undefined {
  const asked = world.running().find((each) => readMembers(world, each) !== undefined);
  const list = asked === undefined ? undefined : readMembers(world, asked);
  if (asked === undefined || list === undefined) {
    return undefined;
  }
  const members = [...list.voters, ...list.learners].map((id) => ({
    id,
    name: nameOf(id),
    isLearner: list.learners.includes(id),
  }));
  const leader = leaderOf(world, asked)?.id;
  const views = new Map<string, View>();
  const unhealthy = new Map<string, string>();
  for (const { id, name, isLearner } of members) {
    const etcd = world.running().find((each) => each.id === id);
    const seen = etcd === undefined ? undefined : readMembers(world, etcd);
    if (etcd === undefined || seen === undefined) {
      views.set(name, { failure: "does not answer" });
      if (!isLearner) {
        unhealthy.set(name, "does not answer");
      }
    } else {
      views.set(name, {
        clusterId: etcd.wal.clusterId,
        ids: [...seen.voters, ...seen.learners],
      });
    }
  }
  return {
    record,
    generation: asked.folder.marker?.generation ?? 0,
    desired: names.map((name) => {
      const member = world.members.get(name);
      return { name, address: member?.address ?? "", volumeId: rightVolume(world, member) };
    }),
    clusterId: asked.wal.clusterId,
    ...(leader === undefined ? {} : { leader }),
    members,
    views,
    unhealthy,
  };
}

/** The volume that a person would name: the one in use, unless somebody has put a copy in its place. */
function rightVolume(world: World, member: Member | undefined): string {
  const marker = member === undefined ? undefined : world.volumeOf(member).data?.marker;
  return marker?.volumeId ?? member?.volumeId ?? "";
}

/**
 * The operator's restore: every member of the roster has attested, or its machine is gone for good and its volume detached; then the
 * best of what there is, or what the operator names.
 */
export function* restore(world: World): Program {
  const who = outside(world);
  try {
    const view = yield* readRecord(world, who);
    if (view.kind !== "present") {
      return;
    }
    let { record, etag } = view;
    if (record.phase === "open") {
      if (world.running().some((each) => readMembers(world, each) !== undefined)) {
        return;
      }
      const called = world.rules.transitions.withRollCalled(record);
      yield* putRecord(world, who, called, etag, { fenced: new Set(), chosen: false });
      const again = yield* readRecord(world, who);
      if (again.kind !== "present") {
        return;
      }
      ({ record, etag } = again);
    }
    for (let patience = 0; patience < 60; patience += 1) {
      yield "restore: waits for attestations";
      if (attestations(world, record).length === record.roster.length) {
        break;
      }
    }
    const heard = attestations(world, record);
    const silent = record.roster.filter(({ name }) => !heard.some(({ member }) => member === name));
    const fenced = new Set<string>();
    for (const { name } of silent) {
      const member = world.members.get(name);
      if (member === undefined) {
        continue;
      }
      yield `restore: fences ${name}`;
      fenced.add(name);
      if (world.rules.order.fence) {
        member.fenced = true;
        if (member.machine !== undefined) {
          world.destroy(member.machine);
        }
      }
    }
    yield* restoreFrom(world, who, record, etag, fenced);
  } catch (error) {
    if (!(error instanceof Abandoned)) {
      throw error;
    }
  } finally {
    for (const member of world.members.values()) {
      member.fenced = false;
    }
  }
}

function attestations(world: World, record: ClusterRecord): Attestation[] {
  return record.roster.flatMap(({ name }) => {
    const found = world.bucket.get(storage.attestation(record.epoch, name))?.value;
    return found === undefined ? [] : [found as Attestation];
  });
}

function* restoreFrom(
  world: World,
  who: Member,
  record: ClusterRecord,
  etag: string,
  fenced: ReadonlySet<string>,
): Steps<void> {
  yield "restore: chooses";
  const heard = attestations(world, record);
  const unreadable = [...world.contents].flatMap(([sha256, { readable }]) =>
    readable ? [] : [sha256],
  );
  const backups = world.backups.filter(({ sha256 }) => !unreadable.includes(sha256));
  const named = world.random.chance(0.5) ? world.random.pick(backups) : undefined;
  if (named !== undefined) {
    // He knows what he wants, and what it costs.
    const { sha256, rank } = named;
    yield* begin(world, who, { record, etag }, { sha256, rank }, { fenced, chosen: true });
    return;
  }
  const verdict = judgeRoll(record, {
    ...{ reports: [], previous: [], stalledSeconds: 0 },
    attestations: heard,
    backups: world.backups,
    unreadable,
  });
  if (verdict.kind !== "source" || verdict.copy === "new") {
    return;
  }
  const { source, holder, rank } = verdict.copy;
  let sha256: string;
  if (source.kind === "own") {
    const attested = heard.find((each) => each.member === holder);
    const volume = world.volumes.get(attested?.volumeId ?? "");
    const folder =
      source.folder === undefined
        ? volume?.data
        : volume?.aside.find(({ name }) => name === source.folder)?.folder;
    if (volume?.exists !== true || folder?.wal?.base === undefined || folder.damage !== undefined) {
      return;
    }
    sha256 = world.unique("sha");
    world.contents.set(sha256, { writes: writesOf(folder.wal), readable: true });
  } else if (source.kind === "new") {
    return;
  } else {
    sha256 = source.kind === "backup" ? source.backup.sha256 : source.sha256;
  }
  yield* begin(world, who, { record, etag }, { sha256, rank }, { fenced, chosen: false });
}

function* begin(
  world: World,
  who: Member,
  { record, etag }: { readonly record: ClusterRecord; readonly etag: string },
  { sha256, rank }: Pick<NamedSource, "sha256" | "rank">,
  how: { readonly fenced: ReadonlySet<string>; readonly chosen: boolean },
): Steps<void> {
  const key = storage.source(sha256);
  world.bucket.put(key, sha256, "any");
  const heard = attestations(world, record);
  const next = world.rules.transitions.nextGeneration(record, heard, { key, sha256, rank });
  yield* putRecord(world, who, next, etag, how);
}

/** Puts a forgotten change of the roster right, as `etcd-agent resize` would when it runs again. */
export function* settle(world: World): Program {
  const { record } = world;
  const desired = record?.roster.filter(({ leaving }) => leaving !== true) ?? [];
  yield* resize(
    world,
    desired.map(({ name }) => name),
  );
}
