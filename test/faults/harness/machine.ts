import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { inside, waitFor, type Outcome } from "../../lab/support.ts";
import type { Cluster } from "./cluster.ts";

/** What a machine's agent last made known. */
export interface Announced {
  readonly state: string;
  readonly wait?: string;
  readonly reason?: string;
}

/** What the agent of a member's machine says at this moment, if there is one. */
export function announced(member: Member): Announced | undefined {
  const root = member.machine?.root;
  if (root === undefined) return undefined;
  try {
    const text = readFileSync(join(root, "run/etcd-cluster/state.json"), "utf8");
    return JSON.parse(text) as Announced;
  } catch {
    return undefined;
  }
}

/** Runs a program in a member's machine; its failure is an error that shows what it said. */
export async function on(
  member: Member,
  argv: readonly string[],
  timeoutSeconds = 60,
): Promise<Outcome> {
  const { pid } = machineOf(member);
  assert.ok(pid, `${member.name}: its machine does not run`);
  const outcome = await inside(pid, argv, { timeoutSeconds });
  assert.equal(
    outcome.code,
    0,
    `${member.name}: ${argv.join(" ")}\n${outcome.stdout}${outcome.stderr}`,
  );
  return outcome;
}

/** A member by its name, where it is now. */
export async function memberNow(cluster: Cluster, name: string): Promise<Member> {
  const member = (await cluster.members()).find((each) => each.name === name);
  assert.ok(member, `no member ${name}`);
  return member;
}

/** Waits until the agent of a member says something; the machine may be another one by then. */
export async function untilAnnounced(
  cluster: Cluster,
  name: string,
  what: string,
  deadlineSeconds: number,
  matches: (announced: Announced) => boolean,
): Promise<Announced> {
  const { value } = await waitFor(`${name} to be ${what}`, deadlineSeconds, async () => {
    const said = announced(await memberNow(cluster, name));
    if (said !== undefined && matches(said)) return said;
    throw new Error(JSON.stringify(said));
  });
  return value;
}

/** What agents decided and what etcd complained of lately, on every machine: for the message of a failure. */
export async function journals(cluster: Cluster): Promise<string> {
  const tails = await Promise.all(
    (await cluster.members()).map(async ({ name, machine }) => {
      if (machine?.pid === undefined) return `${name}: no machine`;
      const units = ["--unit=agent-boot.service", "--unit=etcd.service"];
      const { stdout } = await inside(
        machine.pid,
        ["journalctl", ...units, "--lines=3000", "--output=short-precise", "--no-pager"],
        { timeoutSeconds: 30 },
      );
      const telling = stdout
        .split("\n")
        .filter(
          (line) => !/"level":"(debug|info|warn)"/.test(line) && !/^\s+\/|goroutine/.test(line),
        );
      return [`${name}:`, ...telling.slice(-60).map((line) => line.slice(0, 400))].join("\n  ");
    }),
  );
  return tails.join("\n");
}

/** Takes a backup on a member at once, and answers its key. */
export async function backUp(member: Member): Promise<string> {
  const { stdout } = await on(member, ["etcd-agent", "backup", "--reason", "test"], 120);
  const { key } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}") as { key?: string };
  assert.ok(key, stdout);
  return key;
}

/** Lets the agent of a machine end itself at a named point (scripts/agent/point.ts). */
export function dieAt(root: string, point: string): void {
  const folder = join(root, "run/etcd-cluster");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "die-at"), `${point}\n`);
}

/** Whether the agent of a machine has passed the point at which it was to end itself. */
export function hasDied(root: string): boolean {
  return !existsSync(join(root, "run/etcd-cluster/die-at"));
}
