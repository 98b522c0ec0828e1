import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./clock.ts";
import { Endpoint, reasonOf, type ClientTls, type PutAnswer } from "./endpoint.ts";
import type { ClientKind, Journal } from "./lines.ts";

/** Longest that one attempt may take, milliseconds; an election takes one to two seconds. */
const attemptMs = 2000;

/** Longest that a request is tried, milliseconds: what a program that uses the cluster would ordinarily put up with. */
const giveUpMs = 10_000;

/** Rest before the second attempt, milliseconds; each further one is twice as long, up to the most. */
const firstRestMs = 50;
const mostRestMs = 1000;

/** Least time from one request of a client to the next, milliseconds. */
const paceMs = 30;

/** How many of its own acknowledged keys a client remembers and reads again. */
const remembered = 200;

/** How a request ended. */
type Ending<T> =
  | { readonly answer: T; readonly attempts: number }
  | { readonly failure: string; readonly attempts: number };

/**
 * A client that reads and writes in turn, through one member until that does not answer, then through the next. With retries it is
 * ordinary in what it does about failures: other members, growing rests, an end. A write names a key of its own and is done once,
 * however often it is asked for. Reads are linearizable, and must show what was acknowledged before.
 */
export class MixedClient {
  readonly #addresses: readonly string[];
  readonly #tls: ClientTls;
  readonly #prefix: string;
  readonly #journal: Journal;
  readonly #kind: ClientKind;
  readonly #known: { key: string; value: string }[] = [];
  #at: number;
  #endpoint: Endpoint;
  #highest = 0n;
  #stopped = false;

  constructor(
    addresses: readonly string[],
    tls: ClientTls,
    prefix: string,
    journal: Journal,
    { number, kind }: { readonly number: number; readonly kind: ClientKind },
  ) {
    this.#addresses = addresses;
    this.#tls = tls;
    this.#prefix = `${prefix}${kind}/${number}/`;
    this.#journal = journal;
    this.#kind = kind;
    this.#at = number % addresses.length;
    this.#endpoint = this.#open();
  }

  /** Lets the request under way end, and begins no other. */
  stop(): void {
    this.#stopped = true;
  }

  /** Reads and writes until stopped. */
  async run(): Promise<void> {
    for (let sequence = 0; !this.#stopped; sequence += 1) {
      const started = now();
      const old = this.#known[Math.floor(Math.random() * this.#known.length)];
      if (sequence % 2 === 1 && old !== undefined) await this.#read(old.key, old.value);
      else await this.#write(`${this.#prefix}${String(sequence).padStart(8, "0")}`);
      const rest = paceMs - (now() - started);
      if (rest > 0) await sleep(rest);
    }
    this.#endpoint.close();
  }

  #open(): Endpoint {
    return new Endpoint(this.#addresses[this.#at] ?? "", this.#tls, attemptMs);
  }

  #next(): void {
    this.#endpoint.close();
    this.#at = (this.#at + 1) % this.#addresses.length;
    this.#endpoint = this.#open();
  }

  async #request<T>(ask: (endpoint: Endpoint) => Promise<T>): Promise<Ending<T>> {
    const end = now() + giveUpMs;
    for (let attempts = 1, rest = firstRestMs; ; attempts += 1) {
      try {
        return { answer: await ask(this.#endpoint), attempts };
      } catch (error) {
        this.#next();
        if (this.#kind === "once" || now() + rest > end) {
          return { failure: reasonOf(error), attempts };
        }
        // Clients that failed together must not come back together.
        await sleep(rest * (0.5 + Math.random() / 2));
        rest = Math.min(rest * 2, mostRestMs);
      }
    }
  }

  #tell(what: "read" | "write", ending: Ending<unknown>, sentAt: number): void {
    const common = { client: this.#kind, what, sentAt, at: now() };
    if ("failure" in ending) {
      this.#journal.add({
        kind: "failed",
        ...common,
        attempts: ending.attempts,
        why: ending.failure,
      });
    } else this.#journal.add({ kind: "served", ...common, attempts: ending.attempts });
  }

  async #write(key: string): Promise<void> {
    const value = `written:${key}:${randomBytes(24).toString("base64url")}`;
    const floor = this.#highest;
    const sentAt = now();
    const ending = await this.#request((endpoint) => endpoint.create(key, value));
    this.#tell("write", ending, sentAt);
    if ("failure" in ending) {
      this.#journal.add({ kind: "unknown", key, value, why: ending.failure, sentAt, at: now() });
      return;
    }
    this.#acknowledged(key, value, ending.answer, floor, sentAt);
  }

  #acknowledged(
    key: string,
    value: string,
    { revision, clusterId, found }: PutAnswer & { readonly found?: string },
    floor: bigint,
    sentAt: number,
  ): void {
    this.#journal.add({
      ...{ kind: "ack", key, value, revision: String(revision), clusterId },
      ...{ endpoint: this.#at, sentAt, at: now() },
    });
    if (found !== undefined && found !== value) this.#violation(`${key} holds ${found}`);
    if (revision <= floor) {
      this.#violation(`${key} got revision ${revision} after ${floor} had been acknowledged`);
    }
    this.#highest = revision > this.#highest ? revision : this.#highest;
    this.#known.push({ key, value });
    if (this.#known.length > remembered) this.#known.shift();
  }

  async #read(key: string, expected: string): Promise<void> {
    const floor = this.#highest;
    const sentAt = now();
    const ending = await this.#request((endpoint) => endpoint.get(key));
    this.#tell("read", ending, sentAt);
    if ("failure" in ending) return;
    const { revision, value } = ending.answer;
    if (value !== expected) this.#violation(`${key} was read as ${value ?? "nothing"}`);
    if (revision < floor) {
      this.#violation(`a read was answered at revision ${revision} after ${floor}`);
    }
  }

  #violation(what: string): void {
    this.#journal.add({ kind: "violation", what, at: now() });
  }
}
