import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./clock.ts";
import { Endpoint, reasonOf, type ClientTls } from "./endpoint.ts";
import type { Journal } from "./lines.ts";

/** Longest that a put may take. An election takes one to two seconds; a stream that waits one out shows its end. */
const putMs = 1500;

/** Least time from one put of a stream to the next: as fast as two processors can serve three members and the lab beside. */
const paceMs = 20;

/**
 * Sequential streams of puts. Every key is written once: a put whose outcome is unknown is never repeated, so that what is found at
 * the end can be told apart. A stream whose member does not answer goes on with the next one.
 */
export class Streams {
  readonly #addresses: readonly string[];
  readonly #tls: ClientTls;
  readonly #prefix: string;
  readonly #journal: Journal;
  #highest = 0n;
  #stopped = false;

  constructor(addresses: readonly string[], tls: ClientTls, prefix: string, journal: Journal) {
    this.#addresses = addresses;
    this.#tls = tls;
    this.#prefix = prefix;
    this.#journal = journal;
  }

  /** Lets the puts under way end, and begins no other. */
  stop(): void {
    this.#stopped = true;
  }

  /** Runs a stream until it is stopped. */
  async run(stream: number): Promise<void> {
    let at = stream % this.#addresses.length;
    let endpoint = this.#endpoint(at);
    for (let sequence = 0; !this.#stopped; sequence += 1) {
      const key = `${this.#prefix}${stream}/${String(sequence).padStart(8, "0")}`;
      const started = now();
      if (!(await this.#put(endpoint, at, key))) {
        endpoint.close();
        at = (at + 1) % this.#addresses.length;
        endpoint = this.#endpoint(at);
        await sleep(50);
      }
      const rest = paceMs - (now() - started);
      if (rest > 0) await sleep(rest);
    }
    endpoint.close();
  }

  #endpoint(at: number): Endpoint {
    return new Endpoint(this.#addresses[at] ?? "", this.#tls, putMs);
  }

  async #put(endpoint: Endpoint, at: number, key: string): Promise<boolean> {
    // The damage of a disk is done inside such a value: see lab/cli/fault/damage.ts.
    const value = `written:${key}:${randomBytes(24).toString("base64url")}`;
    const floor = this.#highest;
    const sentAt = now();
    try {
      const { revision, clusterId } = await endpoint.put(key, value);
      this.#journal.add({
        kind: "ack",
        key,
        value,
        revision: String(revision),
        clusterId,
        endpoint: at,
        sentAt,
        at: now(),
      });
      // What was acknowledged before this put was sent is older than it, through whichever member.
      if (revision <= floor) {
        const what = `${key} got revision ${revision} after ${floor} had been acknowledged`;
        this.#journal.add({ kind: "violation", what, at: now() });
      }
      if (revision > this.#highest) this.#highest = revision;
      return true;
    } catch (error) {
      this.#journal.add({ kind: "unknown", key, value, why: reasonOf(error), sentAt, at: now() });
      return false;
    }
  }
}
