import type { FileHandle } from "node:fs/promises";

const chunkSize = 2 ** 20;

/** How long a record is, and how many bytes fill it up to a multiple of eight. */
export interface FrameSize {
  readonly length: number;
  readonly padding: number;
}

/**
 * Reads a length word: the lower 56 bits are the record's length, the upper byte says the padding if there is any. None stands in space
 * that is not used.
 */
export function frameOf(word: bigint): FrameSize | "none" | "malformed" {
  if (word === 0n) {
    return "none";
  }
  const length = Number(word & 0xff_ffff_ffff_ffffn);
  const padding = (8 - (length % 8)) % 8;
  const upper = padding === 0 ? 0 : 0x80 | padding;
  return length > 0 && Number(word >> 56n) === upper ? { length, padding } : "malformed";
}

/** Reads a file forwards through one buffer. */
export class Window {
  readonly file: FileHandle;
  readonly size: number;
  #buffer = Buffer.alloc(0);
  #start = 0;

  constructor(file: FileHandle, size: number) {
    this.file = file;
    this.size = size;
  }

  /** Bytes from an offset if they are in memory already; saves a promise per record. */
  loaded(offset: number, length: number): Buffer | undefined {
    const from = offset - this.#start;
    return from >= 0 && from + length <= this.#buffer.length
      ? this.#buffer.subarray(from, from + length)
      : undefined;
  }

  /** Bytes from an offset; fewer than asked for at the end of the file. */
  async bytes(offset: number, length: number): Promise<Buffer> {
    const wanted = Math.min(length, this.size - offset);
    const there = this.loaded(offset, wanted);
    if (there !== undefined) {
      return there;
    }
    const buffer = Buffer.alloc(Math.min(Math.max(wanted, chunkSize), this.size - offset));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await this.file.read(
        buffer,
        filled,
        buffer.length - filled,
        offset + filled,
      );
      if (bytesRead === 0) {
        throw new Error("a segment of the log became shorter while it was read");
      }
      filled += bytesRead;
    }
    this.#buffer = buffer;
    this.#start = offset;
    return buffer.subarray(0, wanted);
  }
}
