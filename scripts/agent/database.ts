import { stat } from "node:fs/promises";
import { join } from "node:path";

import { z } from "zod";

import { Bolt, MalformedDatabase, type Bucket } from "./bolt";
import { run } from "./run";

/** What etcd's database file says about itself. */
export interface DatabaseFacts {
  /** Term of the last entry applied. */
  readonly term: bigint;
  /** Index of the last entry applied. */
  readonly consistentIndex: bigint;
  /** Highest revision of a key; undefined when the file has none. */
  readonly revision: bigint | undefined;
  /** Format of the file: "3.6.0" and so on; undefined before etcd 3.6, which does not write it. */
  readonly storageVersion: string | undefined;
  /** Configuration of raft at the last entry applied that changed it, hexadecimal; undefined when the file has none. */
  readonly conf: { readonly voters: string[]; readonly learners: string[] } | undefined;
  /** What is wrong with one of the two meta pages. bbolt goes on with the other, which may be one transaction older. */
  readonly damagedMeta: string | undefined;
}

/**
 * Reads an etcd database (`member/snap/db`, or a backup). Nothing is changed; what is malformed is an error that says why. Nobody may be
 * writing to the file.
 */
export async function readDatabase(file: string): Promise<DatabaseFacts> {
  return Bolt.with(file, async (bolt) => {
    const meta = await bolt.bucket("meta");
    if (meta === undefined) {
      throw new MalformedDatabase("a database, but not one of etcd: it has no bucket meta");
    }
    const storageVersion = await meta.get("storageVersion");
    return {
      term: (await number(meta, "term")) ?? 0n,
      consistentIndex: (await number(meta, "consistent_index")) ?? 0n,
      revision: await highestRevision(await bolt.bucket("key")),
      storageVersion: storageVersion?.toString("latin1"),
      conf: configuration(await meta.get("confState")),
      damagedMeta: bolt.damagedMeta,
    };
  });
}

async function number(bucket: Bucket, key: string): Promise<bigint | undefined> {
  const value = await bucket.get(key);
  if (value !== undefined && value.length !== 8) {
    throw new MalformedDatabase(`${key} is not a number`);
  }
  return value?.readBigUInt64BE();
}

/** Keys are revisions in order: the number of the transaction, an underscore, the place in the transaction, and a `t` for a deletion. */
async function highestRevision(keys: Bucket | undefined): Promise<bigint | undefined> {
  const key = await keys?.lastKey();
  if (key === undefined) {
    return undefined;
  }
  if ((key.length !== 17 && key.length !== 18) || key[8] !== 0x5f) {
    throw new MalformedDatabase("a key that is no revision");
  }
  return key.readBigInt64BE();
}

const ids = z.array(z.string().regex(/^\d{1,20}$/)).nullish();
const confSchema = z.object({ voters: ids, learners: ids });

/** Go writes 64-bit numbers into JSON as they are, and a double would round them: here they become strings. */
function configuration(value: Buffer | undefined): DatabaseFacts["conf"] {
  if (value === undefined) {
    return undefined;
  }
  try {
    const conf = confSchema.parse(JSON.parse(value.toString().replace(/\d+/g, '"$&"')));
    const hexadecimal = (list: readonly string[] | null | undefined): string[] =>
      (list ?? []).map((id) => BigInt(id).toString(16)).sort();
    return { voters: hexadecimal(conf.voters), learners: hexadecimal(conf.learners) };
  } catch {
    throw new MalformedDatabase("the configuration cannot be read");
  }
}

/** Of processor time; a check takes about a second for each 100 MiB. */
function checkSeconds(bytes: number): number {
  return 3 + Math.ceil(bytes / (8 * 2 ** 20));
}

/**
 * Throws unless the program is what it is to be. One that is for another processor, or that lies in pieces, is handed to a shell, which
 * ends with all kinds of codes.
 */
async function mustRun(program: string): Promise<void> {
  const { stdout, stderr } = await run(program, ["version"]);
  if (!/^etcdutl version: \d/.test(stdout)) {
    throw new Error(`${program} cannot be run: ${(stderr || stdout).trim().slice(0, 200)}`);
  }
}

/**
 * Whether a database is whole: bbolt's own check of all pages and a walk over all keys and values, which is what
 * `etcdutl snapshot status` does before it prints. Reads the whole file. A flipped byte inside a value is not found: bbolt has no
 * checksum there.
 *
 * The check itself may never end (a page that claims a billion more pages keeps it busy for hours), so its processor time is limited;
 * a slow disk does not use any.
 *
 * @returns undefined, or the reason why not
 * @throws when the program cannot be run, which says nothing of the file
 */
export async function checkDatabase(file: string, etcdFolder: string): Promise<string | undefined> {
  const seconds = checkSeconds((await stat(file)).size);
  const timeoutSeconds = 60 + 5 * seconds;
  const program = join(etcdFolder, "etcdutl");
  await mustRun(program);
  const start = performance.now();
  const status = await run(
    "prlimit",
    [...[`--cpu=${seconds}`, "--", program], ...["snapshot", "status", file, "-w", "json"]],
    { timeoutSeconds },
  );
  if (status.code === 0) {
    return undefined;
  }
  if (status.code === -1) {
    if (performance.now() - start >= timeoutSeconds * 1000) {
      throw new Error(`etcdutl did not read ${file} within ${timeoutSeconds} s`);
    }
    return "etcdutl did not come to an end of its pages";
  }
  // A page that leads outside of the file makes it panic, with a stack of many lines.
  const said = status.stderr.trim().split("\n").slice(0, 3).join("; ").slice(0, 500);
  return said === "" ? `etcdutl ended with ${status.code}` : said;
}
