/**
 * Parameters of a call in the flat form of AWS's query protocols ("Filter.1.Value.2"), which JSON bodies and REST paths are
 * brought into as well, so that rules are written once. Lists lose their ".member" step.
 */
export class Params {
  private readonly values: ReadonlyMap<string, string>;

  constructor(values: ReadonlyMap<string, string>) {
    this.values = values;
  }

  /** Reads a form body or a query string. */
  static fromForm(text: string): Params {
    const values = new Map<string, string>();
    for (const [key, value] of new URLSearchParams(text)) {
      values.set(key.replace(/\.member\./g, "."), value);
    }
    return new Params(values);
  }

  /** Flattens a JSON document; array positions count from 1, as in the query protocols. */
  static fromJson(document: unknown): Params {
    const values = new Map<string, string>();
    const walk = (value: unknown, path: string): void => {
      if (Array.isArray(value)) {
        value.forEach((item, index) => {
          walk(item, `${path}.${index + 1}`);
        });
      } else if (typeof value === "object" && value !== null) {
        for (const [key, item] of Object.entries(value)) {
          walk(item, path === "" ? key : `${path}.${key}`);
        }
      } else if (["string", "number", "boolean"].includes(typeof value)) {
        values.set(path, `${value as string | number | boolean}`);
      }
    };
    walk(document, "");
    return new Params(values);
  }

  /** The value at a path, or undefined. */
  text(path: string): string | undefined {
    return this.values.get(path);
  }

  /** Whether a path, or anything below it, was given. */
  has(path: string): boolean {
    return (
      this.values.has(path) || [...this.values.keys()].some((key) => key.startsWith(`${path}.`))
    );
  }

  /** The strings of a list, in order: `list("SecurityGroupId")`. */
  list(path: string): string[] {
    return this.indices(path).flatMap((index) => {
      const value = this.values.get(`${path}.${index}`);
      return value === undefined ? [] : [value];
    });
  }

  /** The structures of a list, in order: `items("NetworkInterface")`. */
  items(path: string): Params[] {
    return this.indices(path).map((index) => this.below(`${path}.${index}`));
  }

  /** The parameters below a path, with the path removed. */
  below(path: string): Params {
    const prefix = `${path}.`;
    return new Params(
      new Map(
        [...this.values]
          .filter(([key]) => key.startsWith(prefix))
          .map(([key, value]) => [key.slice(prefix.length), value]),
      ),
    );
  }

  /** Everything, for encoding and for reports. */
  entries(): [string, string][] {
    return [...this.values];
  }

  /** A copy with some values added or replaced. */
  with(changes: Readonly<Record<string, string>>): Params {
    return new Params(new Map([...this.values, ...Object.entries(changes)]));
  }

  private indices(path: string): number[] {
    const prefix = `${path}.`;
    const found = new Set<number>();
    for (const key of this.values.keys()) {
      const index = key.startsWith(prefix) ? /^\d+/.exec(key.slice(prefix.length)) : null;
      if (index !== null) found.add(Number(index[0]));
    }
    return [...found].sort((a, b) => a - b);
  }
}
