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

/** etcdctl on a member's machine, through that member alone; answers what it printed. */
export async function etcdctl(member: Member, ...argv: readonly string[]): Promise<string> {
  const pki = "/etc/etcd/pki";
  const { stdout } = await on(member, [
    ...["/opt/etcd-cluster/etcd/current/etcdctl", "--endpoints", `https://${member.address}:2379`],
    ...["--cacert", `${pki}/client-ca.crt`, "--cert", `${pki}/agent.crt`],
    ...["--key", `${pki}/agent.key`],
    ...argv,
  ]);
  return stdout;
}

/** A member's line in etcd's list, as another one prints it. */
export async function listed(
  by: Member,
  name: string,
): Promise<{ id: string; isLearner: boolean } | undefined> {
  const lines = (await etcdctl(by, "member", "list")).split("\n").map((text) => text.split(", "));
  const cells = lines.find((each) => each[2] === name);
  return cells === undefined ? undefined : { id: cells[0] ?? "", isLearner: cells[5] === "true" };
}

/** How often systemd has started a member's etcd again by itself on this machine. */
export async function etcdRestarts(member: Member): Promise<number> {
  const { stdout } = await on(member, [
    ...["journalctl", "--unit=etcd.service", "--output=cat", "--no-pager"],
  ]);
  return stdout.split("\n").filter((text) => text.includes("Scheduled restart job")).length;
}

/** Stops a machine's agent, etcd not: what it would do by itself does not happen. */
export async function stopAgent(member: Member): Promise<void> {
  await on(member, ["systemctl", "stop", "agent-boot.service"]);
}

/** Lets a machine's agent go on. */
export async function startAgent(member: Member): Promise<void> {
  await on(member, ["systemctl", "start", "agent-boot.service"]);
}
