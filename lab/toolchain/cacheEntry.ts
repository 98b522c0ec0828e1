import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { cache } from "../paths.ts";
import { duration, stage, type Log } from "./progress.ts";

/** Hash of everything that decides what a cache entry contains: file contents and plain strings. */
export function contentKey(parts: readonly ({ file: string } | string)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = typeof part === "string" ? Buffer.from(part) : readFileSync(part.file);
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return hash.digest("hex").slice(0, 16);
}

/** The last lines of a log, for an error message. */
function endOf(logFile: string): string {
  if (!existsSync(logFile)) return "";
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-12);
  return lines.join("") === "" ? "" : `, which ends:\n  ${lines.join("\n  ")}`;
}

/** Where an entry of the cache is, or would be. */
export function cachePath(name: string, key: string): string {
  return join(cache, `${name}-${key}`);
}

/**
 * A folder in the cache, named after its content's key: built once, never changed. It is built beside its
 * place and renamed into it, so that a killed build leaves nothing that looks finished.
 *
 * @returns the entry's path
 */
export async function cacheEntry(
  name: string,
  key: string,
  log: Log,
  build: (folder: string, logFile: string) => Promise<void>,
): Promise<string> {
  const path = cachePath(name, key);
  if (existsSync(path)) return path;
  mkdirSync(join(cache, "logs"), { recursive: true });
  const folder = mkdtempSync(join(cache, `.${name}-`));
  const logFile = join(cache, "logs", `${name}-${key}.log`);
  const started = performance.now();
  log(`   building ${name} …`);
  try {
    await stage(log, `building ${name}`, () => build(folder, logFile));
    // Another process may have finished the same entry meanwhile; the content is the same.
    chmodSync(folder, 0o755);
    if (!existsSync(path)) renameSync(folder, path);
  } catch (error) {
    throw new Error(`building ${name} failed; its log is ${logFile}${endOf(logFile)}`, {
      cause: error,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  log(`   built ${name} in ${duration(performance.now() - started)}`);
  return path;
}
