import { AwsError } from "./errors.ts";

/** A range of IPv4 addresses as numbers. */
export interface Range {
  readonly first: number;
  readonly last: number;
  readonly prefix: number;
}

/** Reads "10.0.0.0/16"; the address must be the range's first. */
export function parseCidr(text: string): Range {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const parts = (match ?? []).slice(1).map(Number);
  const [a = 256, b = 256, c = 256, d = 256, prefix = 33] = parts;
  if ([a, b, c, d].some((part) => part > 255) || prefix > 32) {
    throw new AwsError(
      "InvalidParameterValue",
      `Value (${text}) for parameter cidrBlock is invalid. This is not a valid CIDR block.`,
    );
  }
  const size = 2 ** (32 - prefix);
  const address = ((a * 256 + b) * 256 + c) * 256 + d;
  if (address % size !== 0) {
    throw new AwsError(
      "InvalidParameterValue",
      `The CIDR ${text} has bits set beyond its prefix; ${addressText(address - (address % size))}/${prefix} is meant.`,
    );
  }
  return { first: address, last: address + size - 1, prefix };
}

/** A number as a dotted address. */
export function addressText(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** Whether two ranges share an address. */
export function overlap(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** Whether one range lies within another. */
export function contains(outer: Range, inner: Range): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}
