import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Logs that etcd wrote, kept under test/fixtures/wal; test/native/walFixtures.ts makes them. */

const fixtures = join(__dirname, "..", "..", "fixtures", "wal");

/** The minors of etcd, and what happened to the member whose data it is. */
export const minors = ["3.5", "3.6", "3.7"] as const;
export const cases = ["voter", "replaced", "learner", "removed"] as const;

/** What etcd itself says. */
export interface Expected {
  readonly dump: {
    readonly nodeID: string;
    readonly clusterID: string;
    readonly commitIndex: string;
    readonly vote: string;
    readonly lastIndex: string;
    readonly lastTerm: string;
    readonly snapshotIndex: string;
  };
  readonly database: {
    readonly term: string;
    readonly consistent_index: string;
    readonly storageVersion?: string;
    readonly revision: string;
  };
  readonly members: readonly { readonly id: string; readonly isLearner: boolean }[];
}

/** A folder of tests, and what is made in it. */
export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), "etcd-wal-test-"));
  readonly #extracted = new Map<string, string>();
  #count = 0;

  /** A new place for a data directory. */
  place(): string {
    this.#count += 1;
    return join(this.folder, `${this.#count}`);
  }

  /**
   * A data directory as etcd left it, but for most of the space that etcd reserves at the end of a segment: it is all zero, and reading
   * 64 MiB of it again and again takes its time.
   */
  fixture(minor: string, name: string): string {
    const kept = this.#extracted.get(`${minor}/${name}`) ?? this.#extract(minor, name);
    const data = this.place();
    cpSync(kept, data, { recursive: true });
    return data;
  }

  #extract(minor: string, name: string): string {
    const data = this.place();
    mkdirSync(data);
    execFileSync("tar", ["-xzf", join(fixtures, minor, `${name}.tar.gz`), "-C", data]);
    for (const [segment, bytes] of Object.entries(segmentsOf(data))) {
      const used = withoutReserve(bytes).length;
      truncateSync(join(data, "member", "wal", segment), Math.min(bytes.length, used + 65536));
    }
    this.#extracted.set(`${minor}/${name}`, data);
    return data;
  }

  /** A data directory with a log of these segments. */
  withLog(segments: Readonly<Record<string, Uint8Array>>): string {
    const data = this.place();
    mkdirSync(join(data, "member", "wal"), { recursive: true });
    for (const [name, bytes] of Object.entries(segments)) {
      writeFileSync(join(data, "member", "wal", name), bytes);
    }
    return data;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What etcd said about a fixture. */
export function expectedOf(minor: string, name: string): Expected {
  return JSON.parse(readFileSync(join(fixtures, minor, `${name}.json`), "utf8")) as Expected;
}

/** The segments of a data directory's log. */
export function segmentsOf(data: string): Record<string, Buffer> {
  const folder = join(data, "member", "wal");
  const names = readdirSync(folder).filter((name) => name.endsWith(".wal"));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(folder, name))]));
}

/** A segment without the space that etcd has reserved behind its records. */
export function withoutReserve(segment: Buffer): Buffer {
  const page = Buffer.alloc(4096);
  let end = segment.length;
  while (end >= 4096 && segment.subarray(end - 4096, end).equals(page)) end -= 4096;
  while (end > 0 && segment[end - 1] === 0) end -= 1;
  return segment.subarray(0, Math.ceil(end / 8) * 8);
}

/** A number as protocol buffers write it; enough for the small ones of tests. */
export function varint(value: bigint): number[] {
  return value < 128n ? [Number(value)] : [Number(value & 127n) | 128, Number(value >> 7n)];
}
