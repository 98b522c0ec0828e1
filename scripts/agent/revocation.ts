/**
 * A certificate revocation list as etcd reads one (`--client-crl-file`, `--peer-crl-file`), at every handshake: it turns a connection away
 * when any certificate that was presented has a serial number of the list. It compares nothing else, so the list needs no signature, and
 * being always the same bytes for the same serials is worth more: who signs it would have to keep an authority's key on the machine.
 */

const tag = {
  integer: 0x02,
  bitString: 0x03,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

function element(kind: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const size =
    length < 0x80
      ? [length]
      : length < 0x100
        ? [0x81, length]
        : [0x82, Math.floor(length / 0x100), length % 0x100];
  if (length > 0xffff) {
    throw new Error("a revocation list of more than 64 KiB");
  }
  return Buffer.concat([Buffer.from([kind, ...size]), content]);
}

/** A positive integer from hexadecimal digits. */
function positive(digits: string): Buffer {
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  const first = bytes.findIndex((byte) => byte !== 0);
  if (!/^[0-9a-fA-F]+$/.test(digits) || first === -1) {
    throw new Error(`${digits} is no serial number`);
  }
  const short = bytes.subarray(first);
  return element(tag.integer, Buffer.from((short[0] ?? 0) >= 0x80 ? [0] : []), short);
}

/** ecdsa-with-SHA256; a list must name an algorithm. */
const algorithm = element(tag.sequence, element(tag.oid, Buffer.from("2a8648ce3d040302", "hex")));
const commonName = element(tag.oid, Buffer.from("550403", "hex"));
const issuer = element(
  tag.sequence,
  element(tag.set, element(tag.sequence, commonName, element(tag.utf8, Buffer.from("etcd-agent")))),
);
/** A time must be there; nobody looks at it. */
const always = element(tag.utcTime, Buffer.from("000101000000Z"));

/** The list with these serial numbers (hexadecimal), DER; the same bytes whatever their order. */
export function revocationList(serials: readonly string[]): Buffer {
  const unique = [...new Set(serials.map((serial) => serial.toLowerCase()))].sort();
  const revoked = unique.map((serial) => element(tag.sequence, positive(serial), always));
  const list = element(
    tag.sequence,
    element(tag.integer, Buffer.from([1])),
    algorithm,
    issuer,
    always,
    // An empty sequence is not allowed: none means no sequence.
    ...(revoked.length === 0 ? [] : [element(tag.sequence, ...revoked)]),
  );
  return element(tag.sequence, list, algorithm, element(tag.bitString, Buffer.from([0, 0])));
}
