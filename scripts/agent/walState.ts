import {
  configurationAt,
  type Base,
  type Configuration,
  type PlacedChange,
} from "./walConfiguration";
import {
  entryTypes,
  parseChanges,
  parseEntry,
  parseHardState,
  parseMetadata,
  parseSnapshot,
  recordTypes,
  type Entry,
  type HardState,
  type Metadata,
  type RawRecord,
} from "./walProto";
import { LogDamage } from "./walRecords";

/** From here on the entries have this term, up to where the next run starts. */
interface Run {
  readonly first: bigint;
  readonly term: bigint;
}

/** What a log says, record by record. Small, however long the log is: of the entries it keeps only where their terms change. */
export class LogState {
  metadata: Metadata | undefined;
  hard: HardState = { term: 0n, vote: 0n, commit: 0n };
  /** Of the last entry, or of the snapshot that stands in for it. */
  index: bigint;
  #metadataBytes: Buffer | undefined;
  #runs: Run[] = [];
  #snapshots: Base[] = [];
  #changes: PlacedChange[] = [];

  /** @param before index of the last entry in files that etcd has released and deleted */
  constructor(before: bigint) {
    this.index = before;
  }

  /** Takes the next record. */
  add(record: RawRecord): void {
    switch (record.type) {
      case recordTypes.metadata:
        this.#addMetadata(record.data);
        return;
      case recordTypes.entry:
        this.#addEntry(parseEntry(record.data));
        return;
      case recordTypes.state:
        this.#addHardState(parseHardState(record.data));
        return;
      case recordTypes.crc:
        return;
      case recordTypes.snapshot:
        this.#addSnapshot(record.data);
        return;
      default:
        throw new LogDamage(`a record of the unknown type ${record.type}`);
    }
  }

  /** Term of the last entry. */
  get term(): bigint {
    return this.#runs.at(-1)?.term ?? 0n;
  }

  /** The newest snapshot that etcd would start from: one above the commit was never completed. */
  get snapshotIndex(): bigint {
    return this.#snapshots.findLast((each) => each.index <= this.hard.commit)?.index ?? 0n;
  }

  /** Who votes and who learns at an index. */
  configurationAt(index: bigint): Configuration {
    return configurationAt(index, this.#snapshots, this.#changes);
  }

  /** What is wrong with the log as a whole, if anything. */
  problem(): string | undefined {
    if (this.metadata === undefined) {
      return "the log does not say whose it is";
    }
    if (this.hard.commit > this.index) {
      return `the log ends at entry ${this.index}, but ${this.hard.commit} was committed`;
    }
    return undefined;
  }

  #addMetadata(bytes: Buffer): void {
    if (this.#metadataBytes === undefined) {
      this.metadata = parseMetadata(bytes);
      this.#metadataBytes = Buffer.from(bytes);
    } else if (!this.#metadataBytes.equals(bytes)) {
      throw new LogDamage("the log changes its owner");
    }
  }

  #addHardState(hard: HardState): void {
    if (hard.term < this.hard.term || hard.term === 0n) {
      throw new LogDamage(`a hard state of term ${hard.term} follows one of ${this.hard.term}`);
    }
    this.hard = hard;
  }

  #addEntry(entry: Entry): void {
    const { term, index } = entry;
    if (index === 0n || term === 0n || index > this.index + 1n) {
      throw new LogDamage(`entry ${index} of term ${term} follows entry ${this.index}`);
    }
    const changes = changesOf(entry);
    // An entry at or below the last one replaces it and all that follow: they were never committed.
    this.#dropFrom(index);
    this.index = index;
    if (this.term !== term || this.#runs.length === 0) {
      this.#runs.push({ first: index, term });
    }
    this.#changes.push(...changes);
  }

  #addSnapshot(bytes: Buffer): void {
    const { index, term, conf } = parseSnapshot(bytes);
    if (index > 0n && conf === undefined) {
      throw new LogDamage("a snapshot without a configuration, from before etcd 3.5");
    }
    this.#snapshots.push({ index, conf: conf ?? { voters: [], learners: [] } });
    if (index === 0n) {
      return;
    }
    // An own snapshot covers entries that are here. One from the leader replaces them, unless they agree with it: raft's own rule. Its
    // database is on the disk before this record is, so that what it covers is here even if the hard state does not say so yet.
    if (index > this.index || (this.#termAt(index) ?? term) !== term) {
      this.#dropFrom(0n);
      this.index = index;
    }
    if (this.#runs.length === 0) {
      this.#runs.push({ first: index, term });
    }
  }

  /** Undefined for an entry that was in files which are gone. */
  #termAt(index: bigint): bigint | undefined {
    return this.#runs.findLast((run) => run.first <= index)?.term;
  }

  #dropFrom(index: bigint): void {
    if (index > this.index) {
      return;
    }
    this.#runs = this.#runs.filter((run) => run.first < index);
    this.#changes = this.#changes.filter((change) => change.index < index);
  }
}

/** What an entry does to the configuration. */
function changesOf({ type, index, data }: Entry): PlacedChange[] {
  if (type === entryTypes.normal) {
    return [];
  }
  if (type !== entryTypes.confChange && type !== entryTypes.confChangeV2) {
    throw new LogDamage(`entry ${index} is of the unknown type ${type}`);
  }
  const changes = parseChanges(type, data);
  if (changes.length === 0 || changes.some((change) => change.node === 0n)) {
    throw new LogDamage(`entry ${index} changes the configuration of nobody`);
  }
  // The data is a view on a buffer that moves on.
  return changes.map((change) => ({ ...change, context: Buffer.from(change.context), index }));
}
