import { storage } from "../../components/plan/storage";
import { startProcess } from "./agent";
import { campaign, replicate, sync } from "./etcd";
import { copyOf, positionAt } from "./log";
import { resize, restore } from "./operator";
import type { Rates } from "./scenario";
import type { Machine, Member, World } from "./world";

/** What happens in a step: an agent's next move, raft's next message, or something that goes wrong. */

type Event = (world: World) => void;

function someone(world: World): Member | undefined {
  return world.random.pick([...world.members.values()]);
}

function someMachine(world: World): Machine | undefined {
  return someone(world)?.machine;
}

/** Brings a new machine for a member, if its last one is gone. */
export function launch(world: World, member: Member): void {
  if (member.machine !== undefined || member.fenced) {
    return;
  }
  const machine: Machine = {
    instanceId: world.unique("i-"),
    member,
    permit: false,
    service: "stopped",
    restarts: 0,
    settings: undefined,
    etcd: undefined,
    processes: [],
    lock: undefined,
    upload: undefined,
    decision: undefined,
  };
  member.machine = machine;
  startProcess(world, machine, "boot");
  world.say(member.name, `is on ${machine.instanceId}`);
}

/** One message of raft: a leader syncs, or sends to somebody. */
export function raft(world: World, lossy: number): void {
  const leaders = world.running().filter((each) => each.leads);
  const leader = world.random.pick(leaders);
  if (leader === undefined) {
    return;
  }
  const { voters, learners } = leader.configuration;
  const others = [...voters, ...learners].filter((id) => id !== leader.id);
  const at = world.random.int(others.length + 1);
  const to = others[at];
  if (to === undefined) {
    sync(world, leader);
  } else {
    replicate(world, leader, to, world.random.int(5), lossy);
  }
}

/** A client writes through some leader. */
export function write(world: World): void {
  const leader = world.random.pick(world.running().filter((each) => each.leads));
  leader?.wal.entries.push({ term: leader.wal.term, kind: "write", write: world.number() });
}

/** Time passes. */
export function time(world: World, seconds: number): void {
  world.now += seconds;
}

const events: Readonly<Record<Exclude<keyof Rates, "agent" | "operator">, Event>> = {
  time: (world) => {
    time(world, 10 + world.random.int(120));
  },
  write,
  raft: (world) => {
    raft(world, world.scenario.lossy);
  },
  campaign: (world) => {
    const candidate = world.random.pick(world.running());
    if (candidate !== undefined) {
      campaign(world, candidate, world.scenario.lossy);
    }
  },
  systemd: (world) => {
    const machine = someMachine(world);
    if (machine !== undefined) {
      world.startService(machine);
    }
  },
  killEtcd: (world) => {
    const machine = someMachine(world);
    if (machine?.etcd !== undefined) {
      world.say(machine.member.name, "etcd is killed");
      world.kill(machine);
    }
  },
  killAgent: (world) => {
    const machine = someMachine(world);
    const process = world.random.pick(machine?.processes ?? []);
    if (machine !== undefined && process !== undefined) {
      world.say(machine.member.name, `${process.kind} is killed`);
      world.end(machine, process);
      if (process.kind === "boot") {
        startProcess(world, machine, "boot");
      }
    }
  },
  secondAgent: (world) => {
    const machine = someMachine(world);
    if (machine !== undefined && machine.processes.length < 2) {
      startProcess(world, machine, "bootstrap");
    }
  },
  killMachine: (world) => {
    const machine = someMachine(world);
    if (machine !== undefined) {
      world.say(machine.member.name, `${machine.instanceId} is destroyed`);
      world.destroy(machine);
    }
  },
  reboot: (world) => {
    const machine = someMachine(world);
    if (machine !== undefined) {
      world.say(machine.member.name, "reboots");
      machine.permit = world.rules.order.permitInMemory ? false : machine.permit;
      world.kill(machine);
      machine.processes.length = 0;
      machine.lock = undefined;
      machine.upload = undefined;
      startProcess(world, machine, "boot");
    }
  },
  launch: (world) => {
    const member = someone(world);
    if (member !== undefined) {
      launch(world, member);
    }
  },
  loseVolume: (world) => {
    const member = someone(world);
    if (member !== undefined) {
      world.say(member.name, `${member.volumeId} is destroyed`);
      if (member.machine !== undefined) {
        if (world.random.chance(0.7)) {
          world.destroy(member.machine);
        } else {
          world.kill(member.machine);
        }
      }
      const volume = world.volumeOf(member);
      volume.exists = false;
      world.ledger.disksWereLost = true;
    }
  },
  damage: (world) => {
    const member = someone(world);
    const wal = member === undefined ? undefined : world.volumeOf(member).data?.wal;
    const folder = member === undefined ? undefined : world.volumeOf(member).data;
    if (member !== undefined && wal !== undefined && folder !== undefined) {
      world.say(member.name, "a byte of the log flips");
      if (member.machine !== undefined) {
        world.kill(member.machine);
      }
      wal.entries.length = world.random.int(wal.entries.length + 1);
      wal.synced = Math.min(wal.synced, wal.entries.length);
      wal.commit = Math.min(wal.commit, wal.entries.length);
      folder.damage = "the log does not decode";
    }
  },
  copyVolume: (world) => {
    const member = someone(world);
    const from = member === undefined ? undefined : world.volumeOf(member);
    if (member?.machine === undefined || from?.data?.wal === undefined) {
      return;
    }
    // Somebody restores a snapshot of the volume, and gives it to the member under its new id.
    world.say(member.name, "its volume is replaced by a copy");
    world.destroy(member.machine);
    const copy = world.addVolume();
    copy.formatted = true;
    const { wal, marker } = from.data;
    copy.data = { ...from.data, wal: { ...wal, entries: [...wal.entries] } };
    if (marker === undefined) {
      delete copy.data.marker;
    }
    member.volumeId = copy.id;
  },
  putBack: (world) => {
    const member = someone(world);
    const volume = member === undefined ? undefined : world.volumeOf(member);
    const wal = volume?.data?.wal;
    if (member === undefined || volume?.data?.marker === undefined || wal === undefined) {
      return;
    }
    const older = world.copies.get(volume.id);
    const reached = world.reached.get(member.name);
    // One that is younger than what was said last cannot be told from what is there.
    const shows =
      older?.wal !== undefined &&
      older.wal.id === reached?.id &&
      positionAt(older.wal, older.wal.entries.length).index < reached.index;
    if (older?.wal === undefined || !shows) {
      world.copies.set(volume.id, { ...volume.data, wal: copyOf(wal) });
      return;
    }
    world.say(member.name, "its volume is what it was a while ago");
    if (member.machine !== undefined) {
      world.destroy(member.machine);
    }
    volume.data = { ...older, wal: copyOf(older.wal) };
    world.ledger.disksWereLost = true;
  },
  detach: (world) => {
    const member = someone(world);
    if (member !== undefined && member.machine?.etcd === undefined) {
      member.attachable = !member.attachable;
    }
  },
  partition: (world) => {
    const members = [...world.members.values()];
    const all = (1 << members.length) - 1;
    const kind = world.random.int(3);
    const sides = world.random.int(all + 1);
    const [a, b] = world.random.shuffled(members);
    world.say("network", `partition ${kind}`);
    for (const member of members) {
      const own = 1 << member.index;
      switch (kind) {
        case 0:
          member.cut = ((sides & own) === 0 ? sides : ~sides) & all;
          break;
        case 1:
          member.cut = member === a ? all & ~own : 1 << (a?.index ?? 0);
          break;
        default:
          if (a !== undefined && b !== undefined && (member === a || member === b)) {
            member.cut |= 1 << (member === a ? b.index : a.index);
          }
      }
      member.cut &= ~own;
    }
  },
  heal: (world) => {
    for (const member of world.members.values()) {
      member.cut = 0;
    }
  },
  s3: (world) => {
    const member = someone(world);
    if (member !== undefined) {
      member.s3 = !member.s3;
    }
  },
  lateS3: (world) => {
    const { late } = world.bucket;
    if (late.length > 0) {
      world.bucket.settle(world.random.int(late.length), world.random.chance(0.7));
    }
  },
  backup: (world) => {
    const machine = someMachine(world);
    if (machine?.etcd !== undefined && machine.processes.length < 3) {
      startProcess(world, machine, "backup");
    }
  },
  badBackup: (world) => {
    const backup = world.random.pick(world.backups);
    const content = backup === undefined ? undefined : world.contents.get(backup.sha256);
    // A source is an object of its own.
    const used = world.bucket.get(storage.source(backup?.sha256 ?? "")) !== undefined;
    if (backup !== undefined && content !== undefined && !used) {
      world.contents.set(backup.sha256, { ...content, readable: false });
    }
  },
  badSource: (world) => {
    // Not between the proof that it is sound and the put that names it: nobody could tell.
    const { source } = world.record?.phase === "open" ? world.record : {};
    const content = source?.kind === "snapshot" ? world.contents.get(source.sha256) : undefined;
    if (source?.kind === "snapshot" && content !== undefined) {
      world.say("bucket", `${source.sha256} is not what it was`);
      world.contents.set(source.sha256, { ...content, readable: false });
      world.ledger.disksWereLost = true;
    }
  },
  resize: (world) => {
    if (world.operators.length > 0) {
      return;
    }
    const roster = world.record?.roster.map(({ name }) => name) ?? [];
    const next = world.random.shuffled(roster);
    if (next.length === 0) {
      return;
    }
    if (next.length > 1 && world.random.chance(0.5)) {
      next.pop();
    } else if (world.members.size < 7) {
      const member = world.addMember(`m${world.members.size + 1}`);
      next.push(member.name);
      launch(world, member);
    }
    world.operators.push(resize(world, next));
  },
  restore: (world) => {
    if (world.operators.length === 0) {
      world.operators.push(restore(world));
    }
  },
};

/** Picks what happens next, by the scenario's rates. */
export class Chooser {
  readonly #kinds: (keyof Rates)[] = [];
  readonly #ends: number[] = [];
  #total = 0;

  constructor(rates: Rates) {
    for (const kind of Object.keys(rates) as (keyof Rates)[]) {
      if (rates[kind] > 0) {
        this.#total += rates[kind];
        this.#kinds.push(kind);
        this.#ends.push(this.#total);
      }
    }
  }

  choose(world: World): keyof Rates {
    const at = world.random.next() * this.#total;
    const index = this.#ends.findIndex((end) => at < end);
    return this.#kinds[index] ?? "time";
  }
}

/** Lets an event happen. */
export function happen(world: World, kind: Exclude<keyof Rates, "agent" | "operator">): void {
  events[kind](world);
}
