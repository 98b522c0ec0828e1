import type { AnyField, Fields } from "./schema.ts";
import { equal, hasUnknown, isList, isMap, reveal, type Value, type Values } from "./value.ts";

/** One changed place in the arguments. */
export interface Change {
  /** Pulumi's property path, for instance `tags.Name` or `subnets[0]`. */
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly replaces: boolean;
}

/** Which arguments differ, deep enough to say where. An unknown new value is a change: it may become anything. */
export function compare(fields: Fields, olds: Values, news: Values): Change[] {
  return compareMaps(fields, olds, news, "", false);
}

/** The names of the arguments in which something changed. */
export function changedArguments(changes: readonly Change[]): string[] {
  return [...new Set(changes.map(({ path }) => /^[^.[]+/.exec(path)?.[0] ?? path))];
}

function compareMaps(
  fields: Fields | AnyField,
  olds: Values,
  news: Values,
  prefix: string,
  replaces: boolean,
): Change[] {
  const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
  return keys.flatMap((key) => {
    const field = isField(fields) ? fields : fields[key];
    const path = pathOf(prefix, key);
    return compareValues(field, olds[key], news[key], path, replaces || field?.replaces === true);
  });
}

function compareValues(
  field: AnyField | undefined,
  old: Value | undefined,
  now: Value | undefined,
  path: string,
  replaces: boolean,
): Change[] {
  const left = plain(old);
  const right = plain(now);
  if (equal(left, right) || (isUnordered(field) && sameMembers(left, right))) {
    return [];
  }
  if (left === undefined || right === undefined) {
    return [{ path, kind: left === undefined ? "add" : "delete", replaces }];
  }
  if (isMap(left) && isMap(right)) {
    const inner = field?.kind === "object" ? field.fields : field?.kind === "map" ? field.item : {};
    return compareMaps(inner, left, right, path, replaces);
  }
  if (isList(left) && isList(right) && !isUnordered(field)) {
    const item = field?.kind === "list" ? field.item : undefined;
    return Array.from({ length: Math.max(left.length, right.length) }, (_, index) => index).flatMap(
      (index) =>
        compareValues(
          item,
          left[index],
          right[index],
          `${path}[${index}]`,
          replaces || item?.replaces === true,
        ),
    );
  }
  return [{ path, kind: "update", replaces }];
}

/** Empty lists and maps are as good as absent ones: AWS, and therefore the real provider, cannot tell them apart. */
function plain(value: Value | undefined): Value | undefined {
  if (value === undefined || value === null) {
    return undefined;
  }
  const revealed = reveal(value);
  const empty =
    (isList(revealed) && revealed.length === 0) ||
    (isMap(revealed) && Object.keys(revealed).length === 0);
  return empty ? undefined : revealed;
}

function isField(fields: Fields | AnyField): fields is AnyField {
  return typeof fields["kind"] === "string";
}

function isUnordered(field: AnyField | undefined): boolean {
  return field?.kind === "list" && field.unordered;
}

function sameMembers(left: Value | undefined, right: Value | undefined): boolean {
  if (!isList(left) || !isList(right) || left.length !== right.length || hasUnknown(right)) {
    return false;
  }
  const sorted = (values: readonly Value[]) =>
    values.map((value) => JSON.stringify(value)).toSorted();
  return equal(sorted(left), sorted(right));
}

function pathOf(prefix: string, key: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(key)) {
    return `${prefix}[${JSON.stringify(key)}]`;
  }
  return prefix === "" ? key : `${prefix}.${key}`;
}
