/** The simulated object store: conditional puts with ETags, and puts that arrive after whoever sent them stopped waiting. */

/** What a put demands of the object that is there. */
export type Condition = "absent" | { readonly etag: string } | "any";

interface Stored {
  readonly value: unknown;
  readonly etag: string;
}

interface Sent {
  readonly key: string;
  readonly value: unknown;
  readonly condition: Condition;
}

/** Objects by their keys. Values are never changed once they are in. */
export class Bucket {
  /** Puts on their way, whose senders do not know what became of them. */
  readonly late: Sent[] = [];
  /** Called after every put that was done. */
  onPut: ((key: string, value: unknown, late: boolean) => void) | undefined;
  readonly #objects = new Map<string, Stored>();
  #etags = 0;

  get(key: string): Stored | undefined {
    return this.#objects.get(key);
  }

  put(key: string, value: unknown, condition: Condition, late = false): "done" | "refused" {
    const there = this.#objects.get(key);
    const holds =
      condition === "any" ||
      (condition === "absent" ? there === undefined : there?.etag === condition.etag);
    if (!holds) {
      return "refused";
    }
    this.#etags += 1;
    this.#objects.set(key, { value, etag: `"${this.#etags}"` });
    this.onPut?.(key, value, late);
    return "done";
  }

  /** Lets a put that was on its way arrive, or vanish. */
  settle(at: number, arrives: boolean): void {
    const [sent] = this.late.splice(at, 1);
    if (sent !== undefined && arrives) {
      this.put(sent.key, sent.value, sent.condition, true);
    }
  }
}
