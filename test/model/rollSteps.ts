import type { Attestation, Report } from "../../scripts/agent/attestation";
import type { Action, Facts } from "../../scripts/agent/facts";
import type { ClusterRecord, NamedSource } from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import { inspect, type Folder } from "./disk";
import { Abandoned } from "./etcd";
import type { Agent, Decision } from "./gather";
import { configurationAt, copyOf, holdingOf, positionAt, writesOf } from "./log";
import { stop, volumeOf } from "./onDisk";
import { put, putRecord, read, type Steps } from "./store";
import type { World } from "./world";

/** A member's part in a roll call, from the report to the next generation. */

export function* report(
  { world, machine, memory }: Agent,
  facts: Facts,
  { clusterUid, epoch, source }: ClusterRecord,
  holds: Report["holds"],
): Steps<void> {
  const { member, instanceId, volumeId } = facts.self;
  const unreadable = source.kind === "snapshot" && memory.unreadable.has(source.sha256);
  const { etcd } = machine;
  const content: Report = {
    ...{ schema: 1, clusterUid, member, epoch, instanceId, volumeId, holds },
    ...(holds === "data" && etcd !== undefined
      ? { commit: positionAt(etcd.wal, etcd.commit).index }
      : {}),
    ...(unreadable ? { unreadable: source.sha256 } : {}),
  };
  yield* put(world, machine.member, storage.report(member), content, "any");
}

export function* hold(agent: Agent, epoch: number): Steps<void> {
  const { order } = agent.world.rules;
  if (order.hold) {
    yield "writes held";
    const { data } = volumeOf(agent);
    if (data !== undefined && epoch > (data.held ?? 0)) {
      data.held = epoch;
    }
  }
  if (order.stopToAttest) {
    yield* stop(agent);
  }
}

export function* attest(agent: Agent, facts: Facts, record: ClusterRecord): Steps<void> {
  const { world, machine, memory } = agent;
  const { order } = world.rules;
  const { member, instanceId, volumeId } = facts.self;
  if (order.stopToAttest) {
    yield* stop(agent);
  }
  if (order.waitForUploads && machine.upload !== undefined) {
    throw new Abandoned("an upload is in flight");
  }
  yield "reads the log";
  const volume = volumeOf(agent);
  const disk = inspect(volume);
  if (disk.kind !== "data" && disk.kind !== "blank") {
    throw new Abandoned("this cannot be attested");
  }
  if (order.lookAgain && disk.kind !== facts.disk.kind) {
    throw new Abandoned("it is not what was decided upon");
  }
  const { wal, marker, damage } = volume.data ?? {};
  const data =
    disk.kind === "data" && wal !== undefined
      ? holdingOf(wal, marker?.generation ?? 0, damage)
      : undefined;
  const { source, clusterUid, epoch } = record;
  const unreadable = source.kind === "snapshot" && memory.unreadable.has(source.sha256);
  const kept = order.attestSetAside
    ? volume.aside.filter(({ folder }) => folder.wal !== undefined)
    : [];
  const attestation: Attestation = {
    ...{ schema: 1, clusterUid, member, epoch, instanceId, volumeId },
    ...(unreadable ? { unreadable: source.sha256 } : {}),
    ...(data === undefined ? {} : { data }),
    setAside: kept.flatMap(({ name, folder }) =>
      folder.wal === undefined || folder.marker === undefined
        ? []
        : [{ ...holdingOf(folder.wal, folder.marker.generation, folder.damage), setAside: name }],
    ),
  };
  const writes = new Set<number>();
  for (const folder of [volume.data, ...volume.aside.map((each) => each.folder)]) {
    for (const write of folder?.wal === undefined ? [] : writesOf(folder.wal)) {
      writes.add(write);
    }
  }
  world.evidence.set(attestation, writes);
  yield* put(world, machine.member, storage.attestation(epoch, member), attestation, "absent");
}

export function* propose(
  agent: Agent,
  { facts, etag }: Decision,
  { record, source }: Extract<Action, { kind: "propose" }>,
): Steps<void> {
  const { world, machine, memory } = agent;
  let named: NamedSource | "new";
  switch (source.kind) {
    case "new":
      named = "new";
      break;
    case "own": {
      yield "recovers its copy";
      const volume = volumeOf(agent);
      const folder =
        source.folder === undefined
          ? volume.data
          : volume.aside.find(({ name }) => name === source.folder)?.folder;
      if (folder?.wal === undefined) {
        throw new Abandoned("the copy is gone");
      }
      const refusal = notRecoverable(world, folder);
      if (refusal !== undefined) {
        memory.notRecoverable.set(record.epoch, refusal);
        return;
      }
      const wal = world.rules.order.copySurvivor ? copyOf(folder.wal) : folder.wal;
      const upTo = world.rules.order.raiseCommit ? wal.entries.length : wal.commit;
      if (wal.base !== undefined) {
        // What --force-new-cluster does, in the copy: from here on there is one voter.
        const configuration = { voters: [wal.id], learners: [], removed: [] };
        wal.base = { writes: wal.base.writes, configuration };
      }
      named = yield* upload(agent, writesOf(wal, upTo), source.rank);
      break;
    }
    case "backup":
      yield "fetches a backup";
      if (world.contents.get(source.backup.sha256)?.readable !== true) {
        if (world.rules.order.verifySource) {
          memory.unreadable.add(source.backup.sha256);
          return;
        }
      }
      named = yield* upload(
        agent,
        world.contents.get(source.backup.sha256)?.writes ?? new Set(),
        source.backup.rank,
        source.backup.sha256,
      );
      break;
    case "named":
      yield "fetches a source";
      if (world.contents.get(source.sha256)?.readable !== true && world.rules.order.verifySource) {
        memory.unreadable.add(source.sha256);
        return;
      }
      named = { key: source.key, sha256: source.sha256, rank: source.rank };
      break;
  }
  const next = world.rules.transitions.nextGeneration(record, facts.roll.attestations, named);
  yield* putRecord(world, machine.member, next, etag);
}

/** Why a copy does not become a source. */
function notRecoverable({ scenario }: World, { damage, wal }: Folder): string | undefined {
  if (damage !== undefined) {
    return "it is damaged";
  }
  if (wal?.base === undefined) {
    return "it is empty";
  }
  const last = configurationAt(wal, wal.entries.length);
  return last.voters.includes(wal.id) || scenario.nonVoters ? undefined : "it is not a voter's";
}

function* upload(
  { world, machine }: Agent,
  writes: ReadonlySet<number>,
  rank: NamedSource["rank"],
  known?: string,
): Steps<NamedSource> {
  const sha256 = known ?? world.unique("sha");
  if (known === undefined) {
    world.contents.set(sha256, { writes, readable: true });
  }
  const key = storage.source(sha256);
  yield* put(world, machine.member, key, sha256, "any");
  yield* read(world, machine.member, key);
  return { key, sha256, rank };
}
