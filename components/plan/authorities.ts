import type { Problem } from "./problems";

/**
 * Which certificate authorities a cluster has, as one value: their numbers, the one that signs first. An exchange goes through three
 * values, and each is the only one that may follow the one before it:
 *
 * | value | signs | trusted | |
 * | --- | --- | --- | --- |
 * | `1` | 1 | 1 | |
 * | `1+2` | 1 | 1 and 2 | trust both: clients take the bundle `caCertificate` |
 * | `2+1` | 2 | 2 and 1 | re-issue: members get certificates of 2; clients take theirs |
 * | `2` | 2 | 2 | drop the old one: what 1 has signed is turned away |
 */

/** Value of a new cluster. */
export const firstAuthorities = "1";

/** A value, taken apart. */
export interface Authorities {
  /** Number of the authority that signs. */
  readonly signer: number;
  /** Numbers of those that are trusted, the signer first. */
  readonly trusted: readonly number[];
  /** Numbers of those that were dropped. Their certificates are revoked until they end by themselves. */
  readonly dropped: readonly number[];
}

const form = /^([1-9]\d?)(?:\+([1-9]\d?))?$/;

/** Takes a value apart; undefined when it is none. */
export function parseAuthorities(value: string): Authorities | undefined {
  const [, signs, second] = form.exec(value) ?? [];
  if (signs === undefined) {
    return undefined;
  }
  const signer = Number(signs);
  const trusted = second === undefined ? [signer] : [signer, Number(second)];
  if (second !== undefined && Math.abs(signer - Number(second)) !== 1) {
    return undefined;
  }
  const first = Math.min(...trusted);
  return { signer, trusted, dropped: Array.from({ length: first - 1 }, (_, index) => index + 1) };
}

/** The same for a value that was validated. */
export function authoritiesOf(value: string): Authorities {
  const authorities = parseAuthorities(value);
  if (authorities === undefined) {
    throw new Error(`certificateAuthorities ${value} was not validated`);
  }
  return authorities;
}

/** What is wrong with a value by itself. */
export function authoritiesProblem(value: string): Problem | undefined {
  return parseAuthorities(value) === undefined
    ? {
        path: "certificateAuthorities",
        value,
        rule: "it names the authority that signs, and during an exchange the other one that is trusted, whose number is next to it",
        remedy: `leave it out (${firstAuthorities}), or take the next of 1, 1+2, 2+1, 2, 2+3, …`,
      }
    : undefined;
}

/** How far all exchanges together have come: 1 is 0, 1+2 is 1, 2+1 is 2, 2 is 3. */
function position({ signer, trusted }: Authorities): number {
  const other = trusted[1];
  return 3 * (signer - 1) + (other === undefined ? 0 : other > signer ? 1 : -1);
}

function valueAt(at: number): string {
  const signed = Math.floor(at / 3) + 1;
  const values = [`${signed}`, `${signed}+${signed + 1}`, `${signed + 1}+${signed}`] as const;
  return values[at % 3] ?? "";
}

/**
 * What is wrong with going from one value to another, for values that are right in themselves. A step may be taken back, but for the
 * last: what was dropped is not trusted again.
 */
export function authoritiesStepProblem(from: string, to: string): Problem | undefined {
  const [before, after] = [position(authoritiesOf(from)), position(authoritiesOf(to))];
  const dropped = before % 3 === 0;
  if (after === before || after === before + 1 || (after === before - 1 && !dropped)) {
    return undefined;
  }
  const next = valueAt(before + 1);
  return {
    path: "certificateAuthorities",
    value: to,
    rule:
      after < before
        ? `the cluster is at ${from}; what was dropped is never trusted again, and only the last step can be taken back`
        : `the cluster is at ${from}, and every step has to reach all members and clients before the next one: ${next} comes next`,
    remedy: dropped
      ? `set it to ${from}, or to ${next} to begin an exchange`
      : `set it to ${next}, or to ${valueAt(before - 1)} to go back`,
  };
}
