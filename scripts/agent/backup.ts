import { stat } from "node:fs/promises";
import { join } from "node:path";

import { backupKey, parseBackupKey, type Backup } from "./backupKey";
import { mustHaveRoom, proveSnapshot, saveSnapshot, withWorkFolder } from "./backupSnapshot";
import { readDatabase, type DatabaseFacts } from "./database";
import { throughEndpoint, type EtcdEndpoint, type KeyHash, type MemberStatus } from "./etcd";
import { readIfThere } from "./files";
import { withLock } from "./lock";
import { approvedState, type Machine } from "./machine";
import { markerSchema, type Marker } from "./marker";
import { paths } from "./paths";
import { step } from "./point";
import { readRecord } from "./record";
import { reasonOf, say } from "./say";

/** Why a backup is taken: for people, kept with it. */
export const reasonPattern = /^[a-z][A-Za-z]{0,31}$/;

/** S3 takes no more in one put. */
const largestBackup = 5 * 2 ** 30;

/** Seconds to wait for another backup of this machine to end. */
const waitForBackupSeconds = 900;

/** Milliseconds for one question to etcd; a hash of all keys takes its time. */
const askMs = 60_000;

/**
 * Takes a backup of the member on this machine, whether it leads or not, and puts it into the bucket under a name that was never used.
 * It holds everything that was acknowledged before the call. It was proven before it was sent, and was fetched back.
 *
 * Throws when anything of that fails. It never touches etcd, and what is left in the bucket after a failure is a whole backup or nothing.
 */
export async function takeBackup(machine: Machine, reason: string): Promise<Backup> {
  if (!reasonPattern.test(reason)) {
    throw new Error(`${reason} is not a reason for a backup`);
  }
  return withLock(() => take(machine, reason), waitForBackupSeconds, paths.backupLock);
}

async function take(machine: Machine, reason: string): Promise<Backup> {
  const { config } = await approvedState(machine);
  // Before the work: without the bucket it would be for nothing.
  const marker = await mayUpload(machine);
  return throughEndpoint(config.address, askMs, async (etcd) => {
    // Through a quorum: whatever was acknowledged until now is in this member's database afterwards.
    await etcd.linearizableRead();
    const status = await etcd.status();
    await mustHaveRoom(config, status.dbSizeBytes, 1);
    return withWorkFolder("backup", async (folder) => {
      const file = join(folder, "snapshot.db");
      await step("backup:snapshot", () => saveSnapshot(config.address, file));
      const sha256 = await proveSnapshot(file, paths.etcdFolder);
      const facts = await readDatabase(file);
      const backup = describe(machine.member, marker, facts, sha256);
      const metadata = {
        ...{ reason, "etcd-version": status.version, "cluster-uid": marker.clusterUid },
        ...(await recorded(etcd, backup.revision)),
      };
      await upload(machine, marker, backup, file, metadata);
      return backup;
    });
  });
}

/** The marker of the data, if what this member has may be put into the bucket now. */
async function mayUpload(machine: Machine, expected?: Marker): Promise<Marker> {
  const text = await readIfThere(paths.marker);
  if (text === undefined) {
    throw new Error("there is no data on this machine");
  }
  const marker = markerSchema.parse(JSON.parse(text));
  const view = await readRecord(machine.bucket);
  if (view.kind !== "present") {
    throw new Error(view.kind === "absent" ? "there is no cluster record" : view.reason);
  }
  const { phase, generation, clusterUid } = view.record;
  if (phase !== "open") {
    throw new Error("no backup while the roll is called");
  }
  if (generation !== marker.generation || clusterUid !== marker.clusterUid) {
    throw new Error(
      `the data is of generation ${marker.generation}, and the record is at ${generation}`,
    );
  }
  if (expected !== undefined && expected.generation !== marker.generation) {
    throw new Error("the data was exchanged while the backup was taken");
  }
  return marker;
}

function describe(
  member: string,
  { generation }: Marker,
  { term, consistentIndex, revision = 1n }: DatabaseFacts,
  sha256: string,
): Backup {
  const backup = {
    member,
    rank: { generation, term: Number(term), index: Number(consistentIndex) },
    revision: Number(revision),
    takenAt: Date.now(),
    sha256,
  };
  const parsed = parseBackupKey(backupKey(backup));
  if (parsed === undefined) {
    throw new Error("the snapshot's facts do not make a key");
  }
  return parsed;
}

/** What a drill can compare with when the live cluster has gone on: the keys at the backup's revision, now. */
async function recorded(etcd: EtcdEndpoint, revision: number): Promise<Record<string, string>> {
  try {
    const at = BigInt(revision);
    const [keys, hash]: [number, KeyHash] = await Promise.all([etcd.keyCount(at), etcd.hashKv(at)]);
    return { keys: String(keys), hash: hash.hash, "compact-revision": hash.compactRevision };
  } catch (error) {
    // A compaction was faster. The backup is as good without.
    say(`no hash is recorded with the backup: ${reasonOf(error)}`);
    return {};
  }
}

/**
 * From the last look at the record to the end of the put nothing is attested on this machine: what was sworn to must be all that it
 * ever brings forward.
 */
async function upload(
  machine: Machine,
  marker: Marker,
  { key, sha256 }: Backup,
  file: string,
  metadata: Record<string, string>,
): Promise<void> {
  const { size } = await stat(file);
  if (size > largestBackup) {
    throw new Error(`the snapshot has ${size} bytes, more than one put takes`);
  }
  await withLock(
    async () => {
      await mayUpload(machine, marker);
      // Refused: an earlier attempt arrived after all. The name holds the hash, and the bytes are compared below.
      await step("backup:put", () => machine.bucket.upload(key, file, { sha256, metadata }));
    },
    waitForBackupSeconds,
    paths.uploadLock,
  );
  const stored = await step("backup:compare", () => machine.bucket.hashOf(key));
  if (stored !== sha256) {
    throw new Error(`the bucket has other bytes under ${key}: ${stored}`);
  }
}

/** What decides whether a backup is due. */
export interface BackupSituation {
  /** Only the leader takes scheduled backups, so that there is one of each. */
  readonly status: Pick<MemberStatus, "id" | "leader" | "isLearner"> | undefined;
  /** Generation of the data here, if the record is open at it. */
  readonly generation: number | undefined;
  /** etcd's CORRUPT alarm names this member. */
  readonly corrupt: boolean;
  /** The newest of all. */
  readonly newest: Backup | undefined;
  readonly everyMinutes: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Half the time between two runs of upkeep: a backup is rather this much early than as much late. */
const roundSlackMs = 30_000;

/** Clocks of machines differ by less. A backup from further in the future does not hold up the next one. */
const clockSlackMs = 5 * 60_000;

/** Why a backup is due now; undefined when none is. */
export function backupDue(situation: BackupSituation): "formed" | "scheduled" | undefined {
  const { status, generation, corrupt, newest, everyMinutes, now } = situation;
  if (status === undefined || status.isLearner || status.leader !== status.id) {
    return undefined;
  }
  if (generation === undefined || corrupt) {
    return undefined;
  }
  if (newest === undefined || newest.rank.generation < generation) {
    return "formed";
  }
  const age = now - newest.takenAt;
  return age >= everyMinutes * 60_000 - roundSlackMs || age < -clockSlackMs
    ? "scheduled"
    : undefined;
}
