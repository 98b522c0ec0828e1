import type { Attestation } from "../../scripts/agent/attestation";
import type { Action, BackupFact } from "../../scripts/agent/facts";
import type { ClusterRecord } from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import { Bucket } from "./bucket";
import { freshVolume, type Folder, type Volume } from "./disk";
import { Etcd, type Network } from "./etcd";
import { Ledger } from "./ledger";
import { configurationAt, nameOf, tear, type Configuration, type Entry, type Wal } from "./log";
import { Random } from "./random";
import type { Rules } from "./rules";
import type { Scenario } from "./scenario";

/** Everything that exists in a run: the bucket, members, machines, volumes, and the processes on the machines. */

/** A step by step program: what it yields says what it is about to do. */
export type Program = Generator<string, void, void>;

/** An agent process. */
export interface Process {
  readonly kind: "boot" | "bootstrap" | "backup";
  readonly program: Program;
}

/** What etcd's unit starts with, on the machine's own disk. */
export interface Settings {
  readonly startAs: "new" | "existing";
  readonly token: string;
  readonly initial: readonly string[];
  /** Whom etcd asks who it is, when it joins: those of the roster. */
  readonly peers: readonly string[];
  readonly generation: number;
}

/** What an agent process of a machine remembers. */
export interface Memory {
  quorumSeen: number;
  wasRunning: boolean;
  readonly unreadable: Set<string>;
  readonly notRecoverable: Map<number, string>;
  progress: { readonly seen: string; readonly since: number } | undefined;
  volumeMissing: number | undefined;
}

/** A machine. */
export interface Machine {
  readonly instanceId: string;
  readonly member: Member;
  permit: boolean;
  service: "stopped" | "starting" | "running";
  restarts: number;
  settings: Settings | undefined;
  etcd: Etcd | undefined;
  readonly processes: Process[];
  lock: Process | "operator" | undefined;
  /** What its agent decided last. */
  decision: Action | undefined;
  /** A process that is putting a backup into the bucket. */
  upload: Process | undefined;
}

/** A member: what outlives machines. */
export interface Member {
  readonly name: string;
  readonly address: string;
  /** The volume that the configuration knows. */
  readonly configured: string;
  volumeId: string;
  machine: Machine | undefined;
  /** The group is at zero: nothing is launched. */
  fenced: boolean;
  readonly index: number;
  /** Bits of the members that cannot be reached from here. */
  cut: number;
  s3: boolean;
  attachable: boolean;
}

/** What a file in the bucket holds. */
export interface Content {
  readonly writes: ReadonlySet<number>;
  readonly readable: boolean;
}

/** A group of members that were started as one. */
export interface Group {
  readonly id: string;
  readonly generation: number;
  readonly token: string;
  readonly initial: readonly string[];
  /** What was committed, as the leaders saw it. */
  readonly committed: Entry[];
}

export class World implements Network {
  readonly random: Random;
  readonly scenario: Scenario;
  readonly rules: Rules;
  readonly bucket = new Bucket();
  readonly members = new Map<string, Member>();
  readonly volumes = new Map<string, Volume>();
  readonly groups = new Map<string, Group>();
  readonly contents = new Map<string, Content>();
  readonly backups: BackupFact[] = [];
  /** Those that came after whoever sent them was gone: nobody can be made to wait for them. */
  readonly lateBackups = new Set<string>();
  /** How far members have said that their logs had come, by name. */
  readonly reached = new Map<string, { readonly id: string; readonly index: number }>();
  /** Copies that were made of volumes, by the volume's id. */
  readonly copies = new Map<string, Folder>();
  readonly evidence = new WeakMap<Attestation, ReadonlySet<number>>();
  /** Records that an operator put, with those whom he had fenced, and whether he chose the source himself. */
  readonly byOperator = new WeakMap<
    ClusterRecord,
    { readonly fenced: ReadonlySet<string>; readonly chosen: boolean }
  >();
  readonly operators: Program[] = [];
  /** Names of the waits that agents came to. */
  readonly waits = new Set<string>();
  readonly ledger: Ledger;
  readonly trace: string[] | undefined;
  /** Faults happen; switched off, everything becomes well. */
  chaos = true;
  now = 0;
  steps = 0;
  #count = 0;
  #running: Etcd[] | undefined;

  constructor(scenario: Scenario, rules: Rules, traced: boolean) {
    this.scenario = scenario;
    this.rules = rules;
    this.random = new Random(scenario.seed);
    this.trace = traced ? [] : undefined;
    this.ledger = new Ledger(this);
    this.bucket.onPut = (key, value, late) => {
      if (key === storage.record) {
        this.ledger.recordChanged(value as ClusterRecord);
      } else if (key.startsWith("backups/")) {
        const backup = value as BackupFact;
        this.backups.push(backup);
        if (late) {
          this.lateBackups.add(backup.sha256);
        }
      }
    };
    for (let at = 1; at <= scenario.size; at += 1) {
      this.addMember(`m${at}`);
    }
  }

  say(who: string, what: string): void {
    this.trace?.push(`${this.steps} ${who}: ${what}`);
  }

  unique(prefix: string): string {
    this.#count += 1;
    return `${prefix}${this.#count}`;
  }

  number(): number {
    this.#count += 1;
    return this.#count;
  }

  addMember(name: string): Member {
    const volume = this.addVolume();
    const member: Member = {
      name,
      address: `10.0.0.${this.members.size + 1}`,
      configured: volume.id,
      volumeId: volume.id,
      machine: undefined,
      fenced: false,
      index: this.members.size,
      cut: 0,
      s3: true,
      attachable: true,
    };
    this.members.set(name, member);
    return member;
  }

  addVolume(): Volume {
    const volume = freshVolume(this.unique("vol-"));
    this.volumes.set(volume.id, volume);
    return volume;
  }

  volumeOf(member: Member): Volume {
    const volume = this.volumes.get(member.volumeId);
    if (volume === undefined) {
      throw new Error(`there never was ${member.volumeId}`);
    }
    return volume;
  }

  get record(): ClusterRecord | undefined {
    return this.bucket.get(storage.record)?.value as ClusterRecord | undefined;
  }

  /** The group that static bootstrap, or a restore, makes: etcd derives its ids from the token and the first members. */
  groupOf(token: string, initial: readonly string[], generation: number): Group {
    const key = `${token} ${initial.join(" ")}`;
    let group = this.groups.get(key);
    if (group === undefined) {
      const id = `c${this.groups.size + 1}`;
      group = { id, generation, token, initial: [...initial], committed: [] };
      this.groups.set(key, group);
    }
    return group;
  }

  group(id: string): Group {
    const group = [...this.groups.values()].find((each) => each.id === id);
    if (group === undefined) {
      throw new Error(`there is no group ${id}`);
    }
    return group;
  }

  // Raft's surroundings.

  running(): readonly Etcd[] {
    this.#running ??= [...this.members.values()].flatMap(({ machine }) => machine?.etcd ?? []);
    return this.#running;
  }

  reaches(from: Etcd, to: Etcd): boolean {
    const a = this.members.get(from.name);
    const b = this.members.get(to.name);
    return a !== undefined && b !== undefined && (a.cut & (1 << b.index)) === 0;
  }

  committed(leader: Etcd, from: number): void {
    this.ledger.committed(leader, from);
  }

  elected(leader: Etcd): void {
    this.say(leader.name, `leads ${leader.wal.clusterId} in term ${leader.wal.term}`);
    this.ledger.elected(leader);
  }

  ends(etcd: Etcd): void {
    const machine = this.members.get(etcd.name)?.machine;
    if (machine?.etcd === etcd) {
      this.say(etcd.name, "etcd ends: it was removed");
      this.kill(machine, true);
    }
  }

  // Processes.

  /** Ends etcd's process; systemd starts it again while it may. With a machine, what was not synced goes as well. */
  kill(machine: Machine, clean = false): void {
    const { etcd } = machine;
    if (etcd !== undefined) {
      const { wal } = etcd;
      if (!clean) {
        const span = wal.entries.length - wal.synced;
        tear(wal, wal.synced + this.random.int(span + 1));
      } else {
        tear(wal, wal.entries.length);
      }
      machine.etcd = undefined;
      this.#running = undefined;
    }
    machine.service = machine.permit ? "starting" : "stopped";
  }

  /** systemd tries to start etcd. */
  startService(machine: Machine): void {
    if (machine.service !== "starting" || machine.etcd !== undefined) {
      return;
    }
    const { member } = machine;
    const volume = this.volumeOf(member);
    const folder = volume.exists ? volume.data : undefined;
    // Etcd itself does not start on a log that does not decode, nor its unit on data that is held.
    const held = folder?.held !== undefined && this.rules.order.secondGuards;
    if (folder === undefined || folder.damage !== undefined || held || !machine.permit) {
      machine.restarts += 1;
      return;
    }
    const wal = folder.wal ?? this.#firstLog(machine);
    if (wal === undefined) {
      machine.restarts += 1;
      return;
    }
    folder.wal = wal;
    if (configurationAt(wal, wal.commit).removed.includes(wal.id)) {
      machine.restarts += 1;
      return;
    }
    const { generation } = this.group(wal.clusterId);
    this.ledger.starts(member.name, wal);
    machine.etcd = new Etcd(member.name, generation, folder, wal);
    machine.service = "running";
    this.#running = undefined;
    this.say(member.name, `etcd runs as ${wal.id}, generation ${generation}`);
  }

  /** What etcd does with an empty data directory: it bootstraps, or asks its peers who it is. */
  #firstLog(machine: Machine): Wal | undefined {
    const { settings, member } = machine;
    if (settings === undefined) {
      return undefined;
    }
    if (settings.startAs === "new") {
      return this.bootstrapLog(member.name, settings, new Set());
    }
    for (const other of this.running()) {
      const there = this.members.get(other.name);
      if (
        there === undefined ||
        there === member ||
        !settings.peers.includes(there.name) ||
        (member.cut & (1 << there.index)) !== 0
      ) {
        continue;
      }
      const { voters, learners } = other.configuration;
      const id = [...voters, ...learners].find((each) => nameOf(each) === member.name);
      if (id !== undefined) {
        const { clusterId } = other.wal;
        return this.emptyLog(clusterId, id);
      }
    }
    return undefined;
  }

  emptyLog(clusterId: string, id: string): Wal {
    return {
      ...{ clusterId, id, base: undefined, entries: [], synced: 0 },
      ...{ term: 0, vote: undefined, commit: 0 },
    };
  }

  /** The log with which one of a group's first members begins. */
  bootstrapLog(
    name: string,
    { token, initial, generation }: Omit<Settings, "startAs" | "peers">,
    writes: ReadonlySet<number>,
  ): Wal {
    const group = this.groupOf(token, initial, generation);
    const configuration: Configuration = {
      voters: initial.map((each) => `${each}.${group.id}`),
      learners: [],
      removed: [],
    };
    const id = `${name}.${group.id}`;
    return { ...this.emptyLog(group.id, id), base: { configuration, writes }, term: 1 };
  }

  /** A machine is gone with everything that only it knew. */
  destroy(machine: Machine): void {
    machine.permit = false;
    this.kill(machine);
    machine.processes.length = 0;
    machine.lock = undefined;
    machine.upload = undefined;
    if (machine.member.machine === machine) {
      machine.member.machine = undefined;
      this.#running = undefined;
    }
  }

  /** Ends an agent process; what it held is free. */
  end(machine: Machine, process: Process): void {
    const at = machine.processes.indexOf(process);
    if (at >= 0) {
      machine.processes.splice(at, 1);
    }
    if (machine.lock === process) {
      machine.lock = undefined;
    }
    if (machine.upload === process) {
      machine.upload = undefined;
    }
  }
}
