import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { groupFolders } from "../../../lab/machines/cgroups.ts";
import { on } from "../../faults/harness/machine.ts";
import { waitFor } from "../../lab/support.ts";

/** What an agent takes of its machine, and an agent that stands still. */

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

/**
 * Stops the processes of all agents where they are, or lets them go on; etcd does not notice. Not by systemd: a start is a second of
 * processor time, which is not what a machine's life is like, and would be measured instead of the agent.
 */
export async function freezeAgents(members: readonly Member[], frozen: boolean): Promise<void> {
  const state = frozen ? "1" : "0";
  for (const member of members) {
    const units = [resident, upkeep].map((unit) => join(services(member), unit));
    for (const folder of units.filter((each) => existsSync(each))) {
      writeFileSync(join(folder, "cgroup.freeze"), state);
      await waitFor(`${folder} to have frozen ${state}`, 10, () => {
        const events = readFileSync(join(folder, "cgroup.events"), "utf8");
        return Promise.resolve(events.includes(`frozen ${state}`) || undefined);
      });
    }
  }
}

/** When the agent's last look, or upkeep's last run, ended; seconds since 1970. */
export function lookedAt(member: Member): number {
  const file = join(machineOf(member).root ?? "", "run/etcd-cluster/upkeep.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { at: number }).at / 1000;
}
