import type { ObjectStore, PutCondition } from "../../../scripts/agent/record";

/** S3 as far as the record needs it: conditional puts, ETags, versions, delete markers, and faults on demand. */
export class FakeStore implements ObjectStore {
  /** Called before each call; may throw, or let somebody else go first. */
  before: ((what: "get" | "list" | "put") => Promise<void> | void) | undefined;
  /** Called after a put was done and before its answer; throwing loses the answer. */
  afterPut: (() => Promise<void> | void) | undefined;
  puts = 0;
  readonly #versions = new Map<string, ({ text: string; etag: string } | "deleted")[]>();
  #next = 1;

  async get(key: string): Promise<{ text: string; etag: string } | undefined> {
    await this.before?.("get");
    const last = this.#versions.get(key)?.at(-1);
    return last === "deleted" ? undefined : last;
  }

  async everExisted(key: string): Promise<boolean> {
    await this.before?.("list");
    return this.#versions.has(key);
  }

  async put(key: string, text: string, condition: PutCondition): Promise<"done" | "refused"> {
    await this.before?.("put");
    this.puts += 1;
    const versions = this.#versions.get(key) ?? [];
    const last = versions.at(-1);
    const etag = last === undefined || last === "deleted" ? undefined : last.etag;
    const holds = "ifMatch" in condition ? etag === condition.ifMatch : etag === undefined;
    if (!holds) {
      return "refused";
    }
    this.#versions.set(key, [...versions, { text, etag: `"${this.#next++}"` }]);
    await this.afterPut?.();
    return "done";
  }

  delete(key: string): void {
    this.#versions.set(key, [...(this.#versions.get(key) ?? []), "deleted"]);
  }
}
