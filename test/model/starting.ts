import type { Action } from "../../scripts/agent/facts";
import type { Intent } from "../../scripts/agent/marker";
import type { ClusterRecord } from "../../scripts/agent/record";
import { Abandoned } from "./etcd";
import type { Agent } from "./gather";
import { replaceByLearner } from "./membership";
import { folderOf, format, stop, volumeOf } from "./onDisk";
import { join, read, type Steps } from "./store";

/** The ways in which an agent starts etcd. The order of the steps is the agent's own. */

function identityIn(agent: Agent, { clusterUid, generation }: ClusterRecord): Intent {
  const { name, volumeId } = agent.machine.member;
  return { clusterUid, member: name, volumeId, generation };
}

export function* formFirst(agent: Agent, record: ClusterRecord): Steps<void> {
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
  const peers =
    world.rules.order.peers === "roster"
      ? record.roster.map(({ name }) => name)
      : [...world.members.keys()];
  machine.settings = { startAs, token, generation, initial, peers };
  yield "gives the permit";
  machine.permit = true;
  world.kill(machine, true);
  machine.service = "starting";
  machine.restarts = 0;
}

export function* restore(agent: Agent, record: ClusterRecord): Steps<void> {
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

export function* rejoin(agent: Agent, record: ClusterRecord): Steps<void> {
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

export function* start(agent: Agent, action: Extract<Action, { kind: "start" }>): Steps<void> {
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
