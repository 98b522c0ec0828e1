import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Content of a file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) {
      return undefined;
    }
    throw error;
  }
}

/**
 * Writes a file so that after a power cut there is the old one or the new one, never half of one: a new file beside it, synced,
 * renamed over it, and the folder synced. Returns whether the content is new.
 */
export async function writeDurably(
  path: string,
  content: string,
  { mode = 0o600 }: { readonly mode?: number } = {},
): Promise<boolean> {
  if ((await readIfThere(path)) === content) {
    return false;
  }
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const beside = `${path}.new`;
  await rm(beside, { force: true });
  await writeNew(beside, content, { mode });
  await rename(beside, path);
  await syncFolder(folder);
  return true;
}

/** Writes and syncs a file that must not be there yet. Its owner is this process's unless another one is given. */
export async function writeNew(
  path: string,
  content: string | Buffer,
  options: { readonly mode: number; readonly owner?: { uid: number; gid: number } },
): Promise<void> {
  const file = await open(path, "wx", options.mode);
  try {
    if (options.owner !== undefined) {
      await file.chown(options.owner.uid, options.owner.gid);
    }
    // Whatever the umask is.
    await file.chmod(options.mode);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a rename or a removal in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Whether an error is a system error with this code. */
export function isErrno(error: unknown, code: string): boolean {
  return typeof error === "object" && error !== null && "code" in error && error.code === code;
}
