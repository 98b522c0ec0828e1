import { createHash, randomBytes } from "node:crypto";

import { UserError } from "./errors.ts";
import type { Autoname } from "./resource.ts";
import type { Value, Values } from "./value.ts";

/** The input in which the real bridge remembers which arguments it has filled in itself. */
const defaultsKey = "__defaults";

const randomLength = 7;

/**
 * Gives a nameless resource `<logical name>-<7 hex digits>`, and the same again at every later check. A replacement is checked without
 * its predecessor and so gets another name.
 */
export function withName(
  autoname: Autoname,
  logicalName: string,
  olds: Values,
  news: Values,
  seed: Uint8Array,
): Record<string, Value> {
  if (news[autoname.field] !== undefined) {
    return { ...news };
  }
  const remembered = wasNamed(autoname, olds) ? olds[autoname.field] : undefined;
  return {
    ...news,
    [autoname.field]: remembered ?? freshName(autoname, logicalName, seed),
    [defaultsKey]: [autoname.field],
  };
}

/** Whether the name among these inputs was made here. */
export function wasNamed(autoname: Autoname, inputs: Values): boolean {
  const defaults = inputs[defaultsKey];
  return Array.isArray(defaults) && defaults.includes(autoname.field);
}

/** The inputs without the bookkeeping. */
export function withoutBookkeeping(inputs: Values): Values {
  return Object.fromEntries(Object.entries(inputs).filter(([key]) => key !== defaultsKey));
}

function freshName(autoname: Autoname, logicalName: string, seed: Uint8Array): string {
  // Pulumi's seed makes a name reproducible for one operation; without one it is random.
  const source = seed.length > 0 ? createHash("sha256").update(seed).digest() : randomBytes(8);
  const base = `${autoname.prefix ?? ""}${logicalName}-`;
  const name = `${base}${source.toString("hex").slice(0, randomLength)}`;
  if (name.length > autoname.maxLength) {
    throw new UserError(
      `name ${JSON.stringify(base)} plus ${randomLength} random characters is longer than the maximum of ${autoname.maxLength}: give ${autoname.field} yourself`,
    );
  }
  return autoname.lowerCase === true ? name.toLowerCase() : name;
}
