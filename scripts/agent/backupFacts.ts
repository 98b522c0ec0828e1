import { listBackups } from "./backupStore";
import type { Bucket } from "./bucket";
import type { BackupFact } from "./facts";

/** The backups that there are, as a roll call ranks them. They are named, not verified; whoever uses one verifies it. */
export async function backupFacts(bucket: Bucket): Promise<BackupFact[]> {
  return (await listBackups(bucket)).map(({ key, sha256, rank }) => ({ key, sha256, rank }));
}
