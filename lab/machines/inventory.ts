import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { existingFolders, processesOf } from "./cgroups.ts";
import { labLoops } from "./disks.ts";
import { labMarks } from "./marks.ts";

/** Everything of the lab that exists on this host outside of its own folders, by kind. Empty when no lab is there. */
export interface Inventory {
  processes: { pid: number; command: string }[];
  mounts: string[];
  loops: string[];
  namespaces: string[];
  links: string[];
  routes: string[];
  groups: string[];
  /** Folders the container manager keeps per machine. */
  propagation: string[];
}

/**
 * Lists what is there, by the lab's marks. Bridges, rules and tunnels live inside the namespaces and go with
 * them, so they need no line of their own.
 */
export function inventory(): Inventory {
  const { prefix, routeProtocol } = labMarks();
  return {
    processes: processesOf().map((pid) => ({ pid, command: commandOf(pid) })),
    mounts: readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "")
      .filter((place) => place.includes(`/${prefix}`)),
    loops: labLoops().map(({ device, file }) => `${device} ${file}`),
    namespaces: list("/run/netns").filter((name) => name.startsWith(prefix)),
    links: list("/sys/class/net").filter((name) => name.startsWith(prefix)),
    routes: execFileSync("ip", ["-4", "route", "show", "proto", `${routeProtocol}`], {
      encoding: "utf8",
    })
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
    groups: existingFolders(),
    propagation: list("/run/systemd/nspawn/propagate").filter((name) => name.startsWith(prefix)),
  };
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}
