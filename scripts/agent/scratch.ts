import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { isMounted } from "./disk";
import { paths } from "./paths";

/**
 * Runs something with an empty folder for copies, which is removed in the end and was never anything else than scratch. On the data
 * volume, where there is room for the data several times; while that is not mounted, on the machine's own disk.
 */
export async function withScratch<T>(
  volumeId: string,
  action: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = (await isMounted(volumeId)) ? paths.scratch : join(paths.cache, "scratch");
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  try {
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
