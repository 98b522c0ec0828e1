/** A value that Pulumi will know only after something else has been created. */
export class Unknown {
  readonly unknown = true;
}

/** The one unknown value. */
export const unknown = new Unknown();

/** A value that Pulumi encrypts in its state. */
export class Secret {
  readonly value: Value;
  constructor(value: Value) {
    this.value = value;
  }
}

/** A file, a text or an address that a program hands over; `hash` is computed by Pulumi. */
export class Asset {
  readonly hash: string;
  readonly text: string | undefined;
  readonly path: string | undefined;
  readonly uri: string | undefined;
  constructor(fields: { hash: string; text?: string; path?: string; uri?: string }) {
    this.hash = fields.hash;
    this.text = fields.text;
    this.path = fields.path;
    this.uri = fields.uri;
  }
}

/** A folder or an archive file. Members given one by one are not supported. */
export class Archive {
  readonly hash: string;
  readonly path: string | undefined;
  readonly uri: string | undefined;
  constructor(fields: { hash: string; path?: string; uri?: string }) {
    this.hash = fields.hash;
    this.path = fields.path;
    this.uri = fields.uri;
  }
}

/** A property value as it travels between Pulumi and a provider. */
export type Value =
  | null
  | boolean
  | number
  | string
  | readonly Value[]
  | { readonly [key: string]: Value }
  | Unknown
  | Secret
  | Asset
  | Archive;

/** A property map. */
export type Values = Readonly<Record<string, Value>>;

/** Whether a value is a plain map: none of the classes above, no list. */
export function isMap(value: Value | undefined): value is { readonly [key: string]: Value } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.getPrototypeOf(value) === Object.prototype
  );
}

/** Whether a value is a list. */
export function isList(value: Value | undefined): value is readonly Value[] {
  return Array.isArray(value);
}

/** The value without any secret wrapper, at any depth. */
export function reveal(value: Value): Value {
  if (value instanceof Secret) {
    return reveal(value.value);
  }
  if (isList(value)) {
    return value.map(reveal);
  }
  return isMap(value) ? revealAll(value) : value;
}

/** The map without any secret wrapper, at any depth. */
export function revealAll(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, reveal(value)]));
}

/** Whether any part of the value is unknown. */
export function hasUnknown(value: Value): boolean {
  if (value instanceof Secret) {
    return hasUnknown(value.value);
  }
  if (isList(value)) {
    return value.some(hasUnknown);
  }
  return value instanceof Unknown || (isMap(value) && Object.values(value).some(hasUnknown));
}

/**
 * Marks outputs secret where the input of the same name is secret, as Pulumi itself does for providers that do not understand
 * secrets. Where an output has the same shape as its input only the secret parts are marked.
 */
export function markSecrets(outputs: Value, inputs: Value | undefined): Value {
  if (inputs instanceof Secret) {
    return outputs instanceof Secret ? outputs : new Secret(outputs);
  }
  if (isMap(outputs) && isMap(inputs)) {
    return Object.fromEntries(
      Object.entries(outputs).map(([key, value]) => [key, markSecrets(value, inputs[key])]),
    );
  }
  if (isList(outputs) && isList(inputs)) {
    return outputs.map((value, index) => markSecrets(value, inputs[index]));
  }
  return outputs;
}

/** Structural equality of revealed values. Unknown equals nothing, because it may become anything. Assets are equal by content. */
export function equal(left: Value | undefined, right: Value | undefined): boolean {
  if (left instanceof Secret) {
    return equal(left.value, right);
  }
  if (right instanceof Secret) {
    return equal(left, right.value);
  }
  if (left === undefined || right === undefined || left === null || right === null) {
    return (left ?? undefined) === (right ?? undefined);
  }
  if (left instanceof Unknown || right instanceof Unknown) {
    return false;
  }
  if (isFile(left) || isFile(right)) {
    return isFile(left) && isFile(right) && left.hash === right.hash;
  }
  if (isList(left)) {
    return (
      isList(right) &&
      left.length === right.length &&
      left.every((item, index) => equal(item, right[index]))
    );
  }
  if (isMap(left) && isMap(right)) {
    const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...keys].every((key) => equal(left[key], right[key]));
  }
  return left === right;
}

function isFile(value: Value): value is Asset | Archive {
  return value instanceof Asset || value instanceof Archive;
}
