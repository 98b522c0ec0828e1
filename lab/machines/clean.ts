import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { ip, ipBatch, labRoutes } from "../network/host.ts";
import { labState } from "../paths.ts";
import { enterGroup, groups, killGroup, removeGroup } from "./cgroups.ts";
import { labLoops } from "./disks.ts";
import { inventory, type Inventory } from "./inventory.ts";
import { removePropagation } from "./machines.ts";

/** The group in which the daemon and what it starts live, apart from machines and helpers. */
export const daemonGroup = "daemon";

/** Moves a process (this one by default) into the daemon's group, so that a cleaning finds and ends it. */
export function joinLab(pid: number = process.pid): void {
  enterGroup(daemonGroup, pid);
}

/**
 * Ends everything of the lab on this host and gives all of it back, whatever state it is in. Works from the
 * marks on the things themselves, not from records, so that it also cleans what a crash left. Answers how many
 * things it found. `spare` names groups that stay (the daemon's, when it is the daemon that cleans).
 */
export async function clean(
  log: (line: string) => void = () => undefined,
  spare: readonly string[] = [],
): Promise<number> {
  const before = inventory();
  // Processes first: guards would note deaths, helpers would answer, machines hold everything else.
  const doomed = groups().filter((name) => !spare.includes(name));
  await Promise.all(doomed.map((name) => killGroup(name)));
  // Loop devices before mounts: the other way round the device stays under another path.
  for (const { device } of labLoops()) {
    await execa("losetup", ["--detach", device], { reject: false });
  }
  for (const place of inventory().mounts.reverse()) {
    if (place.startsWith("/run/netns/")) continue;
    await execa("umount", ["--lazy", place], { reject: false });
  }
  for (const name of inventory().namespaces) await ip("netns", "del", name);
  for (const name of inventory().links) {
    // A link goes with its other end, and that with its namespace: a moment ago, now, or here.
    await execa("ip", ["link", "del", name], { reject: false });
  }
  await ipBatch((await labRoutes()).map((route) => `route del ${route}`));
  for (const name of inventory().propagation) removePropagation(name);
  await removeGroups(doomed, spare);
  // Stays as long as something spared lives in it.
  removeGroup("");
  const found = sizeOf(before) - (spare.length === 0 ? 0 : sizeOf(inventory()));
  if (found > 0) log(`removed ${found} things of the lab from this host`);
  return found;
}

function sizeOf(things: Inventory): number {
  const lists: readonly unknown[][] = Object.values(things);
  return lists.reduce((sum, { length }) => sum + length, 0);
}

/** A dying process holds its group for a moment. */
async function removeGroups(names: readonly string[], spare: readonly string[]): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    for (const name of names) removeGroup(name);
    const left = groups().filter((name) => !spare.includes(name));
    if (left.length === 0) return;
    await sleep(20);
  }
}

/** Removes the machines' root disks and the volumes' files below a lab's state folder. */
export function removeFiles(state: string): void {
  for (const name of ["machines", "disks", "vpcs", "layers"]) {
    const folder = join(state, name);
    rmSync(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const started = performance.now();
  const found = await clean();
  removeFiles(labState);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    found === 0 ? "no lab on this host" : `the lab is gone (${found} things, ${seconds} s)`,
  );
}
