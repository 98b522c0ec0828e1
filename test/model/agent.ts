import { act } from "./act";
import { Abandoned, readMembers } from "./etcd";
import { gather, type Agent } from "./gather";
import { Violation } from "./ledger";
import { dropIntent } from "./onDisk";
import { positionAt, writesOf } from "./log";
import { put, readRecord } from "./store";
import type { Machine, Memory, Process, Program, World } from "./world";

/** The agent's processes: the loop that lives as long as the machine, a bootstrap beside it, and a backup. */

/** Rounds after which a bootstrap gives up. */
const bootstrapRounds = 12;

/** Starts a process on a machine. */
export function startProcess(world: World, machine: Machine, kind: Process["kind"]): void {
  const memory: Memory = {
    quorumSeen: world.now,
    wasRunning: false,
    unreadable: new Set(),
    notRecoverable: new Map(),
    progress: undefined,
    volumeMissing: undefined,
  };
  const self: { process?: Process } = {};
  const program =
    kind === "backup" ? backup(world, machine, self) : loop({ world, machine, memory }, self, kind);
  const process: Process = { kind, program };
  self.process = process;
  machine.processes.push(process);
}

/** Lets a process do its next step. */
export function stepProcess(world: World, machine: Machine, process: Process): void {
  const { done, value } = process.program.next();
  if (world.trace !== undefined && value !== undefined && value !== "") {
    world.say(`${machine.member.name} ${machine.instanceId} ${process.kind}`, value);
  }
  if (done === true) {
    world.end(machine, process);
  }
}

function* loop(agent: Agent, self: { process?: Process }, kind: "boot" | "bootstrap"): Program {
  const { world, machine } = agent;
  for (let round = 0; kind === "boot" || round < bootstrapRounds; round += 1) {
    while (world.rules.order.lock && machine.lock !== undefined) {
      yield "";
    }
    machine.lock = self.process;
    try {
      yield* oneRound(agent);
    } catch (error) {
      if (!(error instanceof Abandoned)) {
        throw error;
      }
      yield error.message;
    } finally {
      if (machine.lock === self.process) {
        machine.lock = undefined;
      }
    }
    yield "";
  }
}

function* oneRound(agent: Agent): Program {
  const { world, machine } = agent;
  dropIntent(agent);
  const { facts, etag } = yield* gather(agent);
  const action = world.rules.plan(facts);
  machine.decision = action;
  if (action.kind === "wait") {
    world.waits.add(action.name);
  }
  if (action.kind === "idle" && facts.live.quorum && facts.record.kind === "present") {
    sayReached(agent);
  }
  if (world.trace !== undefined) {
    const more =
      action.kind === "wait"
        ? ` ${action.name}: ${action.needs}`
        : action.kind === "refuse"
          ? ` ${action.reason}`
          : "";
    world.say(`${machine.member.name} ${machine.instanceId}`, `decides: ${action.kind}${more}`);
  }
  if (
    facts.record.kind === "unreachable" &&
    facts.live.running &&
    facts.disk.kind === "data" &&
    action.kind !== "idle" &&
    action.kind !== "refuse"
  ) {
    throw new Violation(8, `${machine.member.name} does ${action.kind} because S3 is out of reach`);
  }
  yield* act(agent, { action, facts, etag });
}

/** Says in the bucket how far the log has come, as far as it is on the disk. */
function sayReached({ world, machine: { member, etcd } }: Agent): void {
  if (etcd === undefined || !member.s3) {
    return;
  }
  const { wal } = etcd;
  const { index } = positionAt(wal, Math.min(wal.commit, wal.synced));
  const before = world.reached.get(member.name);
  if (before?.id !== wal.id || before.index < index) {
    world.reached.set(member.name, { id: wal.id, index });
  }
}

/** A backup: between the look at the record and the end of the put nothing is sworn to. */
function* backup(world: World, machine: Machine, self: { process?: Process }): Program {
  if (machine.upload !== undefined) {
    return;
  }
  machine.upload = self.process;
  try {
    const view = yield* readRecord(world, machine.member);
    const { etcd } = machine;
    if (view.kind !== "present" || view.record.phase !== "open" || etcd === undefined) {
      return;
    }
    const { generation } = view.record;
    if (etcd.generation !== generation || etcd.wal.base === undefined) {
      return;
    }
    const linearizable = readMembers(world, etcd) !== undefined;
    const writes = writesOf(etcd.wal, etcd.commit);
    const rank = { generation, ...positionAt(etcd.wal, etcd.commit) };
    yield linearizable ? "takes a backup" : "takes a backup without a quorum";
    const sha256 = world.unique("sha");
    const key = `backups/${machine.member.name}/${sha256}`;
    world.contents.set(sha256, { writes, readable: true });
    yield* put(world, machine.member, key, { key, sha256, rank }, "absent");
    yield "";
  } catch (error) {
    if (!(error instanceof Abandoned)) {
      throw error;
    }
  } finally {
    if (machine.upload === self.process) {
      machine.upload = undefined;
    }
  }
}
