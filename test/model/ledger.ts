import type { Attestation, Report } from "../../scripts/agent/attestation";
import type { ClusterRecord } from "../../scripts/agent/record";
import { storage } from "../../components/plan/storage";
import type { Etcd } from "./etcd";
import { nameOf, type Entry, type Wal } from "./log";
import type { World } from "./world";

/** What must never happen, watched at every step, and the writes that the cluster has promised to keep. */

/** A promise that was broken. */
export class Violation extends Error {
  readonly invariant: number;
  constructor(invariant: number, message: string) {
    super(`invariant ${invariant}: ${message}`);
    this.invariant = invariant;
  }
}

export class Ledger {
  /** Writes that the current generation has to have. */
  readonly promised = new Set<number>();
  /** Writes of which no copy was left when a generation began. */
  lost = 0;
  acknowledged = 0;
  generations = 0;
  rollCalls = 0;
  /** Whether any volume was lost or damaged. */
  disksWereLost = false;
  readonly #world: World;
  readonly #clusterIds = new Map<number, string>();
  readonly #firstStarts = new Map<string, Wal>();
  #record: ClusterRecord | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** A leader's commit index has moved on. */
  committed(leader: Etcd, from: number): void {
    const { committed } = this.#world.group(leader.wal.clusterId);
    const record = this.#record;
    for (let at = from; at < leader.commit; at += 1) {
      const entry = leader.wal.entries[at];
      if (entry === undefined) {
        continue;
      }
      if (at < committed.length) {
        if (committed[at] !== entry) {
          throw new Violation(6, `${leader.id} commits another entry ${at + 1} than was committed`);
        }
        continue;
      }
      committed.push(entry);
      if (record !== undefined && record.generation > leader.generation) {
        throw new Violation(
          1,
          `${leader.id} commits in generation ${leader.generation}, the record has ${record.generation}`,
        );
      }
      if (entry.write !== undefined) {
        this.promised.add(entry.write);
        this.acknowledged += 1;
      }
      const name = nameOf(entry.id ?? ".");
      if (
        entry.kind === "promote" &&
        record?.generation === leader.generation &&
        !record.roster.some((each) => each.name === name)
      ) {
        throw new Violation(5, `${entry.id ?? ""} gets a vote, and is not in the roster`);
      }
    }
  }

  /** A leader must have everything that was committed before. */
  elected(leader: Etcd): void {
    const { committed } = this.#world.group(leader.wal.clusterId);
    const last = committed.at(-1);
    if (last !== undefined && leader.wal.entries[committed.length - 1] !== last) {
      throw new Violation(6, `${leader.id} leads without entry ${committed.length}, committed`);
    }
  }

  /** Etcd starts on a log. */
  starts(name: string, wal: Wal): void {
    const { generation, id } = this.#world.group(wal.clusterId);
    const before = this.#clusterIds.get(generation);
    if (before !== undefined && before !== id) {
      throw new Violation(2, `generation ${generation} is ${before}, and ${id} on ${name}`);
    }
    this.#clusterIds.set(generation, id);
    const first = this.#firstStarts.get(wal.id);
    if (first !== undefined && first !== wal) {
      throw new Violation(3, `${wal.id} starts anew with another log`);
    }
    this.#firstStarts.set(wal.id, wal);
  }

  /** The record was changed. */
  recordChanged(next: ClusterRecord): void {
    const before = this.#record;
    this.#record = next;
    if (before === undefined) {
      return;
    }
    if (next.epoch > before.epoch && next.phase === "rollCall") {
      this.rollCalls += 1;
      this.#rollCalled(before, next);
    }
    if (next.epoch < before.epoch || next.generation < before.generation) {
      throw new Violation(1, `the record goes back from epoch ${before.epoch} to ${next.epoch}`);
    }
    if (next.generation > before.generation) {
      this.#begins(before, next);
      return;
    }
    const dropped = before.roster.find(
      ({ name }) => !next.roster.some((entry) => entry.name === name),
    );
    if (dropped !== undefined) {
      this.#dropped(dropped.name, before.generation);
    }
  }

  /** The roll is called only when everybody has said that there is no quorum; an operator may call it anyway. */
  #rollCalled({ roster, epoch }: ClusterRecord, next: ClusterRecord): void {
    if (this.#world.byOperator.has(next)) {
      return;
    }
    for (const { name } of roster) {
      const report = this.#world.bucket.get(storage.report(name))?.value as Report | undefined;
      if (report?.epoch !== epoch) {
        throw new Violation(5, `the roll is called in epoch ${epoch}, and ${name} was silent`);
      }
    }
  }

  /** Who leaves the roster must have no vote any more in what was committed. */
  #dropped(name: string, generation: number): void {
    const id = this.#clusterIds.get(generation);
    if (id === undefined) {
      return;
    }
    const { committed, initial } = this.#world.group(id);
    const voters = new Set(initial.map((each) => `${each}.${id}`));
    for (const entry of committed) {
      if (entry.kind === "promote") {
        voters.add(entry.id ?? "");
      } else if (entry.kind === "remove") {
        voters.delete(entry.id ?? "");
      }
    }
    if ([...voters].some((each) => nameOf(each) === name)) {
      throw new Violation(5, `${name} leaves the roster and is a voter`);
    }
    const removal = committed.findLast(
      (each) => each.kind === "remove" && nameOf(each.id ?? "") === name,
    );
    for (const voter of removal === undefined ? [] : voters) {
      const member = this.#world.members.get(nameOf(voter));
      const { exists, data } = member === undefined ? {} : this.#world.volumeOf(member);
      if (
        exists === true &&
        data?.damage === undefined &&
        data?.wal?.id === voter &&
        !data.wal.entries.includes(removal as Entry)
      ) {
        throw new Violation(
          6,
          `${name} leaves the roster, and ${voter} alone does not hold all that it held`,
        );
      }
    }
  }

  #begins(before: ClusterRecord, next: ClusterRecord): void {
    const world = this.#world;
    this.generations += 1;
    const attested: Attestation[] = [];
    const operator = world.byOperator.get(next);
    for (const { name } of before.roster) {
      const key = storage.attestation(before.epoch, name);
      const found = world.bucket.get(key)?.value as Attestation | undefined;
      if (found !== undefined) {
        attested.push(found);
      } else if (operator?.fenced.has(name) !== true) {
        throw new Violation(
          5,
          `generation ${next.generation} begins, and ${name} did not attest in epoch ${before.epoch}`,
        );
      }
    }
    const { source } = next;
    const chosen =
      source.kind === "new"
        ? new Set<number>()
        : (world.contents.get(source.sha256)?.writes ?? new Set<number>());
    if (source.kind === "snapshot" && world.contents.get(source.sha256)?.readable !== true) {
      throw new Violation(7, `generation ${next.generation} begins from a source nobody can read`);
    }
    if (world.scenario.recovery === "manual" && operator === undefined) {
      throw new Violation(5, `generation ${next.generation} begins by itself, recovery is manual`);
    }
    if (source.kind === "new" && this.promised.size > 0) {
      throw new Violation(6, "a generation begins empty after writes were acknowledged");
    }
    if (operator?.chosen !== true) {
      this.#nothingLost(before, attested, chosen);
    }
    for (const write of this.promised) {
      if (!chosen.has(write)) {
        this.promised.delete(write);
        this.lost += 1;
      }
    }
  }

  /** Whatever was acknowledged and is in any copy that was named must be in the next generation. */
  #nothingLost(
    before: ClusterRecord,
    attested: readonly Attestation[],
    chosen: ReadonlySet<number>,
  ): void {
    const world = this.#world;
    const files = [
      ...world.backups
        .map(({ sha256 }) => sha256)
        .filter((sha256) => !world.lateBackups.has(sha256)),
      ...(before.source.kind === "snapshot" ? [before.source.sha256] : []),
      ...before.earlierSources.map(({ sha256 }) => sha256),
    ];
    const copies: (readonly [string, ReadonlySet<number> | undefined])[] = [
      ...attested.map((each) => [`the log of ${each.member}`, world.evidence.get(each)] as const),
      ...files
        .filter((sha256) => world.contents.get(sha256)?.readable === true)
        .map((sha256) => [sha256, world.contents.get(sha256)?.writes] as const),
    ];
    for (const [where, writes] of copies) {
      for (const write of writes ?? []) {
        if (this.promised.has(write) && !chosen.has(write)) {
          throw new Violation(6, `write ${write} is in ${where}, and not in the next generation`);
        }
      }
    }
  }
}
