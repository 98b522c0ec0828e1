import { mkdir, open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";

import { syncFolder } from "./files";
import { logFolder, raisedState } from "./wal";
import { frameBytes } from "./walFrame";
import { metadataBytes, recordTypes } from "./walProto";
import { indexBefore, LogDamage, walkRecords } from "./walRecords";
import { LogState } from "./walState";

/** Writes one segment after the other, in large pieces. */
class SegmentWriter {
  readonly #folder: string;
  #file: FileHandle | undefined;
  #segment: string | undefined;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async write(segment: string, bytes: Buffer): Promise<void> {
    if (segment !== this.#segment) {
      await this.close();
      this.#segment = segment;
      this.#file = await open(join(this.#folder, segment), "wx", 0o600);
    }
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= 2 ** 20) {
      await this.#flush();
    }
  }

  async close(): Promise<void> {
    await this.#flush();
    await this.#file?.sync();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #flush(): Promise<void> {
    await this.#file?.writeFile(Buffer.concat(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

/**
 * Copies the log of one data directory into another, with two changes: everything is committed, and the log belongs to another member
 * of the same cluster. The entries are the same to the byte. A torn tail stays behind, and so does what follows damage.
 */
export async function copyLog(from: string, to: string, memberId: bigint): Promise<void> {
  const source = logFolder(from);
  const target = logFolder(to);
  await mkdir(target, { recursive: true, mode: 0o700 });
  const state = new LogState(await indexBefore(source));
  const writer = new SegmentWriter(target);
  let crc: number | undefined;
  try {
    const end = await walkRecords(source, async (record) => {
      state.add(record);
      let { data } = record;
      if (record.type === recordTypes.metadata) {
        if (state.metadata === undefined) throw new LogDamage("the log does not say whose it is");
        data = metadataBytes({ ...state.metadata, memberId });
      }
      const frame = frameBytes(record.type, data, crc ?? record.crc);
      crc = frame.crc;
      await writer.write(record.segment, frame.bytes);
    });
    const last = frameBytes(recordTypes.state, raisedState(state), crc ?? end.crc);
    await writer.write(end.segment, last.bytes);
  } finally {
    await writer.close();
  }
  await syncFolder(target);
}
