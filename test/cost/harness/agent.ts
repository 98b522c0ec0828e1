import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { groupFolders } from "../../../lab/machines/cgroups.ts";
import type { Cluster } from "../../faults/harness/cluster.ts";
import { announced, on, startAgent } from "../../faults/harness/machine.ts";
import { waitFor } from "../../lab/support.ts";

/** What an agent takes of its machine, and an agent that is not there. */

/** The unit whose processes stay, and the one whose processes come when something is due. */
const resident = "agent-boot.service";
const upkeep = "etcd-upkeep.service";

/** Where the machine's kernel accounts for its services. */
function services(member: Member): string {
  const { instanceId } = machineOf(member);
  const folders = groupFolders(instanceId).map((folder) => join(folder, "payload", "system.slice"));
  const found = folders.find((folder) => {
    try {
      return readFileSync(join(folder, "cpu.stat"), "utf8").startsWith("usage_usec ");
    } catch {
      return false;
    }
  });
  assert.ok(found, `${member.name}: none of ${folders.join(", ")} says what its processors did`);
  return found;
}

/**
 * Resident memory of the processes that stay, MiB, each counted whole (VmRSS): what a person sees in ps. What they share (the program's
 * own pages) is in it, what the kernel keeps of their files is not. A child that happens to be there counts as well.
 */
export function residentMiB(member: Member): number {
  const pids = readFileSync(join(services(member), resident, "cgroup.procs"), "utf8");
  const kibibytes = pids
    .split("\n")
    .filter((pid) => pid !== "")
    .map((pid) => {
      try {
        return Number(
          /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1],
        );
      } catch {
        return 0; // It has ended meanwhile.
      }
    });
  const sum = kibibytes.reduce((a, b) => a + (Number.isNaN(b) ? 0 : b), 0) / 1024;
  assert.ok(sum > 0, `${member.name}: no process of ${resident}`);
  return sum;
}

const usedSeconds = (folder: string): number => {
  const text = readFileSync(join(folder, "cpu.stat"), "utf8");
  return Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1e6;
};

/** Processor time so far, seconds. */
export interface Used {
  /** Of the unit that stays, its children included. */
  readonly resident: number;
  /** Of everything in services that are gone: upkeep's runs, whose accounts end with them. */
  readonly gone: number;
}

/** What agents have used until now. Upkeep must not run at the moment, so that all of its runs are among what is gone. */
export async function used(member: Member): Promise<Used> {
  const { value } = await waitFor(`a moment without upkeep on ${member.name}`, 120, () => {
    const folder = services(member);
    const units = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    if (units.includes(upkeep)) return Promise.resolve(undefined);
    const living = units.map((name) => usedSeconds(join(folder, name)));
    return Promise.resolve({
      resident: usedSeconds(join(folder, resident)),
      gone: usedSeconds(folder) - living.reduce((a, b) => a + b, 0),
    });
  });
  return value;
}

/** How often upkeep ended since a time, seconds since 1970. */
export async function upkeepRuns(member: Member, since: number): Promise<number> {
  const { stdout } = await on(member, [
    ...["journalctl", `--unit=${upkeep}`, `--since=@${since}`, "--output=cat", "--no-pager"],
  ]);
  return stdout.split("\n").filter((line) => /Deactivated successfully|Finished /.test(line))
    .length;
}

/** Takes the agents of all members away; etcd goes on. */
export async function stopAgents(members: readonly Member[]): Promise<void> {
  const units = [resident, upkeep];
  await Promise.all(members.map((member) => on(member, ["systemctl", "stop", ...units])));
}

/** Brings them back, and waits until each one runs and has looked after its member once. */
export async function startAgents(cluster: Cluster): Promise<void> {
  const members = await cluster.members();
  const since = Date.now();
  await Promise.all(members.map(startAgent));
  await waitFor("every agent to run, and to have looked", 120, () => {
    for (const member of members) {
      const said = announced(member);
      const at = lookedAt(member);
      assert.ok(
        said?.state === "running" && at > since / 1000,
        `${member.name}: ${said?.state} ${at}`,
      );
    }
    return Promise.resolve(true);
  });
}

/** Processor time of agents that only watch, at most; seconds of one core in a window. A look of every minute takes 0.15, starting ten times that. */
const restSeconds = 0.25;
const restWindow = 15;

/**
 * Waits until what was started or stopped has come to rest. An agent that has brought its member up makes way for one that only watches,
 * and that one looks at everything for the first time: a start, which is not what a machine's life is like.
 */
export async function rest(members: readonly Member[]): Promise<void> {
  const taken = (): number[] =>
    members.map((member) => {
      const folder = join(services(member), resident);
      return existsSync(folder) ? usedSeconds(folder) : 0;
    });
  await waitFor("agents that only watch", 180, async () => {
    const before = taken();
    await sleep(restWindow * 1000);
    const window = taken().map((after, at) => after - (before[at] ?? 0));
    assert.ok(
      // Less than nothing: another process, whose account began anew.
      window.every((seconds) => seconds >= 0 && seconds <= restSeconds),
      `${window.join(", ")} s of ${restWindow}`,
    );
    return true;
  });
}

/** When the agent's last look, or upkeep's last run, ended; seconds since 1970. */
export function lookedAt(member: Member): number {
  const file = join(machineOf(member).root ?? "", "run/etcd-cluster/upkeep.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { at: number }).at / 1000;
}
