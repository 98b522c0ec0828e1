import { rm } from "node:fs/promises";
import { join } from "node:path";

import { storage } from "../../components/plan/storage";
import { WrongContent, type Bucket } from "./bucket";
import { checkDatabase } from "./database";
import { peerUrlOf } from "./listed";
import { must } from "./run";
import { reasonOf } from "./say";

/** Data from which a generation begins: fetched, checked, restored. A source is a file named by its hash, and never changes. */

/** Seconds for etcdutl on the largest database. */
const restoreSeconds = 600;

/** Fetches a source, or a backup, and proves that it is one: by its hash, and by every page of the database. */
export async function fetchVerified(
  bucket: Bucket,
  { key, sha256 }: { readonly key: string; readonly sha256: string },
  file: string,
  etcdFolder: string,
): Promise<void> {
  await bucket.download(key, sha256, file);
  const damage = await checkDatabase(file, etcdFolder);
  if (damage !== undefined) {
    throw new WrongContent(`${key} cannot be restored: ${damage}`);
  }
}

/** How a snapshot becomes a data directory. */
export interface Restoration {
  readonly file: string;
  /** Must not exist. */
  readonly dataDirectory: string;
  readonly etcdFolder: string;
  readonly member: string;
  /** `m1=https://…:2380,…` */
  readonly initialCluster: string;
  readonly peerUrl: string;
  readonly token: string;
  readonly bump: number;
}

/**
 * Restores: revisions go on far beyond those of the file, and everything before is marked as compacted, so that a watcher who saw
 * more than the file holds is told so instead of being led backwards.
 */
export async function restoreSnapshot(restoration: Restoration): Promise<void> {
  const { file, dataDirectory, etcdFolder, bump } = restoration;
  await must(
    join(etcdFolder, "etcdutl"),
    [
      ...["snapshot", "restore", file, "--data-dir", dataDirectory],
      ...["--name", restoration.member, "--initial-cluster", restoration.initialCluster],
      ...["--initial-advertise-peer-urls", restoration.peerUrl],
      ...["--initial-cluster-token", restoration.token],
      ...(bump === 0 ? [] : ["--bump-revision", String(bump), "--mark-compacted"]),
    ],
    { timeoutSeconds: restoreSeconds },
  );
}

/** Whether a source can be restored at all is tried before a generation is made to depend on it. */
export async function tryRestore(
  file: string,
  folder: string,
  etcdFolder: string,
  bump: number,
): Promise<void> {
  const dataDirectory = join(folder, "tried");
  const peerUrl = peerUrlOf("127.0.0.1");
  try {
    await restoreSnapshot({
      ...{ file, dataDirectory, etcdFolder, bump, peerUrl, token: "tried" },
      ...{ member: "m1", initialCluster: `m1=${peerUrl}` },
    });
  } catch (error) {
    const said = reasonOf(error);
    // A full disk says nothing about the file.
    throw /no space left/i.test(said)
      ? error
      : new WrongContent(`it cannot be restored: ${said}`, { cause: error });
  } finally {
    await rm(dataDirectory, { recursive: true, force: true });
  }
}

/** Key of a source. */
export const sourceKey = (sha256: string): string => storage.source(sha256);
