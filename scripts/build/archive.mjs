import { gzipSync } from "node:zlib";

const block = 512;

/** One member's header in the ustar format (POSIX.1-1988), with everything fixed that is not content. */
function header(name, size) {
  if (Buffer.byteLength(name) > 100) throw new Error(`${name}: too long a name for this archive`);
  const bytes = Buffer.alloc(block);
  const octal = (value, offset, length) => {
    bytes.write(value.toString(8).padStart(length - 1, "0"), offset, "ascii");
  };
  bytes.write(name, 0);
  octal(0o644, 100, 8);
  octal(0, 108, 8); // owner: root
  octal(0, 116, 8);
  octal(size, 124, 12);
  octal(0, 136, 12); // modified: 1970
  bytes.write("0", 156, "ascii"); // a regular file
  bytes.write("ustar\u000000", 257, "ascii");
  // The checksum is taken over the header with blanks in the checksum's own place.
  bytes.fill(" ", 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "ascii");
  return bytes;
}

/**
 * A tar.gz whose bytes depend on the names and contents of its files alone: machines are told to converge
 * when its hash changes, so building it again must not change it.
 *
 * @param {Record<string, Uint8Array | string>} files content by name
 * @returns {Buffer}
 */
export function tarGz(files) {
  const blocks = Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, content]) => {
      const bytes = Buffer.from(content);
      const padding = Buffer.alloc((block - (bytes.length % block)) % block);
      return [header(name, bytes.length), bytes, padding];
    });
  return gzipSync(Buffer.concat([...blocks, Buffer.alloc(2 * block)]), { level: 9 });
}
