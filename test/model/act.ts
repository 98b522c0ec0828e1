import type { Attestation, Report } from "../../scripts/agent/attestation";
import type { Action, Facts } from "../../scripts/agent/facts";
import type { Intent } from "../../scripts/agent/marker";
import type { ClusterRecord, NamedSource } from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import { Abandoned, propose as proposeChange, readMembers } from "./etcd";
import { inspect, type Folder, type Volume } from "./disk";
import { askOthers, reachable, type Agent } from "./gather";
import { Violation } from "./ledger";
import {
  configurationAt,
  copyOf,
  holdingOf,
  nameOf,
  positionAt,
  writesOf,
  type Entry,
  type Wal,
} from "./log";
import { join, put, putRecord, read, type Steps } from "./store";
import type { Machine, World } from "./world";

/** What the agent does, split into the steps between which it may be preempted or die. The order is the agent's own. */

/** One round's decision, and what it was made from. */
export interface Decision {
  readonly action: Action;
  readonly facts: Facts;
  readonly etag: string | undefined;
}

/** Does it. */
export function* act(agent: Agent, decision: Decision): Steps<void> {
  const { action } = decision;
  const { world, machine } = agent;
  switch (action.kind) {
    case "idle":
    case "wait":
    case "refuse":
      return;
    case "createRecord":
      return yield* createRecord(agent);
    case "createVolume":
      yield "creates a volume";
      machine.member.volumeId = world.addVolume().id;
      return;
    case "formFirst":
      return yield* formFirst(agent, action.record);
    case "restore":
      return yield* restore(agent, action.record);
    case "rejoin":
      return yield* rejoin(agent, action.record);
    case "start":
      return yield* start(agent, action);
    case "promote":
      return yield* promote(agent);
    case "setAside":
      return yield* setAside(agent, action.generation);
    case "report":
      return yield* report(agent, decision.facts, action.record, action.holds);
    case "callRoll": {
      const called = world.rules.transitions.withRollCalled(action.record);
      yield* putRecord(world, machine.member, called, decision.etag);
      return;
    }
    case "closeRoll": {
      const closed = world.rules.transitions.withRollClosed(action.record);
      yield* putRecord(world, machine.member, closed, decision.etag);
      return;
    }
    case "hold":
      return yield* hold(agent, action.epoch);
    case "attest":
      return yield* attest(agent, decision.facts, action.record);
    case "propose":
      return yield* propose(agent, decision, action);
  }
}

/** The volume, if the machine has it. */
function volumeOf({ world, machine }: Agent): Volume {
  const volume = world.volumeOf(machine.member);
  if (!volume.exists) {
    throw new Abandoned("the volume is gone");
  }
  return volume;
}

/** The data directory, made if there is none. */
function folderOf(agent: Agent): Folder {
  const volume = volumeOf(agent);
  volume.data ??= {};
  return volume.data;
}

function* createRecord({ world, machine }: Agent): Steps<void> {
  const initialMembers = [...world.members.values()]
    .filter(({ index }) => index < world.scenario.size)
    .map(({ name, address, configured }) => ({ name, address, volumeId: configured }));
  const config = { cluster: "model", initialMembers } as unknown as Parameters<
    typeof world.rules.transitions.firstRecord
  >[0];
  const first = world.rules.transitions.firstRecord(config);
  yield* putRecord(
    world,
    machine.member,
    { ...first, clusterUid: "uid", token: "first" },
    undefined,
  );
}

function identityIn(agent: Agent, { clusterUid, generation }: ClusterRecord): Intent {
  const { name, volumeId } = agent.machine.member;
  return { clusterUid, member: name, volumeId, generation };
}

function* format(agent: Agent): Steps<Volume> {
  yield "formats";
  const volume = volumeOf(agent);
  if (!volume.formatted) {
    volume.formatted = true;
  } else if (!agent.world.rules.order.formatOnlyBlank) {
    if (volume.data?.marker !== undefined || volume.aside.length > 0) {
      throw new Violation(4, `${volume.id} is formatted, and was marked`);
    }
    volume.data = undefined;
  }
  return volume;
}

function* stop({ world, machine }: Agent): Steps<void> {
  yield "takes the permit away";
  machine.permit = false;
  yield "stops etcd";
  world.kill(machine, true);
  machine.service = "stopped";
}

function* formFirst(agent: Agent, record: ClusterRecord): Steps<void> {
  const { order } = agent.world.rules;
  yield* stop(agent);
  yield* format(agent);
  if (order.intent) {
    yield "writes the intent";
    folderOf(agent).intent = identityIn(agent, record);
  }
  let joined = record;
  if (order.joinFirst) {
    joined = yield* joinWith(agent, record);
  }
  yield "writes the marker";
  const { instanceId } = agent.machine;
  folderOf(agent).marker = { ...identityIn(agent, record), instanceId };
  yield* letGo(agent, joined, "new");
  if (!order.joinFirst) {
    yield* joinWith(agent, record);
  }
}

function* joinWith({ world, machine }: Agent, { generation }: ClusterRecord): Steps<ClusterRecord> {
  const { member } = machine;
  return yield* join(world, member, { name: member.name, volumeId: member.volumeId }, generation);
}

function* letGo(
  { world, machine }: Agent,
  record: ClusterRecord,
  startAs: "new" | "existing",
): Steps<void> {
  yield "writes etcd's settings";
  const { token, generation } = record;
  const initial =
    world.rules.order.initial === "initial"
      ? record.initial
      : record.roster.map(({ name }) => name);
  const peers = record.roster.map(({ name }) => name);
  machine.settings = { startAs, token, generation, initial, peers };
  yield "gives the permit";
  machine.permit = true;
  world.kill(machine, true);
  machine.service = "starting";
  machine.restarts = 0;
}

function* restore(agent: Agent, record: ClusterRecord): Steps<void> {
  const { world, machine, memory } = agent;
  const { source, token, initial, generation } = record;
  if (source.kind === "new") {
    throw new Error("this generation did not begin with a snapshot");
  }
  yield* stop(agent);
  const volume = yield* format(agent);
  if (volume.restoring?.intent?.generation !== generation) {
    volume.restoring = undefined;
    yield* read(world, machine.member, source.key);
    const content = world.contents.get(source.sha256);
    if (content?.readable !== true) {
      memory.unreadable.add(source.sha256);
      return;
    }
    yield "restores";
    const settings = { token, initial, generation };
    const wal = world.bootstrapLog(machine.member.name, settings, content.writes);
    volumeOf(agent).restoring = { wal };
    yield "writes the intent of the restore";
    const { restoring } = volumeOf(agent);
    if (restoring !== undefined) {
      restoring.intent = identityIn(agent, record);
    }
  }
  const joined = world.rules.order.joinFirst ? yield* joinWith(agent, record) : record;
  yield "marks the restored data";
  const { restoring, data } = volumeOf(agent);
  if (restoring?.intent === undefined) {
    throw new Abandoned("the restored data is gone");
  }
  restoring.marker = { ...identityIn(agent, record), instanceId: machine.instanceId };
  yield "renames the restored data";
  if (data !== undefined && Object.keys(data).length > 0) {
    throw new Abandoned("something is in the way");
  }
  const there = volumeOf(agent);
  there.data = restoring;
  there.restoring = undefined;
  yield* letGo(agent, joined, "existing");
  if (!world.rules.order.joinFirst) {
    yield* joinWith(agent, record);
  }
}

function* rejoin(agent: Agent, record: ClusterRecord): Steps<void> {
  const { world, machine } = agent;
  yield* stop(agent);
  yield* format(agent);
  yield "writes the marker";
  folderOf(agent).marker = { ...identityIn(agent, record), instanceId: machine.instanceId };
  const joined = yield* joinWith(agent, record);
  if (world.rules.order.rejoinAs === "learner") {
    yield* replaceByLearner(agent, joined);
  }
  yield* letGo(agent, joined, "existing");
}

function* replaceByLearner(agent: Agent, record: ClusterRecord): Steps<void> {
  const { world, machine } = agent;
  const { name } = machine.member;
  yield "lists the members";
  const list = askOthers(world, machine);
  if (list === undefined) {
    throw new Abandoned("nobody answers");
  }
  const stale = [...list.voters, ...list.learners].filter((id) => {
    const entry = record.roster.find((each) => each.name === nameOf(id));
    const blocks = list.learners.includes(id) && (entry === undefined || entry.leaving === true);
    return nameOf(id) === name || blocks;
  });
  for (const id of stale) {
    yield* change(agent, "remove", id);
  }
  yield* change(agent, "addLearner", world.unique(`${name}.n`));
}

/** Has etcd change its members through another one, and waits until that one has applied it. */
function* change(agent: Agent, kind: "addLearner" | "promote" | "remove", id: string): Steps<void> {
  const { world, machine } = agent;
  yield `asks for: ${kind} ${id}`;
  const through = reachable(world, machine).find((each) => readMembers(world, each) !== undefined);
  if (through === undefined) {
    throw new Abandoned("nobody answers");
  }
  const entry = proposeChange(world, through, kind, id);
  yield* applied(through, entry);
}

function* applied(etcd: { wal: Wal; commit: number }, entry: Entry): Steps<void> {
  for (let patience = 0; patience < 12; patience += 1) {
    yield "waits for etcd to apply it";
    if (etcd.wal.entries.lastIndexOf(entry, etcd.commit - 1) >= 0 && etcd.commit > 0) {
      return;
    }
  }
  throw new Abandoned("etcd did not apply it in time");
}

function* start(agent: Agent, action: Extract<Action, { kind: "start" }>): Steps<void> {
  const { world, machine } = agent;
  const { record, marker } = action;
  if (record === undefined) {
    if (machine.settings === undefined && world.rules.order.secondGuards) {
      throw new Abandoned("etcd's settings are not here yet");
    }
    yield "gives the permit, without the record";
    machine.permit = true;
    machine.service = machine.etcd === undefined ? "starting" : "running";
    machine.restarts = 0;
    return;
  }
  const joined = yield* joinWith(agent, record);
  yield "writes the marker";
  folderOf(agent).marker = { ...marker, instanceId: machine.instanceId };
  const { held } = folderOf(agent);
  if (held !== undefined) {
    if (!(held < joined.epoch) && world.rules.order.release === "later") {
      throw new Abandoned("this member is held");
    }
    yield "releases";
    delete folderOf(agent).held;
  }
  yield* letGo(agent, joined, "existing");
}

function* promote(agent: Agent): Steps<void> {
  const { etcd } = agent.machine;
  if (etcd !== undefined) {
    yield* change(agent, "promote", etcd.id);
  }
}

function* setAside(agent: Agent, generation: number): Steps<void> {
  const { world } = agent;
  yield* stop(agent);
  yield "removes what was being restored";
  const volume = volumeOf(agent);
  volume.restoring = undefined;
  if (volume.data === undefined) {
    return;
  }
  yield "sets the data aside";
  const there = volumeOf(agent);
  if (there.data !== undefined) {
    if (world.rules.order.keepSetAside) {
      const name = world.unique(`set-aside-${generation}-`);
      there.aside.push({ name, generation, folder: there.data });
    } else if (there.data.wal !== undefined) {
      throw new Violation(4, "data is deleted");
    }
    there.data = undefined;
  }
}

function* report(
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

function* hold(agent: Agent, epoch: number): Steps<void> {
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

function* attest(agent: Agent, facts: Facts, record: ClusterRecord): Steps<void> {
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

function* propose(
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

/** What a running process does beside: the intent has done its duty once there is a log. */
export function dropIntent({ world, machine }: { world: World; machine: Machine }): void {
  const { data } = world.volumeOf(machine.member);
  if (data?.wal !== undefined && data.intent !== undefined && machine.etcd !== undefined) {
    delete data.intent;
  }
}
