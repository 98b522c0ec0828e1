import type { Attestation, Report } from "../../scripts/agent/attestation";
import type { Action, Facts, Live, Roll } from "../../scripts/agent/facts";
import type { Disk } from "../../scripts/agent/marker";
import { isFirstStart } from "../../scripts/agent/plan";
import type { ClusterRecord, RecordView } from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import { inspect } from "./disk";
import { Abandoned, leaderOf, readMembers, type Etcd } from "./etcd";
import { configurationAt, nameOf, positionAt, type Configuration } from "./log";
import { read, readRecord, type Steps } from "./store";
import type { Machine, Memory, World } from "./world";

/** How an agent gathers its facts, one look after the other: the world moves on in between. */

/** Who looks, and what he remembers. */
export interface Agent {
  readonly world: World;
  readonly machine: Machine;
  readonly memory: Memory;
}

/** One round's decision, and what it was made from. */
export interface Decision {
  readonly action: Action;
  readonly facts: Facts;
  readonly etag: string | undefined;
}

/** How often etcd may end by itself before the agent takes it for not running. */
const restartsBeforeLooking = 3;

/** Seconds after which a volume that EC2 does not know is gone. */
const volumeLossSeconds = 600;

/** One round's facts, and the version of the record that they rest on. */
export function* gather(agent: Agent): Steps<{ facts: Facts; etag: string | undefined }> {
  const { world, machine } = agent;
  const { member } = machine;
  const view = yield* readRecord(world, member);
  yield "looks at the volume";
  noteOlderCopy(agent, view);
  const disk = look(agent);
  yield "asks etcd";
  const live = ask(agent, view, disk);
  const roll = yield* readRoll(agent, view, live);
  return {
    etag: view.kind === "present" ? view.etag : undefined,
    facts: {
      self: {
        member: member.name,
        volumeId: member.volumeId,
        instanceId: machine.instanceId,
        firstMember: member.index < world.scenario.size && member.volumeId === member.configured,
        recovery: world.scenario.recovery,
        quorumLossSeconds: 180,
      },
      disk,
      record: view,
      live,
      roll,
    },
  };
}

function look({ world, machine, memory }: Agent): Disk {
  const volume = world.volumeOf(machine.member);
  if (!volume.exists) {
    memory.volumeMissing ??= world.now;
    return world.now - memory.volumeMissing >= volumeLossSeconds
      ? { kind: "gone" }
      : { kind: "notAttachable", reason: "EC2 does not know it" };
  }
  memory.volumeMissing = undefined;
  return machine.member.attachable
    ? inspect(volume)
    : { kind: "notAttachable", reason: "it is still attached elsewhere" };
}

/** The copy of a volume from before what was said in the bucket is damaged: some of what it had is gone. */
function noteOlderCopy({ world, machine }: Agent, view: RecordView): void {
  const { name } = machine.member;
  const volume = world.volumeOf(machine.member);
  const { data } = volume;
  const reached = world.reached.get(name);
  if (
    world.rules.order.reached &&
    view.kind === "present" &&
    volume.exists &&
    machine.service === "stopped" &&
    data?.wal !== undefined &&
    data.damage === undefined &&
    data.wal.id === reached?.id &&
    positionAt(data.wal, data.wal.entries.length).index < reached.index
  ) {
    world.say(name, "finds an older copy");
    data.damage = "an older copy";
  }
}

/** Processes of other members of the roster that can be reached. */
export function reachable(world: World, { member }: Machine): Etcd[] {
  const roster = world.record?.roster;
  return world.running().filter((each) => {
    const there = world.members.get(each.name);
    return (
      there !== undefined &&
      there !== member &&
      (member.cut & (1 << there.index)) === 0 &&
      (roster === undefined || roster.some(({ name }) => name === each.name))
    );
  });
}

/** The member list that a quorum confirms to one of the others. */
export function askOthers(world: World, machine: Machine): Configuration | undefined {
  for (const other of reachable(world, machine)) {
    const list = readMembers(world, other);
    if (list !== undefined) {
      return list;
    }
  }
  return undefined;
}

function ask(agent: Agent, view: RecordView, disk: Disk): Live {
  const { world, machine, memory } = agent;
  const { etcd } = machine;
  const running =
    machine.service !== "stopped" &&
    !(disk.kind === "blank" && machine.restarts >= restartsBeforeLooking);
  const own = etcd === undefined ? undefined : readMembers(world, etcd);
  const others = wantsOthers(agent, view, disk, running) ? askOthers(world, machine) : undefined;
  const quorum = (own ?? others) !== undefined;
  if (quorum || (running && !memory.wasRunning)) {
    memory.quorumSeen = world.now;
  }
  memory.wasRunning = running;
  const { wal } = world.volumeOf(machine.member).data ?? {};
  const removed =
    wal !== undefined &&
    own === undefined &&
    (configurationAt(wal, wal.commit).removed.includes(wal.id) ||
      (others !== undefined &&
        sameGroup(world, machine, wal.clusterId) &&
        ![...others.voters, ...others.learners].includes(wal.id)));
  return {
    running,
    quorum,
    withoutQuorumSeconds: world.now - memory.quorumSeen,
    someoneAnswers: view.kind === "absent" && reachable(world, machine).length > 0,
    learner: own !== undefined && etcd !== undefined && !etcd.votes,
    removed,
    othersAgree: disk.kind === "data" && disk.damage !== undefined && othersAgree(agent, wal?.id),
  };
}

function sameGroup(world: World, machine: Machine, clusterId: string): boolean {
  return reachable(world, machine).some(
    (each) => each.wal.clusterId === clusterId && readMembers(world, each) !== undefined,
  );
}

function wantsOthers(
  { machine: { member, etcd }, memory }: Agent,
  view: RecordView,
  disk: Disk,
  running: boolean,
): boolean {
  if (view.kind !== "present") {
    return false;
  }
  return running
    ? etcd?.votes !== true || etcd.leader === undefined
    : disk.kind === "blank"
      ? view.record.phase === "rollCall" ||
        !isFirstStart({ member: member.name, volumeId: member.volumeId }, disk, view.record, [
          ...memory.unreadable,
        ])
      : disk.kind === "data" && disk.damage !== undefined;
}

/** Whether all other voters run, and have applied the same. */
function othersAgree({ world, machine }: Agent, own: string | undefined): boolean {
  const list = askOthers(world, machine);
  const others =
    list?.voters.filter((id) => id !== own && nameOf(id) !== machine.member.name) ?? [];
  const found = others.map((id) => reachable(world, machine).find((each) => each.id === id));
  const [first] = found;
  return (
    list !== undefined &&
    others.length * 2 > list.voters.length &&
    found.every(
      (each) =>
        each !== undefined && each.commit === first?.commit && leaderOf(world, each) !== undefined,
    )
  );
}

const nothing: Pick<Roll, "reports" | "attestations" | "previous" | "backups"> = {
  reports: [],
  attestations: [],
  previous: [],
  backups: [],
};

function* readRoll(agent: Agent, view: RecordView, live: Live): Steps<Roll> {
  const { memory, world } = agent;
  const found = view.kind === "present" ? yield* readBulletin(agent, view.record, live) : nothing;
  const epoch = view.kind === "present" ? view.record.epoch : 0;
  const seen = [epoch, ...found.attestations.map(({ member }) => member)].join(" ");
  if (memory.progress?.seen !== seen) {
    memory.progress = { seen, since: world.now };
  }
  const notRecoverable = memory.notRecoverable.get(epoch);
  return {
    ...found,
    unreadable: [...memory.unreadable],
    ...(notRecoverable === undefined ? {} : { notRecoverable }),
    stalledSeconds: world.now - memory.progress.since,
  };
}

function* readBulletin(
  agent: Agent,
  record: ClusterRecord,
  { quorum }: Live,
): Steps<Pick<Roll, "reports" | "attestations" | "previous" | "backups">> {
  const { world, machine } = agent;
  const { backupsLast } = world.rules.order;
  if (record.phase === "rollCall") {
    const early = backupsLast ? [] : [...world.backups];
    const attestations = (yield* all(agent, record, (name) =>
      storage.attestation(
        world.rules.order.epochs ? record.epoch : lastHeard(agent, record, name),
        name,
      ),
    )) as Attestation[];
    if (attestations.length < record.roster.length) {
      return { ...nothing, attestations };
    }
    yield "lists the backups";
    if (!machine.member.s3) {
      throw new Abandoned("S3 does not answer");
    }
    return { ...nothing, attestations, backups: backupsLast ? [...world.backups] : early };
  }
  if (quorum) {
    const own = yield* read(world, machine.member, storage.report(machine.member.name));
    return { ...nothing, reports: own === undefined ? [] : [own as Report] };
  }
  const reports = (yield* all(agent, record, (name) => storage.report(name))) as Report[];
  const previous = (yield* all(agent, record, (name) =>
    storage.attestation(record.epoch - 1, name),
  )) as Attestation[];
  return { ...nothing, reports, previous };
}

/** The last epoch in which a member attested; only a broken variant asks. */
function lastHeard({ world }: Agent, { epoch }: ClusterRecord, name: string): number {
  for (let each = epoch; each > 0; each -= 1) {
    if (world.bucket.get(storage.attestation(each, name)) !== undefined) {
      return each;
    }
  }
  return epoch;
}

function* all(
  agent: Agent,
  record: ClusterRecord,
  key: (name: string) => string,
): Steps<unknown[]> {
  const found: unknown[] = [];
  yield `reads what ${record.roster.length} members say`;
  if (!agent.machine.member.s3) {
    throw new Abandoned("S3 does not answer");
  }
  for (const { name } of record.roster) {
    const value = agent.world.bucket.get(key(name))?.value;
    if (value !== undefined) {
      found.push(value);
    }
  }
  return found;
}
