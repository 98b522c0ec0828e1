import { struct } from "./proto.ts";
import { Archive, Asset, isList, isMap, Secret, Unknown, unknown, type Value } from "./value.ts";

/** What the protocol's Struct message turns into. (Its own declarations call the inner maps `{}`.) */
type JavaScriptValue =
  null | boolean | number | string | JavaScriptValue[] | { [key: string]: JavaScriptValue };

/** Pulumi's marks for what JSON cannot say (SDK, runtime/rpc.js). */
const unknownMark = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const signatureKey = "4dabf18193072939515e22adb298388d";
const signatures = {
  secret: "1b47061264138c4ac30d75fd1eb44270",
  asset: "c44067f5952c0a294b673a41bacd8c17",
  archive: "0def7320c3a5731c473e5ecbe6d01bc7",
  resource: "5cf8f73096256a8f31e491e813e4eb8e",
  output: "d0e6a833031e9bbcd3f4e8bde6ca49a4",
} as const;

/** Reads a property map from the wire. A missing map is an empty one. */
export function fromWire(
  message: InstanceType<typeof struct.Struct> | undefined,
): Record<string, Value> {
  const values = (message?.toJavaScript() ?? {}) as Record<string, JavaScriptValue>;
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== null)
      .map(([key, value]) => [key, valueFromWire(value)]),
  );
}

/** Writes a property map for the wire. Absent values are left out. */
export function toWire(
  values: Readonly<Record<string, Value | undefined>>,
): InstanceType<typeof struct.Struct> {
  return struct.Struct.fromJavaScript(mapToWire(values));
}

function valueFromWire(value: JavaScriptValue): Value {
  if (value === unknownMark) {
    return unknown;
  }
  if (value === null || typeof value !== "object") {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(valueFromWire);
  }
  const signature = value[signatureKey];
  if (signature === undefined) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, valueFromWire(item)]),
    );
  }
  return marked(value, signature);
}

function marked(value: Record<string, JavaScriptValue>, signature: JavaScriptValue): Value {
  const text = (key: string): string | undefined => {
    const found = value[key];
    return typeof found === "string" && found !== "" ? found : undefined;
  };
  switch (signature) {
    case signatures.secret:
      return new Secret(valueFromWire(value["value"] ?? null));
    case signatures.output: {
      const inner = value["value"] === undefined ? unknown : valueFromWire(value["value"]);
      return value["secret"] === true ? new Secret(inner) : inner;
    }
    case signatures.asset:
      return new Asset({ hash: text("hash") ?? "", ...present({ ...fileFields(text) }) });
    case signatures.archive: {
      const { path, uri } = fileFields(text);
      if (path === undefined && uri === undefined) {
        throw new Error(
          "archives made of single assets are not supported by the lab: give a path or a URI",
        );
      }
      return new Archive({ hash: text("hash") ?? "", ...present({ path, uri }) });
    }
    case signatures.resource:
      return text("id") ?? text("urn") ?? unknown;
    default:
      throw new Error(`a value with the unknown signature ${JSON.stringify(signature)}`);
  }
}

function fileFields(text: (key: string) => string | undefined) {
  return { text: text("text"), path: text("path"), uri: text("uri") };
}

function present<T extends Record<string, string | undefined>>(
  fields: T,
): { [K in keyof T]?: string } {
  const found = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(found) as { [K in keyof T]?: string };
}

function valueToWire(value: Value): JavaScriptValue {
  if (value instanceof Unknown) {
    return unknownMark;
  }
  if (value instanceof Secret) {
    return { [signatureKey]: signatures.secret, value: valueToWire(value.value) };
  }
  if (value instanceof Asset) {
    const { hash, text, path, uri } = value;
    return { [signatureKey]: signatures.asset, hash, ...present({ text, path, uri }) };
  }
  if (value instanceof Archive) {
    const { hash, path, uri } = value;
    return { [signatureKey]: signatures.archive, hash, ...present({ path, uri }) };
  }
  if (isList(value)) {
    return value.map(valueToWire);
  }
  return isMap(value) ? mapToWire(value) : value;
}

function mapToWire(
  values: Readonly<Record<string, Value | undefined>>,
): Record<string, JavaScriptValue> {
  const entries: [string, JavaScriptValue][] = [];
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined) {
      entries.push([key, valueToWire(value)]);
    }
  }
  return Object.fromEntries(entries);
}
