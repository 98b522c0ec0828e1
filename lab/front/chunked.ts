/** A body in S3's own chunked form (aws-chunked), taken apart. */
export interface Dechunked {
  readonly body: Buffer;
  /** Trailing headers, by lower-case name: the checksum. */
  readonly trailers: Readonly<Record<string, string>>;
}

/**
 * Takes apart an aws-chunked body: "hex-size[;chunk-signature=…]" lines, data, and trailers after the empty chunk. Throws when it is
 * not well-formed, because a cut-off upload must not become an object.
 */
export function dechunk(raw: Buffer): Dechunked {
  const parts: Buffer[] = [];
  let position = 0;
  const line = (): string => {
    const end = raw.indexOf("\r\n", position);
    if (end < 0) throw new Error("aws-chunked body ends within a line");
    const text = raw.toString("latin1", position, end);
    position = end + 2;
    return text;
  };
  for (;;) {
    const size = Number.parseInt(line().split(";")[0] ?? "", 16);
    if (Number.isNaN(size)) throw new Error("aws-chunked body has a chunk without a size");
    if (size === 0) break;
    if (position + size + 2 > raw.length) throw new Error("aws-chunked body ends within a chunk");
    parts.push(raw.subarray(position, position + size));
    position += size + 2;
  }
  const trailers: Record<string, string> = {};
  while (position < raw.length) {
    const text = line();
    const colon = text.indexOf(":");
    if (colon > 0)
      trailers[text.slice(0, colon).trim().toLowerCase()] = text.slice(colon + 1).trim();
  }
  return { body: Buffer.concat(parts), trailers };
}
