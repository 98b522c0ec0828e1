import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ip } from "../network/host.ts";
import { parseLinks } from "../network/links.ts";
import type { Machine, ObservedMachine } from "../world.ts";
import {
  createGroup,
  groupFolders,
  inGroup,
  killGroup,
  limitMemory,
  processesOf,
  removeGroup,
  signal,
} from "./cgroups.ts";
import { labMarks } from "./marks.ts";

const guardScript = fileURLToPath(new URL("guard.sh", import.meta.url));

/** The group of the guards, apart from the machines: a guard sees its machine die and writes it down. */
const guards = "guards";

/** How long a machine may take to shut down before it is switched off. */
const graceSeconds = 20;

/** The network namespace of a machine. */
export function machineNamespace(id: string): string {
  return labMarks().prefix + id;
}

/** The name of a machine's network interface by device index, as Debian names it on EC2. */
export function linkName(index: number): string {
  return `ens${5 + index}`;
}

/** What of a machine is on record, in memory only as long as it saves reading. */
interface Watched {
  leader?: number;
  stopAskedAt?: number;
}

/**
 * The machines of the lab, each a systemd container under a guard of its own. All state is in the machine's
 * folder and in the kernel, so a daemon that starts anew finds them as they are.
 */
export class Machines {
  readonly #folder: string;
  readonly #layers: readonly string[];
  readonly #watched = new Map<string, Watched>();

  readonly #log: (line: string) => void;

  /** `folder`: where machines live; `layers`: read-only root layers, the topmost first. */
  constructor(folder: string, layers: readonly string[], log: (line: string) => void) {
    this.#log = log;
    this.#folder = folder;
    this.#layers = layers;
    mkdirSync(folder, { recursive: true });
  }

  /** Starts a machine whose network namespace exists. */
  start(machine: Machine): void {
    const { id } = machine;
    const folder = join(this.#folder, id);
    for (const part of ["upper", "work", "root"]) {
      mkdirSync(join(folder, part), { recursive: true });
    }
    rmSync(join(folder, "exit"), { force: true });
    rmSync(join(folder, "stopped"), { force: true });
    rmSync(join(folder, "guard"), { force: true });
    // Groups that saw a kill let new processes die with it; fresh ones do not.
    removeGroup(id);
    createGroup(id);
    createGroup(guards);
    limitMemory(id, machine.memoryMiB);
    writeFileSync(join(folder, "started"), new Date().toISOString());
    const console = openSync(join(folder, "console.log"), "a", 0o600);
    const guard = spawn(
      "setsid",
      ["unshare", "--mount", "--propagation", "slave", "/bin/bash", guardScript],
      {
        detached: true,
        stdio: ["ignore", console, console],
        env: {
          PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
          FOLDER: folder,
          LOWER: this.#layers.join(":"),
          NAMESPACE: machineNamespace(id),
          LINKS: machine.interfaceIds.map((_, index) => linkName(index)).join(" "),
          NAME: machineNamespace(id),
          HOST: machine.hostname,
          GUARD_GROUPS: groupFolders(guards).join(" "),
          MACHINE_GROUPS: groupFolders(id).join(" "),
        },
      },
    );
    guard.unref();
    closeSync(console);
    this.#watched.set(id, {});
  }

  /** The machines that are on disk. */
  list(): string[] {
    return readdirSync(this.#folder).filter((id) => this.exists(id));
  }

  /** Whether the machine has ever been started and is still on disk. */
  exists(id: string): boolean {
    return existsSync(join(this.#folder, id, "started"));
  }

  /** Whether it went off because it was asked to: only then may it be started again. */
  stopped(id: string): boolean {
    return existsSync(join(this.#folder, id, "stopped"));
  }

  /** What the machine is at this moment. */
  observe(id: string): ObservedMachine {
    const folder = join(this.#folder, id);
    const exit = read(join(folder, "exit"));
    if (exit !== undefined) {
      this.#watched.delete(id);
      return { state: "exited", exitedAt: (JSON.parse(exit) as { at: string }).at };
    }
    const guard = Number(read(join(folder, "guard")) ?? 0);
    if (guard > 0 && inGroup(guard, guards)) {
      const leaderPid = this.#leader(id, guard);
      if (leaderPid === undefined) return { state: "booting" };
      return { state: "running", leaderPid, rootFolder: `/proc/${leaderPid}/root` };
    }
    const started = Date.parse(read(join(folder, "started")) ?? "");
    // A guard needs a moment to write down its number; after that, no guard means that it was killed.
    if (guard === 0 && Date.now() - started < 5000) return { state: "booting" };
    const at = new Date().toISOString();
    writeFileSync(join(folder, "exit"), JSON.stringify({ code: 137, at }));
    this.#switchOff(id);
    return { state: "exited", exitedAt: at };
  }

  /** Asks the machine to shut down, as EC2 does, and switches it off when it takes too long. */
  stop(id: string): void {
    writeFileSync(join(this.#folder, id, "stopped"), "");
    const { leaderPid, state } = this.observe(id);
    if (state === "exited") return;
    const watched = this.#watched.get(id) ?? {};
    this.#watched.set(id, watched);
    if (watched.stopAskedAt === undefined && leaderPid !== undefined) {
      watched.stopAskedAt = Date.now();
      powerOff(leaderPid);
    } else if (Date.now() - (watched.stopAskedAt ?? 0) > graceSeconds * 1000) {
      // Also a machine that has no process 1 yet: there is nobody to ask.
      this.#switchOff(id);
    }
  }

  /**
   * Switches the machine off as a power cut of its host would. Its links go first: the kernel would otherwise
   * close the dying processes' connections in order, and nobody would have to notice a silent death.
   */
  async kill(id: string): Promise<void> {
    const namespace = machineNamespace(id);
    for (const { name } of parseLinks(await ip("-n", namespace, "-j", "addr", "show"))) {
      if (name !== "lo") await ip("-n", namespace, "link", "set", name, "down");
    }
    await killGroup(id);
  }

  /** Forgets a machine that went off, with its root disk. */
  remove(id: string): void {
    this.#watched.delete(id);
    removeGroup(id);
    rmSync(join(this.#folder, id), { recursive: true, force: true });
    removePropagation(machineNamespace(id));
  }

  /** Whether nothing of the machine runs any more. */
  isDead(id: string): boolean {
    return processesOf(id).length === 0;
  }

  /** In the background; whether it is off shows when it is observed next. */
  #switchOff(id: string): void {
    killGroup(id).catch((error: unknown) => {
      this.#log(String(error));
    });
  }

  /** Process 1 of a machine: the child of the container manager that is number 1 in its own namespace. */
  #leader(id: string, guard: number): number | undefined {
    const watched = this.#watched.get(id) ?? {};
    if (watched.leader !== undefined && isLeader(watched.leader, id)) return watched.leader;
    this.#watched.set(id, watched);
    for (const manager of children(guard)) {
      for (const child of children(manager)) {
        if (isLeader(child, id)) return (watched.leader = child);
      }
    }
    delete watched.leader;
    return undefined;
  }
}

/** nspawn leaves this folder behind when it is killed. */
export function removePropagation(name: string): void {
  try {
    rmdirSync(`/run/systemd/nspawn/propagate/${name}`);
  } catch {
    // It went away with the container.
  }
}

/** systemd's own signal for "power off in order": what a virtual machine's power button does. */
function powerOff(leader: number): void {
  const realtimeMinimum = 34;
  try {
    process.kill(leader, realtimeMinimum + 4);
  } catch {
    signal(leader, "SIGKILL");
  }
}

function isLeader(pid: number, group: string): boolean {
  const status = read(`/proc/${pid}/status`) ?? "";
  // Before it is systemd, it is still the container manager that prepares the root.
  return /^NSpid:.*\t1$/m.test(status) && /^Name:\tsystemd$/m.test(status) && inGroup(pid, group);
}

function children(pid: number): number[] {
  const list = read(`/proc/${pid}/task/${pid}/children`) ?? "";
  return list.split(" ").filter(Boolean).map(Number);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
