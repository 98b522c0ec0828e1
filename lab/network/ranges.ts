/** Arithmetic on IPv4 addresses and ranges, as numbers. */

/** "10.0.0.1" as a number. */
export function toNumber(address: string): number {
  const parts = address.split(".").map(Number);
  if (
    parts.length !== 4 ||
    parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255)
  ) {
    throw new Error(`"${address}" is not an IPv4 address`);
  }
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

/** A number as "10.0.0.1". */
export function toAddress(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join(".");
}

/** First and last address of a range. */
export function bounds(cidr: string): { first: number; last: number; prefix: number } {
  const [address, length] = cidr.split("/");
  const prefix = length === undefined ? 32 : Number(length);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32) {
    throw new Error(`"${cidr}" is not an IPv4 range`);
  }
  const size = 2 ** (32 - prefix);
  const first = Math.floor(toNumber(address ?? "") / size) * size;
  return { first, last: first + size - 1, prefix };
}

/** Whether two ranges share an address. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [bounds(one), bounds(other)];
  return a.first <= b.last && b.first <= a.last;
}

/** The router's address in a subnet: the first one, as in every VPC. */
export function gateway(cidr: string): string {
  return toAddress(bounds(cidr).first + 1);
}
