import { MalformedMessage, parseRecord, recordTypes } from "./walProto";
import { frameOf, type Window } from "./walWindow";

/**
 * What stands where no good record stands. A write that was never completed (a torn one) was never acknowledged, and etcd drops it when
 * it starts; anything else is damage. etcd's own rule is followed, but where it would silently drop complete records behind a length
 * that was changed, this says damage.
 */

/** How a segment ends: as it should, in an unfinished write, or damaged. */
export type Ending =
  | { readonly kind: "clean" }
  | { readonly kind: "torn" }
  | { readonly kind: "damage"; readonly reason: string };

/** Disks write a sector whole or not at all. */
const sectorSize = 512;

/**
 * Judges the end of a segment.
 *
 * @param offset where the last good record ends
 * @param size of what claims to be the next record, 8 when there is none
 * @param problem what is wrong with that record, if it is all there
 */
export async function endOfSegment(
  window: Window,
  offset: number,
  size: number,
  last: boolean,
  problem: string | undefined,
): Promise<Ending> {
  if (problem === undefined && size <= 8) {
    return unusedRest(window, offset, last);
  }
  const reason = problem ?? "a record is longer than its segment";
  if (!last) {
    return { kind: "damage", reason };
  }
  const torn =
    problem === undefined
      ? await isCutOff(window, offset)
      : await hasBlankSector(window, offset + 8, offset + size);
  // A write that was cut off has nothing complete inside it; a length that was changed swallows the records behind it.
  if (!torn || (await holdsRecord(window, offset + 16, Math.min(offset + size, window.size)))) {
    return { kind: "damage", reason };
  }
  return { kind: "torn" };
}

/** Space that etcd has reserved and not used, all zero; or the hole that a torn write left, which starts with a whole sector. */
async function unusedRest(window: Window, offset: number, last: boolean): Promise<Ending> {
  const sectorEnd = Math.ceil((offset + 8) / sectorSize) * sectorSize;
  const lengthIsWiped = !isBlank(await window.bytes(offset, sectorEnd - offset));
  if (lengthIsWiped) {
    // Less than a length word is what a file that was cut off ends with.
    return last && window.size - offset < 8
      ? { kind: "torn" }
      : { kind: "damage", reason: "a record's length is zero" };
  }
  if (!last) {
    return { kind: "clean" };
  }
  return (await blankFrom(window, sectorEnd)) ? { kind: "clean" } : { kind: "torn" };
}

async function blankFrom(window: Window, offset: number): Promise<boolean> {
  for (let at = offset; at < window.size; at += 2 ** 20) {
    if (!isBlank(await window.bytes(at, 2 ** 20))) {
      return false;
    }
  }
  return true;
}

/** A file that was cut off ends in the middle of the record. One that ends in reserved space was not cut off: the length is a lie. */
async function isCutOff(window: Window, offset: number): Promise<boolean> {
  const from = Math.max(offset, window.size - sectorSize);
  const end = await window.bytes(from, window.size - from);
  return end.length < sectorSize || !isBlank(end);
}

async function hasBlankSector(window: Window, from: number, to: number): Promise<boolean> {
  for (let at = from; at < to;) {
    const next = Math.min((Math.floor(at / sectorSize) + 1) * sectorSize, to);
    if (isBlank(await window.bytes(at, next - at))) {
      return true;
    }
    at = next;
  }
  return false;
}

/** Whether something between two offsets looks in every way like a record. */
async function holdsRecord(window: Window, from: number, to: number): Promise<boolean> {
  for (let at = from; at + 16 <= to; at += 8) {
    const head = window.loaded(at, 16) ?? (await window.bytes(at, 16));
    // The tags of a record's first two fields; nearly everything else stops here.
    if (head[8] !== 0x08 || head[10] !== 0x10) {
      continue;
    }
    const frame = frameOf(head.readBigUInt64LE());
    if (typeof frame === "string" || 8 + frame.length + frame.padding > window.size - at) {
      continue;
    }
    if (isRecord(await window.bytes(at + 8, frame.length))) {
      return true;
    }
  }
  return false;
}

function isRecord(bytes: Buffer): boolean {
  try {
    const { type } = parseRecord(bytes);
    return type >= recordTypes.metadata && type <= recordTypes.snapshot;
  } catch (error) {
    if (error instanceof MalformedMessage) {
      return false;
    }
    throw error;
  }
}

const blank = Buffer.alloc(2 ** 20);

/** Whether all of at most a mebibyte is zero. Compared as a whole, because 64 MiB of reserved space are the rule. */
function isBlank(bytes: Buffer): boolean {
  return bytes.equals(blank.subarray(0, bytes.length));
}
