import { canonicalJson } from "../../components/plan/canonicalJson";
import type { MemberConfig } from "../../components/plan/memberConfig";
import { backupFacts } from "./backupFacts";
import { damageOf, examine, Log, noteDamage, restartsBeforeLooking } from "./damage";
import { inspect, volumeInUse } from "./disk";
import type { Facts, Self } from "./facts";
import { readIfThere, writeDurably } from "./files";
import { instanceId as askInstanceId } from "./imds";
import { lazily } from "./lazily";
import { LiveObserver, type LiveView } from "./live";
import { approvedState, type Desired, type Machine } from "./machine";
import type { Disk } from "./marker";
import { Memory } from "./memory";
import { paths } from "./paths";
import { ownReport, type Reached } from "./reached";
import { readRecord, type RecordView } from "./record";
import { RollObserver } from "./rollObserver";
import { reasonOf, say } from "./say";
import { installPki } from "./secrets";
import { Restarts, ServiceWatch, type Service } from "./service";
import { VolumeFinder } from "./volume";

/** Milliseconds for which the cluster record is taken as read while etcd runs with a quorum. */
const recordMs = 10_000;

/** Milliseconds between two looks at the files of an etcd that ends again and again. */
const examineMs = 60_000;

/** What a round begins with. */
export interface Basis {
  readonly desired: Desired;
  readonly service: Service;
  /** Whether etcd's unit may start, and is not down. */
  readonly alive: boolean;
}

/** Everything that a round found out. */
export interface Gathered {
  readonly facts: Facts;
  readonly desired: Desired;
  readonly live: LiveView;
  readonly service: Service;
}

/** Gathers the facts for one decision. Only attaching and mounting the volume, and fetching keys, happen on the way. */
export class Gatherer {
  readonly memory = new Memory();
  readonly #machine: Machine;
  readonly #instanceId = lazily(askInstanceId);
  readonly #log = new Log();
  readonly #service = new ServiceWatch();
  readonly #restarts = new Restarts();
  readonly #observer = new LiveObserver();
  readonly #volumes: VolumeFinder;
  readonly #rolls: RollObserver;
  #desired: Desired | undefined;
  /** Desired state whose keys were fetched: a machine that waits must not ask the parameter store every second. */
  #keysOf: string | undefined;
  #record: { readonly view: RecordView; readonly at: number } | undefined;
  #hadQuorum = false;
  #examined = -Infinity;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#volumes = new VolumeFinder(machine.clients);
    this.#rolls = new RollObserver(machine.bucket, this.memory, () => backupFacts(machine.bucket));
  }

  /** What is to run here, and what runs; the desired state is asked for again only when etcd does not run, or it was changed here. */
  async basis(): Promise<Basis> {
    const service = await this.#service.look();
    const permitted = (await readIfThere(paths.permit)) !== undefined;
    const alive = permitted && ["active", "activating", "deactivating"].includes(service.state);
    const approved = (await readIfThere(paths.approved))?.trim();
    if (!alive || this.#desired === undefined || this.#desired.sha256 !== approved) {
      this.#desired = await approvedState(this.#machine);
    }
    return { desired: this.#desired, service, alive };
  }

  /** One round's facts. */
  async gather({ desired, service, alive }: Basis): Promise<Gathered> {
    const { config } = desired;
    const keys = alive ? Promise.resolve() : this.#keys(desired);
    // Whatever fails first must not leave the other's failure without anybody who hears of it.
    const [[record, { disk, volumeId }]] = await Promise.all([
      this.#recordAndDisk(config, alive),
      keys,
    ]);
    const ends = this.#restarts.recent(service) >= restartsBeforeLooking;
    const running =
      alive &&
      !(disk.kind === "blank" && ends && service.state !== "active") &&
      (service.state === "active" || (await this.#isApplied(desired)));
    const live = await this.#observer.look({
      ...{ config, volumeId, disk, record, service, running },
      unreadable: [...this.memory.unreadable],
      log: this.#log,
    });
    this.#hadQuorum = running && live.facts.quorum;
    if (await this.#noteDamage(disk, ends, live, () => this.#reached(config.member, record))) {
      // What matters now (whether the others agree, for one) was not asked for.
      return this.gather(await this.basis());
    }
    const self = await this.#self(config, volumeId);
    const roll = await this.#rolls.look(self, record, live.facts);
    return { facts: { self, disk, record, live: live.facts, roll }, desired, live, service };
  }

  async #isApplied({ sha256 }: Desired): Promise<boolean> {
    return (await readIfThere(paths.applied))?.trim() === sha256;
  }

  async #keys({ config, sha256 }: Desired): Promise<void> {
    if (this.#keysOf === sha256) {
      return;
    }
    try {
      await installPki(this.#machine.clients, config);
      this.#keysOf = sha256;
    } catch (error) {
      // Those that are there already are good enough to start with.
      if ((await readIfThere(paths.etcdEnvironment)) === undefined) {
        throw error;
      }
    }
  }

  async #recordAndDisk(
    config: MemberConfig,
    alive: boolean,
  ): Promise<[RecordView, { disk: Disk; volumeId: string }]> {
    const record = await this.#readRecord(alive);
    const entry =
      record.kind === "present"
        ? record.record.roster.find(({ name }) => name === config.member)
        : undefined;
    const recorded = entry?.volumeId ?? (await volumeInUse());
    const volume = await this.#volumes.find({
      config,
      instanceId: await this.#instanceId(),
      recorded,
    });
    const { volumeId } = volume;
    switch (volume.kind) {
      case "gone":
        return [record, { volumeId, disk: { kind: "gone" } }];
      case "notAttachable":
        return [record, { volumeId, disk: { kind: "notAttachable", reason: volume.reason } }];
      case "attached":
        await writeDurably(paths.volume, `${volumeId}\n`, { mode: 0o644 });
        return [record, { volumeId, disk: await inspect(volumeId) }];
    }
  }

  /** Read anew for every decision, but for those about an etcd that runs well. */
  async #readRecord(alive: boolean): Promise<RecordView> {
    const last = this.#record;
    const fresh = last !== undefined && performance.now() - last.at < recordMs;
    if (alive && this.#hadQuorum && fresh && last.view.kind === "present") {
      return last.view;
    }
    const view = await readRecord(this.#machine.bucket);
    const news = last === undefined || canonicalJson(last.view) !== canonicalJson(view);
    if (alive && news && view.kind !== "present") {
      say(view.kind === "absent" ? "there is no cluster record; etcd goes on" : view.reason);
    }
    this.#record = { view, at: performance.now() };
    return view;
  }

  /** What was read last is not to be relied on: something has been done. */
  forget(): void {
    this.#record = undefined;
  }

  async #self(config: MemberConfig, volumeId: string): Promise<Self> {
    const { member, volume, initialMembers, recovery } = config;
    return {
      member,
      volumeId,
      instanceId: await this.#instanceId(),
      firstMember:
        volumeId === volume.id &&
        initialMembers.some((each) => each.name === member && each.volumeId === volumeId),
      recovery: recovery.mode,
      quorumLossSeconds: recovery.quorumLossSeconds,
    };
  }

  /** Damage that is not written on the volume yet: in the log, by etcd's alarm, or the reason why etcd ends again and again. */
  async #noteDamage(
    disk: Disk,
    ends: boolean,
    live: LiveView,
    reached: () => Promise<Reached | undefined>,
  ): Promise<boolean> {
    if (disk.kind !== "data" || disk.damage !== undefined) {
      return false;
    }
    const found = live.facts.running
      ? await this.#findDamage(ends, live)
      : await damageOf(this.#log, await reached());
    if (found !== undefined) {
      await noteDamage(found);
    }
    return found !== undefined;
  }

  /** How far this member had come, as far as the bucket can be asked: without it, only the machine that ran before goes on. */
  async #reached(member: string, record: RecordView): Promise<Reached | undefined> {
    if (record.kind !== "present") {
      return undefined;
    }
    const { clusterUid } = record.record;
    return (await ownReport(this.#machine.bucket, this.memory, member, clusterUid))?.reached;
  }

  async #findDamage(
    ends: boolean,
    { facts, corrupt, status }: LiveView,
  ): Promise<string | undefined> {
    if (corrupt) {
      return "etcd's CORRUPT alarm names this member";
    }
    // Ready for a moment and gone again is no better than never ready.
    if (
      !ends ||
      status !== undefined ||
      facts.removed ||
      performance.now() - this.#examined < examineMs
    ) {
      return undefined;
    }
    this.#examined = performance.now();
    try {
      return await examine(this.#log);
    } catch (error) {
      say(`etcd ends again and again, and its files cannot be looked at: ${reasonOf(error)}`);
      return undefined;
    }
  }
}
