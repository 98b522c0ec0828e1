import { compareRanks, type Rank } from "./rank";

/**
 * Keys of backups. The key alone says whose it is, how new, of when, and what bytes must be there:
 * `backups/m1/g000001-t0000000002-i0000000000000042-r0000000000000017-20260102T030405Z-<sha256>.db`. Numbers have leading zeros, so that
 * the bucket lists a member's backups oldest first.
 */

/** A backup, as its key describes it. */
export interface Backup {
  readonly key: string;
  /** The member that took it. */
  readonly member: string;
  /** Generation of the data, and the last entry that the file holds. */
  readonly rank: Rank;
  /** Revision of the newest key in it. */
  readonly revision: number;
  /** When it was taken, in milliseconds since 1970, by the clock of the machine that took it. */
  readonly takenAt: number;
  /** SHA-256 of the whole file. */
  readonly sha256: string;
}

/** Prefix of all backups. */
export const backupPrefix = "backups/";

const padded = (value: number, digits: number): string => {
  const text = String(value).padStart(digits, "0");
  if (!Number.isSafeInteger(value) || value < 0 || text.length > digits) {
    throw new Error(`${value} does not fit into the key of a backup`);
  }
  return text;
};

/** A time as keys have it, to the second. */
function timeText(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;
}

/** The key of a backup. */
export function backupKey(backup: Omit<Backup, "key">): string {
  const { member, rank, revision, takenAt, sha256 } = backup;
  const numbers = [
    `g${padded(rank.generation, 6)}`,
    `t${padded(rank.term, 10)}`,
    `i${padded(rank.index, 16)}`,
    `r${padded(revision, 16)}`,
  ].join("-");
  return `${backupPrefix}${member}/${numbers}-${timeText(takenAt)}-${sha256}.db`;
}

const pattern =
  /^backups\/(m[1-9][0-9]?)\/g(\d{6})-t(\d{10})-i(\d{16})-r(\d{16})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-([0-9a-f]{64})\.db$/;

/** What a key says; undefined for anything that is not, to the letter, the key of a backup. */
export function parseBackupKey(key: string): Backup | undefined {
  const found = pattern.exec(key);
  if (found === null) {
    return undefined;
  }
  const [, member = "", generation, term, index, revision] = found;
  const [year, month, day, hour, minute, second] = found.slice(6, 12);
  const takenAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const backup = {
    member,
    rank: { generation: Number(generation), term: Number(term), index: Number(index) },
    revision: Number(revision),
    takenAt,
    sha256: found[12] ?? "",
  };
  try {
    // Whatever could be written in two ways (the 31st of February, a number beyond what is exact) is nobody's key.
    return backup.rank.generation >= 1 && backupKey(backup) === key
      ? { key, ...backup }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Newest first: by what they hold, and only among equals by when they were taken. */
export function newestFirst(a: Backup, b: Backup): number {
  return compareRanks(b.rank, a.rank) || b.takenAt - a.takenAt || (a.key < b.key ? -1 : 1);
}

/** Backups of one member which are older than the newest `keepLast` of all: those that may expire. Oldest first. */
export function expendable(backups: readonly Backup[], member: string, keepLast: number): Backup[] {
  return [...backups]
    .sort(newestFirst)
    .slice(keepLast)
    .filter((backup) => backup.member === member)
    .reverse();
}
