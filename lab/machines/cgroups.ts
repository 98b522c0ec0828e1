import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
  type Dirent,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { labMarks } from "./marks.ts";

/**
 * Control groups: every machine and every helper has one of its own in every hierarchy, which is how its
 * processes are found, limited and killed. Works on version 1, version 2 and the mixed layout.
 */
interface Hierarchies {
  /** Where version 2 is mounted; it alone can kill a whole group at once. */
  unified: string | undefined;
  /** Version 1 mount points by controller. */
  legacy: Map<string, string>;
}

let known: Hierarchies | undefined;

function hierarchies(): Hierarchies {
  if (known) return known;
  const legacy = new Map<string, string>();
  let unified: string | undefined;
  for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n")) {
    const [, folder, type, options] = line.split(" ");
    if (folder === undefined || !folder.startsWith("/sys/fs/cgroup")) continue;
    if (type === "cgroup2") unified = folder;
    if (type !== "cgroup") continue;
    const controller = /(?:^|,)(name=systemd|memory|pids|freezer|blkio|devices|cpuacct|cpu)(?:,|$)/;
    const name = controller.exec(options ?? "")?.[1];
    // cpuset is left out: a new group of it accepts no process before it is configured.
    if (name !== undefined) legacy.set(name, folder);
  }
  known = { unified, legacy };
  return known;
}

/** The folders of one of the lab's groups, one per hierarchy. */
export function groupFolders(name: string): string[] {
  const { unified, legacy } = hierarchies();
  const roots = [...(unified === undefined ? [] : [unified]), ...new Set(legacy.values())];
  return roots.map((root) => join(root, labMarks().group, name));
}

/** Creates a group in every hierarchy. */
export function createGroup(name: string): void {
  for (const folder of groupFolders(name)) mkdirSync(folder, { recursive: true });
}

/** Moves a process into a group; its future children follow. */
export function enterGroup(name: string, pid: number): void {
  createGroup(name);
  for (const folder of groupFolders(name)) writeFileSync(join(folder, "cgroup.procs"), `${pid}`);
}

/**
 * Limits a group's memory from outside, because limits set inside a container are not enforced everywhere.
 * Answers whether the host could do it.
 */
export function limitMemory(name: string, mebibytes: number): boolean {
  const { unified, legacy } = hierarchies();
  const bytes = `${mebibytes * 1024 * 1024}`;
  const { group } = labMarks();
  const memory = legacy.get("memory");
  try {
    if (memory !== undefined) {
      writeFileSync(join(memory, group, name, "memory.limit_in_bytes"), bytes);
      return true;
    }
    if (unified === undefined) return false;
    for (const folder of [unified, join(unified, group)]) {
      writeFileSync(join(folder, "cgroup.subtree_control"), "+memory");
    }
    writeFileSync(join(unified, group, name, "memory.max"), bytes);
    return true;
  } catch {
    return false;
  }
}

/** The processes of a group (`""`: of the whole lab), in whichever hierarchy they are. */
export function processesOf(name = ""): number[] {
  const found = new Set<number>();
  for (const folder of groupFolders(name)) {
    for (const each of [folder, ...subfolders(folder)]) {
      try {
        for (const pid of readFileSync(join(each, "cgroup.procs"), "utf8").split("\n")) {
          if (pid !== "" && pid !== "0") found.add(Number(pid));
        }
      } catch {
        // The group went away between listing and reading.
      }
    }
  }
  return [...found].filter((pid) => !isZombie(pid));
}

/** The lab's groups that exist, by name. */
export function groups(): string[] {
  const names = new Set<string>();
  for (const folder of groupFolders("")) {
    for (const entry of entriesOf(folder)) if (entry.isDirectory()) names.add(entry.name);
  }
  return [...names].sort();
}

/** The folders of the lab that exist in any hierarchy. */
export function existingFolders(): string[] {
  return groupFolders("").filter((folder) => existsSync(folder));
}

/** Kills every process of a group and waits until none is left. */
export async function killGroup(name: string, deadlineSeconds = 10): Promise<void> {
  const deadline = performance.now() + deadlineSeconds * 1000;
  const { unified } = hierarchies();
  const kill = unified && join(unified, labMarks().group, name, "cgroup.kill");
  for (;;) {
    try {
      if (kill !== undefined && existsSync(kill)) writeFileSync(kill, "1");
    } catch {
      // It was removed meanwhile.
    }
    const left = processesOf(name);
    if (left.length === 0) return;
    for (const pid of left) signal(pid, "SIGKILL");
    if (performance.now() > deadline) {
      throw new Error(`processes of ${name} survive SIGKILL: ${left.join(", ")}`);
    }
    await sleep(10);
  }
}

/** Removes a group with everything below it, deepest first; a group that still has processes stays. */
export function removeGroup(name: string): void {
  for (const folder of groupFolders(name)) {
    for (const each of [...subfolders(folder).reverse(), folder]) {
      try {
        rmdirSync(each);
      } catch {
        // Gone already, or a dying process still holds it: the next cleaning gets it.
      }
    }
  }
}

/** Sends a signal; a process that is gone is not an error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}

/** Whether the process lives in the named group of this lab: guards against numbers used again. */
export function inGroup(pid: number, name: string): boolean {
  try {
    const place = `/${labMarks().group}/${name}`;
    return readFileSync(`/proc/${pid}/cgroup`, "utf8")
      .split("\n")
      .some((line) => line.endsWith(place) || line.includes(`${place}/`));
  } catch {
    return false;
  }
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

/** All folders below one, parents before children. */
function subfolders(folder: string): string[] {
  return entriesOf(folder)
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return [path, ...subfolders(path)];
    });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
