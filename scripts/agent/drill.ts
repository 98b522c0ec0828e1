import { rm } from "node:fs/promises";
import { join } from "node:path";

import type { MemberConfig } from "../../components/plan/memberConfig";
import type { Backup } from "./backupKey";
import { mustHaveRoom, withWorkFolder } from "./backupSnapshot";
import { backupMetadata, fetchBackup, listBackups, newestRestorable } from "./backupStore";
import { WrongContent } from "./bucket";
import { readDatabase } from "./database";
import { askRestored, drillMember, drillPeerUrl } from "./drillEtcd";
import {
  compareRestored,
  drillKey,
  parseDrillResult,
  recordedExpectation,
  type DrillResult,
  type Expectation,
} from "./drillResult";
import type { EtcdEndpoint } from "./etcd";
import type { Machine } from "./machine";
import { paths } from "./paths";
import { reasonOf, say } from "./say";
import { restoreSnapshot } from "./sources";

/** What a drill works with. */
export interface Drill {
  readonly machine: Machine;
  readonly config: MemberConfig;
  /** This member's etcd. */
  readonly etcd: EtcdEndpoint;
  /** Generation of the live cluster: only a backup of the same one can be compared with it. */
  readonly generation: number;
  readonly dbBytes: number;
}

/**
 * Restores the newest backup into a scratch etcd beside the member, and compares. One that is wrong is reported, and the next older one is
 * tried. The result is kept in etcd, where every member sees it.
 *
 * Throws when the drill could not be held (no room, no bucket): that says nothing about the backups.
 */
export async function holdDrill(drill: Drill): Promise<DrillResult> {
  const { machine, config, etcd, generation } = drill;
  const started = performance.now();
  // The fetched file and what is restored from it.
  await mustHaveRoom(config, drill.dbBytes, 2);
  const backups = await listBackups(machine.bucket);
  const [newest] = backups;
  if (newest === undefined) {
    throw new Error("there is no backup to try");
  }
  const failures: unknown[] = [];
  const { found, corrupt } = await newestRestorable(backups, async (backup) => {
    try {
      return await tryBackup(drill, backup);
    } catch (error) {
      failures.push(error);
      throw error;
    }
  });
  if (found === undefined && failures.every((error) => error instanceof NotStarted)) {
    // Not one of several starts: that is rather this machine than all of them.
    throw new Error(`no restored backup starts: ${corrupt[0]?.reason ?? ""}`);
  }
  for (const { key, reason } of corrupt) {
    say(`${key} is not a good backup: ${reason}`);
  }
  const before = parseDrillResult(await etcd.read(drillKey));
  const at = Date.now();
  const provenAt = found === undefined ? before?.provenAt : at;
  const result: DrillResult = {
    ...{ schema: 1, at, seconds: Math.round((performance.now() - started) / 1000) },
    ...{ by: machine.member, generation, newest: newest.key },
    ...(found === undefined ? {} : { proven: found.backup.key, against: found.result }),
    ...(provenAt === undefined ? {} : { provenAt }),
    corrupt: corrupt.map(({ key, reason }) => ({ key, reason: reason.slice(0, 500) })),
  };
  await etcd.write(drillKey, JSON.stringify(result));
  return result;
}

/** Etcd does not come up on what was restored. */
class NotStarted extends WrongContent {}

async function tryBackup(
  { machine, etcd, generation }: Drill,
  backup: Backup,
): Promise<"live" | "recorded" | "revision"> {
  return withWorkFolder("drill", async (folder) => {
    const file = join(folder, "backup.db");
    const dataDirectory = join(folder, "data");
    await fetchBackup(machine.bucket, backup, file, paths.etcdFolder);
    await restored(backup, file, dataDirectory);
    await rm(file);
    const answer = await askRestored(
      folder,
      dataDirectory,
      paths.etcdFolder,
      backup.revision,
    ).catch((error: unknown) => {
      throw new NotStarted(`${backup.key}: ${reasonOf(error)}`, { cause: error });
    });
    const { against, problem } = compareRestored(answer, [
      ["live", backup.rank.generation === generation ? await liveAt(etcd, backup) : undefined],
      ["recorded", recordedExpectation(await backupMetadata(machine.bucket, backup.key))],
    ]);
    if (problem !== undefined) {
      throw new WrongContent(`${backup.key}: ${problem} (${against})`);
    }
    return against;
  });
}

async function restored(backup: Backup, file: string, dataDirectory: string): Promise<void> {
  try {
    await restoreSnapshot({
      ...{ file, dataDirectory, etcdFolder: paths.etcdFolder, bump: 0, token: drillMember },
      member: drillMember,
      initialCluster: `${drillMember}=${drillPeerUrl}`,
      peerUrl: drillPeerUrl,
    });
  } catch (error) {
    const reason = reasonOf(error);
    // A full disk says nothing about the file.
    throw /no space left/i.test(reason)
      ? error
      : new WrongContent(`${backup.key}: ${reason}`, { cause: error });
  }
  const { revision = 1n } = await readDatabase(join(dataDirectory, "member", "snap", "db"));
  if (Number(revision) !== backup.revision) {
    throw new WrongContent(
      `${backup.key} is at revision ${revision} when restored, not at ${backup.revision}`,
    );
  }
}

/** What the live cluster says about a revision; undefined when its history does not reach back so far. */
async function liveAt(
  etcd: EtcdEndpoint,
  { key, revision }: Backup,
): Promise<Expectation | undefined> {
  const at = BigInt(revision);
  const now = await etcd.linearizableRead();
  if (now < at) {
    throw new WrongContent(`${key} is said to be of this generation, which is at ${now} only`);
  }
  try {
    const [keys, hash] = await Promise.all([etcd.keyCount(at), etcd.hashKv(at)]);
    return { keys, ...hash };
  } catch (error) {
    say(`not compared with the live cluster: ${reasonOf(error)}`);
    return undefined;
  }
}
