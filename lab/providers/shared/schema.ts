import {
  Archive,
  Asset,
  isList,
  isMap,
  Secret,
  Unknown,
  type Value,
  type Values,
} from "./value.ts";

/** What every argument can say about itself. */
interface Common {
  /** It must be given. */
  readonly required?: boolean;
  /** A change of it replaces the resource. */
  readonly replaces?: boolean;
  /** The state never shows it. */
  readonly writeOnly?: boolean;
}

type Shape =
  | { readonly kind: "text" | "number" | "flag" | "asset" | "archive" | "anything" }
  | { readonly kind: "list"; readonly item: AnyField; readonly unordered: boolean }
  | { readonly kind: "map"; readonly item: AnyField }
  | { readonly kind: "object"; readonly fields: Fields };

/** An argument without its type, as the checks see it. */
export type AnyField = Shape & Common;

/** One argument of a resource. `T` is what a handler reads; it exists in types only. */
export type Field<T, R extends boolean = boolean> = AnyField & {
  readonly required: R;
  readonly type?: T;
};

/** The arguments of a resource, or of an object inside one. */
export type Fields = Readonly<Record<string, AnyField & { readonly type?: unknown }>>;

type TypeOf<F> = F extends { readonly type?: infer T } ? Exclude<T, undefined> : never;
type RequiredKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly required: true } ? K : never;
}[keyof F];

/** What a handler gets: every argument by its type, the required ones always. */
export type InputsOf<F extends Fields> = {
  readonly [K in RequiredKeys<F>]: TypeOf<F[K]>;
} & {
  readonly [K in Exclude<keyof F, RequiredKeys<F>>]?: TypeOf<F[K]> | undefined;
};

type Options<R extends boolean> = Omit<Common, "required"> & { readonly required?: R };

function field<T, R extends boolean>(shape: Shape, options: Options<R> | undefined): Field<T, R> {
  return { ...shape, ...options, required: (options?.required ?? false) as R };
}

/** A string. */
export function text<const R extends boolean = false>(options?: Options<R>): Field<string, R> {
  return field({ kind: "text" }, options);
}

/** A number. */
export function number<const R extends boolean = false>(options?: Options<R>): Field<number, R> {
  return field({ kind: "number" }, options);
}

/** A boolean. */
export function flag<const R extends boolean = false>(options?: Options<R>): Field<boolean, R> {
  return field({ kind: "flag" }, options);
}

/** A file, text or address. */
export function asset<const R extends boolean = false>(options?: Options<R>): Field<Asset, R> {
  return field({ kind: "asset" }, options);
}

/** An asset or an archive. */
export function archive<const R extends boolean = false>(
  options?: Options<R>,
): Field<Asset | Archive, R> {
  return field({ kind: "archive" }, options);
}

/** Any value at all. */
export function anything<const R extends boolean = false>(options?: Options<R>): Field<Value, R> {
  return field({ kind: "anything" }, options);
}

/** A list in which order matters. */
export function list<T, const R extends boolean = false>(
  item: Field<T>,
  options?: Options<R>,
): Field<readonly T[], R> {
  return field({ kind: "list", item, unordered: false }, options);
}

/** A list in which order does not matter: another order is no change. */
export function set<T, const R extends boolean = false>(
  item: Field<T>,
  options?: Options<R>,
): Field<readonly T[], R> {
  return field({ kind: "list", item, unordered: true }, options);
}

/** A map with free keys. */
export function map<T, const R extends boolean = false>(
  item: Field<T>,
  options?: Options<R>,
): Field<Readonly<Record<string, T>>, R> {
  return field({ kind: "map", item }, options);
}

/** An object with known keys. */
export function object<F extends Fields, const R extends boolean = false>(
  fields: F,
  options?: Options<R>,
): Field<InputsOf<F>, R> {
  return field({ kind: "object", fields }, options);
}

/** One thing wrong with the arguments. */
export interface Problem {
  /** The argument, for instance `metadataOptions.httpTokens`. */
  readonly path: string;
  readonly reason: string;
}

/** The arguments in their own types (a bridge to Terraform also takes "80" for 80), and everything that is wrong with them. */
export interface Checked {
  readonly values: Record<string, Value>;
  readonly problems: readonly Problem[];
}

/** Checks arguments against their fields: nothing unknown, nothing required missing, everything of its type. */
export function check(type: string, fields: Fields, values: Values): Checked {
  const problems: Problem[] = [];
  const report = (path: string, reason: string): void => {
    problems.push({ path, reason: `${type}: ${reason}` });
  };
  return { values: checkObject(fields, values, "", report), problems };
}

type Report = (path: string, reason: string) => void;

function checkObject(
  fields: Fields,
  values: Values,
  prefix: string,
  report: Report,
): Record<string, Value> {
  const result: Record<string, Value> = {};
  for (const [key, value] of Object.entries(values)) {
    const path = `${prefix}${key}`;
    const known = fields[key];
    if (known === undefined) {
      report(path, `argument ${path} is not known to the lab`);
    } else if (value !== null) {
      result[key] = checkValue(known, value, path, report);
    }
  }
  for (const [key, known] of Object.entries(fields)) {
    if (known.required === true && result[key] === undefined) {
      report(`${prefix}${key}`, `argument ${prefix}${key} is required`);
    }
  }
  return result;
}

function checkValue(known: AnyField, value: Value, path: string, report: Report): Value {
  if (value instanceof Unknown) {
    return value;
  }
  if (value instanceof Secret) {
    return new Secret(checkValue(known, value.value, path, report));
  }
  switch (known.kind) {
    case "list":
      if (isList(value)) {
        return value.map((item, index) =>
          checkValue(known.item, item, `${path}[${index}]`, report),
        );
      }
      break;
    case "map":
      if (isMap(value)) {
        const entries = Object.entries(value).filter(([, item]) => item !== null);
        return Object.fromEntries(
          entries.map(([key, item]) => [
            key,
            checkValue(known.item, item, `${path}.${key}`, report),
          ]),
        );
      }
      break;
    case "object":
      if (isMap(value)) {
        return checkObject(known.fields, value, `${path}.`, report);
      }
      break;
    case "anything":
      return value;
    default: {
      const converted = convert(known.kind, value);
      if (converted !== undefined) {
        return converted;
      }
    }
  }
  report(path, `argument ${path} must be a ${known.kind}, but is ${describe(value)}`);
  return value;
}

function convert(
  kind: "text" | "number" | "flag" | "asset" | "archive",
  value: Value,
): Value | undefined {
  switch (kind) {
    case "text":
      return typeof value === "number" || typeof value === "boolean"
        ? String(value)
        : whenever(typeof value === "string", value);
    case "number":
      return typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value)
        ? Number(value)
        : whenever(typeof value === "number", value);
    case "flag":
      return value === "true" || value === "false"
        ? value === "true"
        : whenever(typeof value === "boolean", value);
    case "asset":
      return whenever(value instanceof Asset, value);
    case "archive":
      return whenever(value instanceof Asset || value instanceof Archive, value);
  }
}

function whenever(condition: boolean, value: Value): Value | undefined {
  return condition ? value : undefined;
}

function describe(value: Value): string {
  return isList(value) ? "a list" : isMap(value) ? "an object" : `a ${typeof value}`;
}
