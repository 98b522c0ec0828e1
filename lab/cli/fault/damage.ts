import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { etcdPid } from "./actions.ts";
import { machineOf, type Member } from "./members.ts";

/** Ways in which a disk can hurt etcd's files. */
export const Damage = {
  /** The log ends in the middle: entries that were acknowledged are gone. */
  WalTruncated: "wal-truncated",
  /** One byte in the middle of the log is another. */
  WalFlipped: "wal-flipped",
  /** One byte of a value in the database is another; bbolt has no checksum over it. */
  DbFlipped: "db-flipped",
} as const;
export type Damage = (typeof Damage)[keyof typeof Damage];

/** Folder of a member's etcd data as the host sees it. */
export function dataFolder(member: Member): string {
  const { root } = machineOf(member);
  if (root === undefined) throw new Error(`${member.name}: its machine does not run`);
  return join(root, "var", "lib", "etcd", "data");
}

/**
 * Damages one member's data under its etcd: the process is stopped in mid-air, its file changed, and then it is killed, so that
 * systemd starts the next one on what is there now. Says what was done.
 */
export function damage(member: Member, how: Damage): string {
  const pid = etcdPid(member);
  if (pid === undefined) throw new Error(`${member.name}: no etcd runs on its machine`);
  process.kill(pid, "SIGSTOP");
  try {
    return damageFile(dataFolder(member), how);
  } finally {
    process.kill(pid, "SIGKILL");
  }
}

/** Damages a file below a data directory of which no etcd runs. Says what was done. */
export function damageFile(data: string, how: Damage): string {
  if (how === Damage.DbFlipped) return flipInDatabase(join(data, "member", "snap", "db"));
  const folder = join(data, "member", "wal");
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith(".wal"))
    .sort()
    .at(-1);
  if (newest === undefined) throw new Error(`there is no log in ${folder}`);
  const file = join(folder, newest);
  const handle = openSync(file, "r+");
  try {
    const used = usedBytes(handle);
    const middle = Math.floor(used / 2);
    if (how === Damage.WalTruncated) {
      ftruncateSync(handle, middle);
      return `cut ${newest} at ${middle} of ${used} bytes`;
    }
    flip(handle, middle);
    return `changed byte ${middle} of ${used} in ${newest}`;
  } finally {
    closeSync(handle);
  }
}

/** The log's file is longer than what is written in it: zeros follow. */
function usedBytes(handle: number): number {
  const chunk = Buffer.alloc(1 << 20);
  for (let end = fstatSync(handle).size; end > 0; end -= chunk.length) {
    const start = Math.max(0, end - chunk.length);
    const length = readSync(handle, chunk, 0, end - start, start);
    for (let index = length - 1; index >= 0; index -= 1) {
      if (chunk[index] !== 0) return start + index + 1;
    }
  }
  return 0;
}

/** How a value of the tests' writer looks: nothing else in a database does. */
const writersValue = /written:[\w/.-]+:[\w-]{32}/;

/**
 * Changes a byte of a value that the tests' writer wrote: the database can still be opened, so that nothing but a comparison with
 * other members can find it. bbolt leaves old copies of a page behind, and only one of them counts: all of them change.
 */
function flipInDatabase(file: string): string {
  const handle = openSync(file, "r+");
  try {
    let value: string | undefined;
    for (const { bytes } of pieces(handle)) {
      value ??= writersValue.exec(bytes.toString("latin1"))?.[0];
    }
    if (value === undefined) throw new Error(`no value of the writer is in ${file}`);
    const places = new Set<number>();
    for (const { bytes, start } of pieces(handle)) {
      for (let at = bytes.indexOf(value); at >= 0; at = bytes.indexOf(value, at + 1)) {
        places.add(start + at);
      }
    }
    for (const place of places) flip(handle, place + value.length - 1);
    return `changed the last byte of a value at ${[...places].join(", ")} in the database`;
  } finally {
    closeSync(handle);
  }
}

/** A file in pieces that overlap, so that no value falls between two of them. */
function* pieces(handle: number): Generator<{ bytes: Buffer; start: number }> {
  const chunk = Buffer.alloc(1 << 20);
  const overlap = 512;
  const { size } = fstatSync(handle);
  for (let start = 0; start < size; start += chunk.length - overlap) {
    const length = readSync(handle, chunk, 0, chunk.length, start);
    yield { bytes: chunk.subarray(0, length), start };
  }
}

function flip(handle: number, position: number): void {
  const byte = Buffer.alloc(1);
  readSync(handle, byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 0x01;
  writeSync(handle, byte, 0, 1, position);
}
