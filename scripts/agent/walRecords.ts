import { open, readdir } from "node:fs/promises";
import { join } from "node:path";

import { crc32c } from "./crc32c";
import { reasonOf } from "./say";
import { MalformedMessage, parseRecord, recordTypes, type RawRecord } from "./walProto";
import { endOfSegment, type Ending } from "./walTail";
import { frameOf, Window } from "./walWindow";

/**
 * The framing of etcd's write-ahead log: segments of records, each record behind its length and padded to eight bytes, each with a
 * checksum over the data of all records so far. Read in order, never more than a chunk and one record at a time.
 */

/** A record that is whole and whose checksum is right. */
export interface PlacedRecord extends RawRecord {
  /** Name of the segment that holds it. */
  readonly segment: string;
}

/** Where a log ends, and how. */
export interface LogEnd {
  /** Name of the last segment that was read, and where its last good record ends. */
  readonly segment: string;
  readonly offset: number;
  /** The rolling checksum there. */
  readonly crc: number;
  readonly tornTail: boolean;
  readonly damage?: string;
}

/** Thrown by a visitor: what a record says cannot be true. */
export class LogDamage extends Error {}

/** The log's segments by name, in order. */
export async function segmentNames(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  return names.filter((name) => /^[0-9a-f]{16}-[0-9a-f]{16}\.wal$/.test(name)).sort();
}

/** Larger than any record that etcd writes: a request is 1.5 MiB unless etcd is told otherwise. */
const largestRecord = 256 * 2 ** 20;

/** Shows every good record, in order, to a visitor; says where and why it stopped. Throws only for what the file system refuses. */
export async function walkRecords(
  folder: string,
  visit: (record: PlacedRecord) => void | Promise<void>,
): Promise<LogEnd> {
  const names = await segmentNames(folder);
  const [first] = names;
  if (first === undefined) {
    throw new Error(`there is no write-ahead log in ${folder}`);
  }
  let end: LogEnd = { segment: first, offset: 0, crc: 0, tornTail: false };
  for (const [place, name] of names.entries()) {
    if (sequence(name) !== sequence(first) + BigInt(place)) {
      return { ...end, damage: `the segment before ${name} is missing` };
    }
    const last = place === names.length - 1;
    end = await walkSegment(folder, name, end.crc, place === 0, last, visit);
    if (end.damage !== undefined) {
      break;
    }
  }
  return end;
}

/** Index of the last entry before the first segment that is still there. */
export async function indexBefore(folder: string): Promise<bigint> {
  const [first] = await segmentNames(folder);
  const index = first === undefined ? 0n : BigInt(`0x${first.slice(17, 33)}`);
  return index === 0n ? 0n : index - 1n;
}

function sequence(name: string): bigint {
  return BigInt(`0x${name.slice(0, 16)}`);
}

async function walkSegment(
  folder: string,
  name: string,
  crcBefore: number,
  first: boolean,
  last: boolean,
  visit: (record: PlacedRecord) => void | Promise<void>,
): Promise<LogEnd> {
  const file = await open(join(folder, name), "r");
  try {
    const window = new Window(file, (await file.stat()).size);
    let crc = crcBefore;
    let offset = 0;
    const stop = (ending: Ending): LogEnd => ({
      segment: name,
      offset,
      crc,
      tornTail: ending.kind === "torn",
      ...(ending.kind === "damage"
        ? { damage: `${ending.reason} at byte ${offset} of segment ${name}` }
        : {}),
    });
    for (;;) {
      const head = window.loaded(offset, 8) ?? (await window.bytes(offset, 8));
      const frame = head.length < 8 ? undefined : frameOf(head.readBigUInt64LE());
      if (frame === undefined || frame === "none") {
        return stop(await endOfSegment(window, offset, 8, last, undefined));
      }
      if (frame === "malformed") {
        return stop({ kind: "damage", reason: "a record's length cannot be" });
      }
      const size = 8 + frame.length + frame.padding;
      if (size > window.size - offset || size > largestRecord) {
        return stop(await endOfSegment(window, offset, size, last, undefined));
      }
      const body =
        window.loaded(offset + 8, size - 8) ?? (await window.bytes(offset + 8, size - 8));
      const read = check(body.subarray(0, frame.length), crc, { first, start: offset === 0 });
      if (typeof read === "string") {
        return stop(await endOfSegment(window, offset, size, last, read));
      }
      try {
        const visited = visit({ ...read, segment: name });
        if (visited !== undefined) await visited;
      } catch (error) {
        if (error instanceof LogDamage || error instanceof MalformedMessage) {
          return stop({ kind: "damage", reason: error.message });
        }
        throw error;
      }
      crc = read.crc;
      offset += size;
    }
  } finally {
    await file.close();
  }
}

/** The record, or what is wrong with it. A segment starts with the checksum of all that came before it. */
function check(
  bytes: Buffer,
  crc: number,
  place: { readonly first: boolean; readonly start: boolean },
): RawRecord | string {
  let record: RawRecord;
  try {
    record = parseRecord(bytes);
  } catch (error) {
    return `a record cannot be read (${reasonOf(error)})`;
  }
  if (record.type === recordTypes.crc) {
    const fits = (place.first && place.start) || record.crc === crc;
    return fits ? record : "a segment does not go on from where the one before it ends";
  }
  if (place.start) {
    return "a segment does not start with a checksum";
  }
  return crc32c(crc, record.data) === record.crc ? record : "a record has a wrong checksum";
}
