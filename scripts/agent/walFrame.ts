import { crc32c } from "./crc32c";
import { recordBytes, recordTypes } from "./walProto";

/** A record as it stands in a segment, and the rolling checksum after it. */
export interface Frame {
  readonly bytes: Buffer;
  readonly crc: number;
}

/** Frames a record that follows on a rolling checksum. A record of the checksum's own kind carries it on. */
export function frameBytes(type: number, data: Buffer, crcBefore: number): Frame {
  const crc = type === recordTypes.crc ? crcBefore : crc32c(crcBefore, data);
  const record = recordBytes({ type, crc, data });
  const padding = (8 - (record.length % 8)) % 8;
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(
    BigInt(record.length) | (padding === 0 ? 0n : BigInt(0x80 | padding) << 56n),
  );
  return { bytes: Buffer.concat([head, record, Buffer.alloc(padding)]), crc };
}
