import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Params } from "../params.ts";

/** Throws unless a value matches; the message names parameter, value and rule. */
export function mustMatch(
  name: string,
  value: string | undefined,
  pattern: RegExp,
  rule: string,
  code = "InvalidParameterValue",
): void {
  if (value === undefined || !pattern.test(value)) {
    throw new AwsError(
      code,
      `Value (${value ?? "none"}) for parameter ${name} is invalid: ${rule}.`,
    );
  }
}

/** Throws unless a value is a whole number within bounds. */
export function mustBeWithin(
  name: string,
  value: string | undefined,
  low: number,
  high: number,
  code = "InvalidParameterValue",
): void {
  if (value === undefined) return;
  if (!/^\d+$/.test(value) || Number(value) < low || Number(value) > high) {
    throw new AwsError(
      code,
      `Value (${value}) for parameter ${name} is invalid: it must be a whole number from ${low} to ${high}.`,
    );
  }
}

/** Throws for a parameter that the lab does not know: it would be recorded and have no effect. */
export function onlyKnown(params: Params, known: readonly string[], where: string): void {
  const all = new Set(["Action", "Version", ...known]);
  for (const [name] of params.entries()) {
    const [top = ""] = name.split(".");
    if (!all.has(top)) {
      throw new AwsError(
        "LabUnknownParameter",
        `The lab does not know the parameter ${top} of ${where}.`,
      );
    }
  }
}

/** Most tags a resource may have. */
const maxTags = 50;

/** AWS's rules for tags: lengths, number, no reserved prefix (except for AWS's own services). */
export function checkTags(tags: readonly Params[], caller: Call["caller"]): void {
  if (tags.length > maxTags)
    throw new AwsError(
      "TagLimitExceeded",
      `A resource has at most ${maxTags} tags; these are ${tags.length}.`,
    );
  const keys = new Set<string>();
  for (const tag of tags) {
    const key = tag.text("Key") ?? "";
    const value = tag.text("Value") ?? "";
    if (key.length < 1 || key.length > 128) {
      throw new AwsError("InvalidParameterValue", `Tag keys have 1 to 128 characters: "${key}".`);
    }
    if (value.length > 256) {
      throw new AwsError(
        "InvalidParameterValue",
        `Tag values have at most 256 characters: "${key}" has ${value.length}.`,
      );
    }
    if (/^aws:/i.test(key) && caller.kind !== "service") {
      throw new AwsError(
        "InvalidParameterValue",
        `Tag keys starting with 'aws:' are reserved for internal use: "${key}".`,
      );
    }
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key + value)) {
      throw new AwsError(
        "InvalidParameterValue",
        `Tags consist of letters, digits, spaces and _.:/=+-@: "${key}" = "${value}".`,
      );
    }
    if (keys.has(key))
      throw new AwsError("InvalidParameterValue", `Duplicate tag key '${key}' specified.`);
    keys.add(key);
  }
}
