import { openSync, readFileSync, writeSync } from "node:fs";

/** A write that etcd acknowledged. Times are the host's monotonic milliseconds. */
export interface Acknowledged {
  readonly kind: "ack";
  readonly key: string;
  readonly value: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly endpoint: number;
  readonly sentAt: number;
  readonly at: number;
}

/** A write whose outcome nobody knows: it may be there or not. */
export interface Unknown {
  readonly kind: "unknown";
  readonly key: string;
  readonly value: string;
  readonly why: string;
  readonly sentAt: number;
  readonly at: number;
}

/** Something that must never happen was seen while writing or watching. */
export interface Violation {
  readonly kind: "violation";
  readonly what: string;
  readonly at: number;
}

/** What the members were like in one look at them. */
export interface Health {
  readonly kind: "health";
  /** When the look at the members began, and when it ended. */
  readonly since: number;
  readonly at: number;
  readonly healthy: boolean;
  /** Why not, where it is not. */
  readonly why: string;
  /** etcd's ids by member name, of those that answered. */
  readonly ids: Readonly<Record<string, string>>;
  readonly clusterIds: readonly string[];
  readonly leader: string | undefined;
}

/** What the watcher had to do to go on. */
export interface Watched {
  readonly kind: "watch";
  readonly what: "connected" | "compacted";
  readonly revision: string;
  readonly at: number;
}

/** A request that a client was served with, after as many attempts. */
export interface Served {
  readonly kind: "served";
  readonly client: ClientKind;
  readonly what: "read" | "write";
  readonly attempts: number;
  readonly sentAt: number;
  readonly at: number;
}

/** A request that a client gave up. */
export interface Failed {
  readonly kind: "failed";
  readonly client: ClientKind;
  readonly what: "read" | "write";
  readonly attempts: number;
  readonly why: string;
  readonly sentAt: number;
  readonly at: number;
}

/** Whether a client repeats what was not answered, as clients ordinarily do, or takes every failure for its user's. */
export type ClientKind = "retrying" | "once";

/** Who has a vote and who of them answers, in one look; whoever comes or goes is followed. */
export interface Voters {
  readonly kind: "voters";
  readonly since: number;
  readonly at: number;
  /** Names of the voters by the newest list that a member gave. */
  readonly voters: readonly string[];
  /** Those of them that answered. */
  readonly up: readonly string[];
  /** Those that did not, and did not refuse either: down, or slow, as everything is on a busy host. */
  readonly late: readonly string[];
  readonly learners: readonly string[];
  readonly leader: string | undefined;
  /** Raft's term: it rises by one with every leader. 0 when nobody answered. */
  readonly term: number;
  /** Why members did not answer. */
  readonly why: string;
}

/** One line of the writer's journal. */
export type Line = Acknowledged | Unknown | Violation | Health | Watched | Served | Failed | Voters;

/**
 * An append-only file of lines. Every line is handed to the kernel before the writer goes on, so that the record of a writer that
 * is killed is complete.
 */
export class Journal {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, "a", 0o600);
  }

  /** Adds a line. */
  add(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`);
  }
}

/** Reads a record; a last line that was cut off by a kill is left out. */
export function readJournal(path: string): Line[] {
  const lines = readFileSync(path, "utf8").split("\n");
  // Either empty, or cut off.
  lines.pop();
  return lines.map((line) => JSON.parse(line) as Line);
}
