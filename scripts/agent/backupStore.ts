import { rm } from "node:fs/promises";

import { z } from "zod";

import { expiryTag } from "../../components/plan/storage";
import { backupPrefix, expendable, newestFirst, parseBackupKey, type Backup } from "./backupKey";
import { WrongContent, type Bucket } from "./bucket";
import { readDatabase } from "./database";
import { reasonOf } from "./say";
import { fetchVerified } from "./sources";

/** Backups in the bucket: which there are, whether they are what they claim to be, and which may expire. */

/** All backups, newest first. What is not named as a backup is none. */
export async function listBackups(bucket: Bucket): Promise<Backup[]> {
  return (await bucket.keys(backupPrefix)).flatMap(asBackup).sort(newestFirst);
}

const asBackup = (key: string): Backup[] => {
  const backup = parseBackupKey(key);
  return backup === undefined ? [] : [backup];
};

/**
 * The newest backup of some members. `seen` keeps what is known, so that the next look asks only whether that is still there and what
 * came since; the bucket lists a member's backups from the oldest to the newest.
 */
export async function newestBackup(
  bucket: Bucket,
  members: readonly string[],
  seen: Record<string, string>,
): Promise<Backup | undefined> {
  await Promise.all(
    members.map(async (member) => {
      const prefix = `${backupPrefix}${member}/`;
      // Just before the last one, so that it is listed itself.
      const since = seen[member]?.slice(0, -1) ?? "";
      let found = since === "" ? [] : (await bucket.keys(prefix, since)).flatMap(asBackup);
      if (found.length === 0) {
        found = (await bucket.keys(prefix)).flatMap(asBackup);
      }
      seen[member] = found.at(-1)?.key ?? "";
    }),
  );
  return members
    .flatMap((member) => asBackup(seen[member] ?? ""))
    .sort(newestFirst)
    .at(0);
}

/**
 * Fetches a backup to a file and proves it: the bytes, every page of the database, and that it holds what its key says. Throws
 * WrongContent for one that will never be right.
 */
export async function fetchBackup(
  bucket: Bucket,
  backup: Backup,
  file: string,
  etcdFolder: string,
): Promise<void> {
  await fetchVerified(bucket, backup, file, etcdFolder);
  const { term, consistentIndex, revision = 1n } = await readDatabase(file);
  const { rank } = backup;
  if (
    Number(term) !== rank.term ||
    Number(consistentIndex) !== rank.index ||
    Number(revision) !== backup.revision
  ) {
    await rm(file, { force: true });
    throw new WrongContent(
      `${backup.key} holds ${term}/${consistentIndex} at revision ${revision}, which is not what it is called`,
    );
  }
}

/** A backup that turned out not to be one. */
export interface CorruptBackup {
  readonly key: string;
  readonly reason: string;
}

/** Backups that are tried, at most; more bad ones in a row are a matter for a person. */
const mostTries = 5;

/**
 * The newest backup that passes, with those that did not. Only what is wrong for good is skipped: when the bucket cannot be asked, that
 * is thrown, because an older backup would not be the answer.
 */
export async function newestRestorable<T>(
  backups: readonly Backup[],
  attempt: (backup: Backup) => Promise<T>,
): Promise<{
  readonly found?: { readonly backup: Backup; readonly result: T };
  readonly corrupt: readonly CorruptBackup[];
}> {
  const corrupt: CorruptBackup[] = [];
  for (const backup of backups.slice(0, mostTries)) {
    try {
      return { found: { backup, result: await attempt(backup) }, corrupt };
    } catch (error) {
      if (!(error instanceof WrongContent)) {
        throw error;
      }
      corrupt.push({ key: backup.key, reason: reasonOf(error) });
    }
  }
  return { corrupt };
}

/** Tags that one run sets, at most. */
const mostTags = 100;

/**
 * Marks this member's backups for expiry that are older than the newest `keepLast` of all; the bucket's lifecycle deletes what is
 * marked, at its age. Returns the key up to which all are marked, to be given as `markedUpTo` the next time.
 */
export async function markExpendable(
  bucket: Bucket,
  member: string,
  keepLast: number,
  markedUpTo: string | undefined,
): Promise<string | undefined> {
  const old = expendable(await listBackups(bucket), member, keepLast)
    .filter(({ key }) => markedUpTo === undefined || key > markedUpTo)
    .slice(0, mostTags);
  let marked = markedUpTo;
  for (const { key } of old) {
    await bucket.tag(key, expiryTag);
    marked = key;
  }
  return marked;
}

const count = z.coerce.number().int().min(0);

const metadataSchema = z.object({
  "etcd-version": z.string().max(32),
  "cluster-uid": z.uuid(),
  reason: z.string().max(64),
  /** Keys, hash of all keys, and up to where the history was compacted when the hash was made: at the revision of the backup. */
  keys: count.optional(),
  hash: z
    .string()
    .regex(/^\d{1,10}$/)
    .optional(),
  "compact-revision": z
    .string()
    .regex(/^-?\d{1,19}$/)
    .optional(),
});

/** What was recorded about a backup when it was taken. */
export type BackupMetadata = z.infer<typeof metadataSchema>;

/** Reads it; undefined when it is missing or has another form. */
export async function backupMetadata(
  bucket: Bucket,
  key: string,
): Promise<BackupMetadata | undefined> {
  const parsed = metadataSchema.safeParse(await bucket.metadata(key));
  return parsed.success ? parsed.data : undefined;
}
