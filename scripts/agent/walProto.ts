/**
 * The few protocol buffers that etcd writes into its log, read with every length checked. Written by hand because the log has millions
 * of them and the agent needs eight small types; the numbers are those of walpb, raftpb and etcdserverpb.
 */

/** Bytes that are no message. */
export class MalformedMessage extends Error {}

/** Walks over the fields of one message. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Number and wire type of the next field, or undefined at the end. */
  next(): { field: number; wire: number } | undefined {
    if (this.#at >= this.#bytes.length) {
      return undefined;
    }
    const tag = Number(this.uint64());
    if (tag < 8 || tag > 0xffffffff) {
      throw new MalformedMessage("a field without a number");
    }
    return { field: tag >>> 3, wire: tag & 7 };
  }

  uint64(): bigint {
    let value = 0;
    let scale = 1;
    // Seven groups of seven bits fit a double exactly; nearly every number here is that small.
    for (let group = 0; group < 7; group += 1) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return BigInt(value);
      }
      scale *= 128;
    }
    let large = BigInt(value);
    for (let shift = 49n; shift <= 63n; shift += 7n) {
      const byte = this.#byte();
      large |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return BigInt.asUintN(64, large);
      }
    }
    throw new MalformedMessage("a number has more than 64 bits");
  }

  bytes(): Buffer {
    const length = Number(this.uint64());
    const end = this.#at + length;
    if (end > this.#bytes.length) {
      throw new MalformedMessage("a field is longer than its message");
    }
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  /** A repeated number, which may stand alone or be packed with others. */
  uint64s(wire: number, into: bigint[]): void {
    if (wire !== 2) {
      expect(wire, 0);
      into.push(this.uint64());
      return;
    }
    const packed = new Reader(this.bytes());
    while (packed.#at < packed.#bytes.length) {
      into.push(packed.uint64());
    }
  }

  skip(wire: number): void {
    switch (wire) {
      case 0:
        this.uint64();
        return;
      case 1:
        this.#advance(8);
        return;
      case 2:
        this.bytes();
        return;
      case 5:
        this.#advance(4);
        return;
      default:
        throw new MalformedMessage(`a field of wire type ${wire}`);
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) {
      throw new MalformedMessage("a message ends in the middle of a number");
    }
    this.#at += 1;
    return byte;
  }

  #advance(count: number): void {
    if (this.#at + count > this.#bytes.length) {
      throw new MalformedMessage("a field is longer than its message");
    }
    this.#at += count;
  }
}

function expect(wire: number, wanted: number): void {
  if (wire !== wanted) {
    throw new MalformedMessage(`a field of wire type ${wire} where ${wanted} belongs`);
  }
}

const none: Buffer = Buffer.alloc(0);

/** Reads the numbers of a message by field; what is not asked for is skipped. */
function numbers(bytes: Buffer, ...fields: readonly number[]): bigint[] {
  const values = fields.map(() => 0n);
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    const place = fields.indexOf(tag.field);
    if (place < 0) {
      reader.skip(tag.wire);
    } else {
      expect(tag.wire, 0);
      values[place] = reader.uint64();
    }
  }
  return values;
}

/** What a record is about. */
export const recordTypes = { metadata: 1, entry: 2, state: 3, crc: 4, snapshot: 5 } as const;

/** `walpb.Record` */
export interface RawRecord {
  readonly type: number;
  readonly crc: number;
  readonly data: Buffer;
}

/** Reads a `walpb.Record`; its data is a view on the same bytes. */
export function parseRecord(bytes: Buffer): RawRecord {
  let type = 0;
  let crc = 0;
  let data = none;
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) {
      expect(tag.wire, 0);
      type = Number(reader.uint64());
    } else if (tag.field === 2) {
      expect(tag.wire, 0);
      crc = Number(reader.uint64() & 0xffffffffn);
    } else if (tag.field === 3) {
      expect(tag.wire, 2);
      data = reader.bytes();
    } else {
      reader.skip(tag.wire);
    }
  }
  return { type, crc, data };
}

/** Kinds of raft entries. */
export const entryTypes = { normal: 0, confChange: 1, confChangeV2: 2 } as const;

/** `raftpb.Entry` */
export interface Entry {
  readonly type: number;
  readonly term: bigint;
  readonly index: bigint;
  readonly data: Buffer;
}

/** Reads a `raftpb.Entry`. */
export function parseEntry(bytes: Buffer): Entry {
  let type = 0;
  let term = 0n;
  let index = 0n;
  let data = none;
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 4) {
      expect(tag.wire, 2);
      data = reader.bytes();
    } else if (tag.field > 4) {
      reader.skip(tag.wire);
    } else {
      expect(tag.wire, 0);
      const value = reader.uint64();
      if (tag.field === 1) type = Number(value);
      else if (tag.field === 2) term = value;
      else index = value;
    }
  }
  return { type, term, index, data };
}

/** `raftpb.HardState` */
export interface HardState {
  readonly term: bigint;
  readonly vote: bigint;
  readonly commit: bigint;
}

/** Reads a `raftpb.HardState`. Other fields than its own are refused: a record's checksum does not cover its type. */
export function parseHardState(bytes: Buffer): HardState {
  const values = [0n, 0n, 0n];
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field > values.length) {
      throw new MalformedMessage("something else than a hard state");
    }
    expect(tag.wire, 0);
    values[tag.field - 1] = reader.uint64();
  }
  const [term = 0n, vote = 0n, commit = 0n] = values;
  return { term, vote, commit };
}

/** `etcdserverpb.Metadata`: whose log it is. */
export interface Metadata {
  readonly memberId: bigint;
  readonly clusterId: bigint;
}

/** Reads an `etcdserverpb.Metadata`. */
export function parseMetadata(bytes: Buffer): Metadata {
  const [memberId = 0n, clusterId = 0n] = numbers(bytes, 1, 2);
  return { memberId, clusterId };
}

/** `raftpb.ConfState` */
export interface ConfState {
  readonly voters: readonly bigint[];
  readonly learners: readonly bigint[];
}

function parseConfState(bytes: Buffer): ConfState {
  const voters: bigint[] = [];
  const learners: bigint[] = [];
  const joint: bigint[] = [];
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1) reader.uint64s(tag.wire, voters);
    else if (tag.field === 2) reader.uint64s(tag.wire, learners);
    else if (tag.field === 3 || tag.field === 4) reader.uint64s(tag.wire, joint);
    else reader.skip(tag.wire);
  }
  if (joint.length > 0) {
    throw new MalformedMessage("a joint configuration, which etcd never makes");
  }
  return { voters, learners };
}

/** `walpb.Snapshot`: up to where a snapshot goes. Its configuration is there since etcd 3.5. */
export interface SnapshotRecord {
  readonly index: bigint;
  readonly term: bigint;
  readonly conf: ConfState | undefined;
}

/** Reads a `walpb.Snapshot`. */
export function parseSnapshot(bytes: Buffer): SnapshotRecord {
  let index = 0n;
  let term = 0n;
  let conf: ConfState | undefined;
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 1 || tag.field === 2) {
      expect(tag.wire, 0);
      const value = reader.uint64();
      if (tag.field === 1) index = value;
      else term = value;
    } else if (tag.field === 3) {
      expect(tag.wire, 2);
      conf = parseConfState(reader.bytes());
    } else {
      reader.skip(tag.wire);
    }
  }
  return { index, term, conf };
}

/** What a configuration change does to one member. */
export const changeTypes = { addNode: 0, removeNode: 1, updateNode: 2, addLearner: 3 } as const;

/** One member's part of a configuration change. */
export interface Change {
  readonly type: number;
  readonly node: bigint;
  /** etcd's own JSON about the member. */
  readonly context: Buffer;
}

/** Reads a `raftpb.ConfChange` or `raftpb.ConfChangeV2`. */
export function parseChanges(entryType: number, bytes: Buffer): Change[] {
  const single = { type: 2, node: 3, context: 4 };
  if (entryType === entryTypes.confChange) {
    return [parseChange(bytes, single)];
  }
  const changes: Change[] = [];
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === 2) {
      expect(tag.wire, 2);
      changes.push(parseChange(reader.bytes(), { type: 1, node: 2, context: -1 }));
    } else {
      reader.skip(tag.wire);
    }
  }
  return changes;
}

function parseChange(
  bytes: Buffer,
  fields: { readonly type: number; readonly node: number; readonly context: number },
): Change {
  const [type = 0n, node = 0n] = numbers(bytes, fields.type, fields.node);
  let context = none;
  const reader = new Reader(bytes);
  for (let tag = reader.next(); tag !== undefined; tag = reader.next()) {
    if (tag.field === fields.context) {
      expect(tag.wire, 2);
      context = reader.bytes();
    } else {
      reader.skip(tag.wire);
    }
  }
  return { type: Number(type), node, context };
}

function uint64(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** The fields 1, 2, 3 … of a message that has only numbers. */
function numberFields(...values: readonly bigint[]): Buffer {
  return Buffer.concat(
    values.flatMap((value, place) => [Buffer.from([(place + 1) << 3]), uint64(value)]),
  );
}

/** Writes a `raftpb.HardState`. */
export function hardStateBytes(state: HardState): Buffer {
  return numberFields(state.term, state.vote, state.commit);
}

/** Writes an `etcdserverpb.Metadata`. */
export function metadataBytes(metadata: Metadata): Buffer {
  return numberFields(metadata.memberId, metadata.clusterId);
}

/** Writes a `walpb.Record`. A record of the checksum's own kind has no data. */
export function recordBytes(record: RawRecord): Buffer {
  const head = numberFields(BigInt(record.type), BigInt(record.crc));
  return record.type === recordTypes.crc
    ? head
    : Buffer.concat([head, Buffer.from([0x1a]), uint64(BigInt(record.data.length)), record.data]);
}
