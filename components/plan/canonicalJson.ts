/**
 * JSON text with sorted keys and without spaces: equal values give equal bytes, whatever order they were built in, so that a
 * second `up` sees no change and a hash means the same everywhere. Fields that are undefined are left out, as JSON.stringify does.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => canonicalJson(item)).join(",")}]`;
  }
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${members.join(",")}}`;
  }
  switch (typeof value) {
    case "string":
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (Number.isFinite(value)) {
        return JSON.stringify(value);
      }
      break;
    case "object":
      return "null";
    case "bigint":
    case "function":
    case "symbol":
    case "undefined":
      break;
  }
  throw new Error(`a value of type ${typeof value} has no place in JSON`);
}
