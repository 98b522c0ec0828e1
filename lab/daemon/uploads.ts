import type { IncomingMessage } from "node:http";

/** A put that stands still in its middle. */
export interface HeldUpload {
  readonly target: string;
  /** The machine's address. */
  readonly address: string;
}

/**
 * Puts into S3 that come to a halt half-way, and are cut there: the network or the machine ends in the middle of a file. Only machines'
 * puts are concerned, and only those whose path contains a given text.
 */
export class Uploads {
  #text: string | undefined;
  readonly #held = new Map<IncomingMessage, HeldUpload>();

  /** From now on puts to such paths stand still half-way; undefined ends that, and cuts all that stand still. */
  hold(text: string | undefined): void {
    this.#text = text;
    if (text !== undefined) return;
    for (const incoming of this.#held.keys()) incoming.destroy();
    this.#held.clear();
  }

  /** Those that stand still now. */
  held(): HeldUpload[] {
    return [...this.#held.values()];
  }

  /** Whether a request is to be stopped half-way. */
  concerns({ method, url, headers }: IncomingMessage): boolean {
    return (
      this.#text !== undefined &&
      method === "PUT" &&
      decodeURIComponent(url ?? "").includes(this.#text) &&
      Number(headers["content-length"] ?? 0) > 1
    );
  }

  /** Reads half of a request's body and then nothing; whoever sends it sees a server that takes no more. */
  stop(incoming: IncomingMessage, address: string): void {
    const half = Number(incoming.headers["content-length"]) / 2;
    let length = 0;
    incoming.on("data", (part: Buffer) => {
      length += part.length;
      if (length < half || this.#held.has(incoming)) return;
      incoming.pause();
      this.#held.set(incoming, { target: incoming.url ?? "", address });
    });
    incoming.on("close", () => this.#held.delete(incoming));
    incoming.on("error", () => this.#held.delete(incoming));
  }
}
