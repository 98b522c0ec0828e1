import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { labState } from "../paths.ts";

/** Who holds the lock: the process, what it does, and when that process started (a pid alone may be another's by now). */
interface Holder {
  readonly pid: number;
  readonly what: string;
  readonly startTime: string;
}

/** The start time of a process in clock ticks since boot, or undefined when there is no such process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the command's name in parentheses and may hold anything; the 22nd is the start time.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock under which the lab is built up or torn down. A lock left by a process that is gone is taken over.
 *
 * @throws when another live process holds it; the message names it
 */
export function takeLock(what: string, path = join(labState, "lock")): () => void {
  mkdirSync(dirname(path), { recursive: true });
  const mine: Holder = { pid: process.pid, what, startTime: startTimeOf(process.pid) ?? "" };
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(mine));
  try {
    // A link appears with its content, so nobody sees a lock whose holder is not written yet.
    while (!placed(draft, path)) {
      const holder = readHolder(path);
      if (isAlive(holder)) {
        throw new Error(
          `${holder.what} is already running (process ${holder.pid}). Wait for it to end, or stop it with: kill ${holder.pid}`,
        );
      }
      removeDead(path);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return () => {
    if (readHolder(path)?.pid === process.pid) rmSync(path, { force: true });
  };
}

function placed(draft: string, path: string): boolean {
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes a dead lock away. Looks again at what it got hold of: another process may have been quicker and put its own there. */
function removeDead(path: string): void {
  const aside = `${path}.dead-${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (isAlive(readHolder(aside))) placed(aside, path);
  rmSync(aside, { force: true });
}

function isAlive(holder: Holder | undefined): holder is Holder {
  return holder !== undefined && startTimeOf(holder.pid) === holder.startTime;
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Holder;
  } catch {
    return undefined;
  }
}
