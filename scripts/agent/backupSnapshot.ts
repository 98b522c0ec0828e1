import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { MemberConfig } from "../../components/plan/memberConfig";
import { checkDatabase } from "./database";
import { etcdctlAt } from "./etcdctl";
import { paths } from "./paths";
import { must } from "./run";

/** A snapshot of the running etcd as a file, taken gently and checked before anybody relies on it. */

/** Seconds for the largest database over a busy disk. */
const saveSeconds = 900;

/** For the write-ahead log and what etcd keeps beside the database. */
const logBytes = 512 * 2 ** 20;

/** Behind the others in every queue of this machine; a backup is never urgent. */
export const gently = ["nice", "-n", "19", "ionice", "-c", "3"] as const;

/** Runs a program gently. */
export async function mustGently(
  program: string,
  args: readonly string[],
  timeoutSeconds: number,
): Promise<string> {
  const [first, ...rest] = gently;
  return must(first, [...rest, program, ...args], { timeoutSeconds });
}

/** The quota that etcd runs with. */
export function quotaOf(config: MemberConfig): number {
  return Number(config.etcd.environment["ETCD_QUOTA_BACKEND_BYTES"] ?? 0);
}

/** Room on the volume, and what is to be put there. */
export interface Room {
  readonly freeBytes: number;
  readonly dbBytes: number;
  readonly quotaBytes: number;
  /** How many times the database will be there in addition. */
  readonly copies: number;
}

/** Why there is no room for copies of the database: etcd must always be able to grow to its quota. Undefined when there is. */
export function roomProblem({ freeBytes, dbBytes, quotaBytes, copies }: Room): string | undefined {
  const needed = copies * dbBytes + Math.max(0, quotaBytes - dbBytes) + logBytes;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return freeBytes >= needed
    ? undefined
    : `the data volume has ${mebibytes(freeBytes)} free, and ${mebibytes(needed)} are needed: ${copies} x the database, and what etcd may still grow`;
}

/** Throws when there is no room. */
export async function mustHaveRoom(
  config: MemberConfig,
  dbBytes: number,
  copies: number,
): Promise<void> {
  const { bavail, bsize } = await statfs(paths.mount);
  const problem = roomProblem({
    freeBytes: bavail * bsize,
    dbBytes,
    quotaBytes: quotaOf(config),
    copies,
  });
  if (problem !== undefined) {
    throw new Error(problem);
  }
}

/** Removes what a run left that was ended in the middle of its work. */
export async function dropWork(name: "backup" | "drill"): Promise<void> {
  await rm(join(paths.upkeep, name), { recursive: true, force: true });
}

/** An empty folder for one piece of work; what an earlier run left there is removed, and this run's work in the end. */
export async function withWorkFolder<T>(
  name: "backup" | "drill",
  action: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = join(paths.upkeep, name);
  await dropWork(name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await action(folder);
  } finally {
    await dropWork(name);
  }
}

/** Saves a snapshot of this machine's etcd. */
export async function saveSnapshot(address: string, file: string): Promise<void> {
  const { program, options } = etcdctlAt(address);
  await mkdir(dirname(file), { recursive: true });
  await mustGently(program, [...options, "snapshot", "save", file], saveSeconds);
}

/** Bytes of the hash that etcd puts behind a snapshot. */
const sealBytes = 32;

/**
 * Whether a snapshot is whole: the SHA-256 that etcd sent behind it, and every page of the database. Returns the hash of the file, and
 * throws when it is not whole.
 */
export async function proveSnapshot(file: string, etcdFolder: string): Promise<string> {
  const sha256 = await sealedHash(file);
  const damage = await checkDatabase(file, etcdFolder);
  if (damage !== undefined) {
    throw new Error(`the snapshot is damaged: ${damage}`);
  }
  return sha256;
}

/** Hash of a snapshot's file; throws when its content is not what etcd sealed. Reads it once, in small pieces. */
export async function sealedHash(file: string): Promise<string> {
  const content = createHash("sha256");
  const whole = createHash("sha256");
  // Always the last bytes read, which may be the seal.
  let tail = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 18 })) {
    const bytes = chunk as Buffer;
    whole.update(bytes);
    if (bytes.length >= sealBytes) {
      content.update(tail).update(bytes.subarray(0, -sealBytes));
      tail = Buffer.from(bytes.subarray(-sealBytes));
    } else {
      const joined = Buffer.concat([tail, bytes]);
      const end = Math.max(0, joined.length - sealBytes);
      content.update(joined.subarray(0, end));
      tail = Buffer.from(joined.subarray(end));
    }
  }
  if (tail.length < sealBytes || !content.digest().equals(tail)) {
    throw new Error("the snapshot does not have the hash that etcd sent with it");
  }
  return whole.digest("hex");
}
