import { closeSync, openSync, readSync } from "node:fs";
import type { Line } from "./lines.ts";

/** Reads a journal while it grows: every call adds what has been written since. */
export class Tail {
  readonly #path: string;
  readonly lines: Line[] = [];
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** Everything so far. */
  read(): readonly Line[] {
    let file: number;
    try {
      file = openSync(this.#path, "r");
    } catch {
      // The writer has not begun.
      return this.lines;
    }
    try {
      const chunk = Buffer.alloc(1 << 20);
      for (;;) {
        const length = readSync(file, chunk, 0, chunk.length, this.#offset);
        if (length === 0) break;
        this.#offset += length;
        this.#take(Buffer.concat([this.#rest, chunk.subarray(0, length)]));
      }
    } finally {
      closeSync(file);
    }
    return this.lines;
  }

  #take(bytes: Buffer): void {
    const end = bytes.lastIndexOf("\n");
    this.#rest = Buffer.from(bytes.subarray(end + 1));
    if (end < 0) return;
    for (const line of bytes.subarray(0, end).toString("utf8").split("\n")) {
      this.lines.push(JSON.parse(line) as Line);
    }
  }
}
