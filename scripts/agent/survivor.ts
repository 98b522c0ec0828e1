import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { checkDatabase, readDatabase, type DatabaseFacts } from "./database";
import { syncFolder } from "./files";
import { reasonOf } from "./say";
import { replay } from "./survivorEtcd";
import { logFolder, readLog, type LogFacts } from "./wal";
import { copyLog } from "./walCopy";

/** A survivor's data as one file from which a cluster can be restored. */
export interface RecoveredSurvivor {
  /** Beside the work folder, named after it; the caller moves or removes it. */
  readonly file: string;
  readonly sha256: string;
  /** Of the last entry of the survivor's log, all of which is in the file. What the file itself says is a few entries higher. */
  readonly term: bigint;
  readonly index: bigint;
  readonly revision: bigint;
}

/** What recovering a survivor needs. */
export interface SurvivorOptions {
  /** The survivor's data directory, of which etcd is stopped; it is read and never altered. */
  readonly dataDirectory: string;
  /** Does not exist yet, or is left from an attempt; removed in the end. On a file system with room for the data twice. */
  readonly workFolder: string;
  /** Where etcd and etcdutl are. */
  readonly etcdFolder: string;
  readonly log: (line: string) => void;
  /** Recovers a damaged log up to its last entry that can be decoded; without it that is refused. */
  readonly acceptDamage?: boolean;
}

/** Why a survivor's data does not become a cluster of its own: names that an operator can look up. */
export type SurvivorReason =
  "survivorIsDamaged" | "survivorIsEmpty" | "survivorNeedsSpace" | "survivorDoesNotReplay";

/** The survivor's data cannot become a cluster of its own. */
export class SurvivorRefusal extends Error {
  readonly reason: SurvivorReason;
  constructor(reason: SurvivorReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Makes a snapshot of everything that is in a survivor's log, without touching the survivor's data.
 *
 * The data is copied; in the copy all entries are committed, because an acknowledged write may be here while its commit notice never
 * came. etcd itself then applies them, started on the copy with --force-new-cluster. The copy belongs to a member id that never
 * existed: a learner, or a member whose own removal is in the log, makes --force-new-cluster panic or stop, but to a newcomer both are
 * somebody else, and etcd adds it as the one voter before it removes the others. The file forgets ids again when it is restored.
 */
export async function recoverSurvivor(options: SurvivorOptions): Promise<RecoveredSurvivor> {
  const { dataDirectory, workFolder, etcdFolder, log } = options;
  const facts = await readLog(dataDirectory);
  refuseUnusable(facts, options.acceptDamage === true);
  await rm(workFolder, { recursive: true, force: true });
  await mkdir(workFolder, { recursive: true, mode: 0o700 });
  try {
    await refuseWithoutSpace(dataDirectory, workFolder);
    const database = await makeDatabase(options, facts);
    const found = await verify(database, facts, etcdFolder);
    const sha256 = await seal(database);
    const file = `${workFolder}.db`;
    await rename(database, file);
    await syncFolder(dirname(file));
    log(`${basename(file)} holds revision ${found.revision}`);
    return { file, sha256, term: facts.term, index: facts.index, revision: found.revision };
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

/** The database with all entries of the log in it; returns its path in the work folder. */
async function makeDatabase(
  { dataDirectory, workFolder, etcdFolder, log }: SurvivorOptions,
  facts: LogFacts,
): Promise<string> {
  const copy = join(workFolder, "data");
  await copySnapshots(dataDirectory, copy);
  const database = join(copy, "member", "snap", "db");
  const applied = await appliedIn(database);
  // A log that lost its end, or never had it: etcd would take new entries for ones that it has applied already.
  if (applied > facts.index || (facts.damage !== undefined && applied === facts.index)) {
    log(`the database has all ${facts.index} entries that can be read, up to ${applied}`);
    return database;
  }
  log(`copying ${dataDirectory}, up to entry ${facts.index} of term ${facts.term}`);
  await copyLog(dataDirectory, copy, newMemberId(facts));
  log("etcd applies the log, from a copy and alone");
  try {
    await replay({ dataDirectory: copy, folder: workFolder, etcdFolder, index: facts.index });
  } catch (error) {
    throw new SurvivorRefusal("survivorDoesNotReplay", reasonOf(error));
  }
  return database;
}

/** The last entry that a database has. */
async function appliedIn(database: string): Promise<bigint> {
  try {
    return (await readDatabase(database)).consistentIndex;
  } catch (error) {
    throw new SurvivorRefusal("survivorDoesNotReplay", reasonOf(error));
  }
}

function refuseUnusable(facts: LogFacts, acceptDamage: boolean): void {
  if (facts.damage !== undefined && !acceptDamage) {
    throw new SurvivorRefusal("survivorIsDamaged", facts.damage);
  }
  if (facts.index === 0n || facts.memberId === undefined) {
    throw new SurvivorRefusal("survivorIsEmpty", "the log holds no entry");
  }
}

/** An id that nobody in the log has or had: ids are hashes, so any random one. */
function newMemberId(facts: LogFacts): bigint {
  for (;;) {
    const id = randomBytes(8).readBigUInt64LE();
    const hexadecimal = id.toString(16);
    const taken = [facts.memberId, ...facts.votersAtLast, ...facts.learnersAtLast];
    if (id > 0n && !taken.includes(hexadecimal)) {
      return id;
    }
  }
}

async function sizeOf(folder: string): Promise<number> {
  let size = 0;
  for (const name of await readdir(folder)) {
    size += (await stat(join(folder, name))).size;
  }
  return size;
}

/** The copy, and what etcd adds to it while it applies the log: at most the log once more, and a segment that it reserves. */
async function refuseWithoutSpace(dataDirectory: string, workFolder: string): Promise<void> {
  const log = await sizeOf(logFolder(dataDirectory));
  const snapshots = await sizeOf(join(dataDirectory, "member", "snap"));
  const needed = snapshots + 2 * log + 2 * 64 * 2 ** 20;
  const { bavail, bsize } = await statfs(workFolder);
  if (bavail * bsize < needed) {
    const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
    throw new SurvivorRefusal(
      "survivorNeedsSpace",
      `${workFolder} needs ${mebibytes(needed)} and has ${mebibytes(bavail * bsize)}`,
    );
  }
}

/** The database, and the snapshots that the log may refer to. */
async function copySnapshots(from: string, to: string): Promise<void> {
  const source = join(from, "member", "snap");
  const target = join(to, "member", "snap");
  await mkdir(target, { recursive: true, mode: 0o700 });
  for (const name of await readdir(source)) {
    if (name === "db" || name.endsWith(".snap") || name.endsWith(".snap.db")) {
      await copyFile(join(source, name), join(target, name));
    }
  }
}

async function verify(
  database: string,
  facts: LogFacts,
  etcdFolder: string,
): Promise<DatabaseFacts & { revision: bigint }> {
  const problem = await checkDatabase(database, etcdFolder);
  if (problem !== undefined) {
    throw new SurvivorRefusal("survivorDoesNotReplay", problem);
  }
  const found = await readDatabase(database);
  if (found.consistentIndex < facts.index) {
    const reason = `the database ends at entry ${found.consistentIndex}, the log at ${facts.index}`;
    throw new SurvivorRefusal("survivorDoesNotReplay", reason);
  }
  // A database without a key is at revision 1.
  return { ...found, revision: found.revision ?? 1n };
}

/** Puts the sha256 of the database behind it, as in a snapshot that etcd sends; returns that of the whole file. */
async function seal(database: string): Promise<string> {
  const content = createHash("sha256");
  for await (const chunk of createReadStream(database)) {
    content.update(chunk as Buffer);
  }
  const whole = content.copy();
  const digest = content.digest();
  const file = await open(database, "a");
  try {
    await file.writeFile(digest);
    await file.sync();
  } finally {
    await file.close();
  }
  return whole.update(digest).digest("hex");
}
