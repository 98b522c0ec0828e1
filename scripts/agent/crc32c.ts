/** CRC-32C (Castagnoli). Node's zlib has only the other polynomial. */

const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  }
  return value;
});

/** Goes on from the checksum of what came before. */
export function crc32c(before: number, bytes: Uint8Array): number {
  let crc = ~before;
  for (const byte of bytes) {
    crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0);
  }
  return ~crc >>> 0;
}
