/** IPv4 addresses and CIDR blocks as numbers; every function is total and says `undefined` for what it cannot read. */

/** A block of addresses. */
export interface Cidr {
  /** First address, as an unsigned 32-bit number. */
  readonly first: number;
  /** Length of the prefix, 0 to 32. */
  readonly prefix: number;
}

/** Reads a dotted quad; leading zeros are refused, because some programs read them as octal. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const octets = match?.slice(1) ?? [];
  if (octets.length !== 4 || octets.some((octet) => Number(octet) > 255 || /^0\d/.test(octet))) {
    return undefined;
  }
  return octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

/** Writes an address as a dotted quad. */
export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** Number of addresses in a block with this prefix length. */
export function blockSize(prefix: number): number {
  return 2 ** (32 - prefix);
}

/** Reads a block; its host bits must be zero, as AWS demands. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([\d.]+)\/(0|[1-9]\d?)$/.exec(text);
  const first = parseAddress(match?.[1] ?? "");
  const prefix = Number(match?.[2]);
  if (first === undefined || !(prefix <= 32) || first % blockSize(prefix) !== 0) {
    return undefined;
  }
  return { first, prefix };
}

/** Writes a block. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.first)}/${cidr.prefix}`;
}

/** Whether a block holds an address. */
export function contains(cidr: Cidr, address: number): boolean {
  return address >= cidr.first && address < cidr.first + blockSize(cidr.prefix);
}

/** Whether two blocks share an address. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  return contains(a, b.first) || contains(b, a.first);
}

/** The `index`-th block that is `bits` longer in prefix than its parent. */
export function subBlock(parent: Cidr, bits: number, index: number): Cidr {
  const prefix = parent.prefix + bits;
  if (prefix > 32 || index < 0 || index >= 2 ** bits) {
    throw new Error(`${formatCidr(parent)} has no block ${index} of ${bits} more bits`);
  }
  return { first: parent.first + index * blockSize(prefix), prefix };
}

/** Whether AWS keeps an address of a subnet for itself: the first four and the last. */
export function isReserved(subnet: Cidr, address: number): boolean {
  const offset = address - subnet.first;
  return offset < 4 || offset === blockSize(subnet.prefix) - 1;
}
