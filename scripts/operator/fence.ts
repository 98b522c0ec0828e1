import { setTimeout as sleep } from "node:timers/promises";
import { AutoScalingClient, UpdateAutoScalingGroupCommand } from "@aws-sdk/client-auto-scaling";
import { fencingProblem, groupOf } from "./lib/fencing.ts";
import { main, options, UsageError } from "./lib/main.ts";
import { memberNamed, readStack, type Member, type Stack } from "./lib/stack.ts";

const usage = `fence.ts --members m2,m3 [--confirm CLUSTER | --release] [--timeout-seconds 600]
Takes members' machines away and keeps them away: their groups are set to zero. Ends when each machine is terminated and its volume
detached, which is what restore --fenced asks for. Volumes and their data stay. Without --confirm and the cluster's name it changes nothing and
says how it stands with them. --release gives the groups their machine back; each is the same member as before.`;

/** What setting a group of one to zero, or back, looks like. */
async function setMachines(member: Member, count: 0 | 1): Promise<void> {
  await new AutoScalingClient({}).send(
    new UpdateAutoScalingGroupCommand({
      AutoScalingGroupName: member.groupName,
      MinSize: count,
      DesiredCapacity: count,
    }),
  );
}

/** The members that were named, each once. */
export function chosenMembers(stack: Stack, text: string | undefined): Member[] {
  if (text === undefined) throw new UsageError(`--members is missing\nusage: ${usage}`);
  return [...new Set(text.split(","))].map((name) => memberNamed(stack, name));
}

/** The cluster that the members' groups belong to, by their tags. */
async function clusterOf(members: readonly Member[]): Promise<string> {
  const names = new Set<string>();
  for (const member of members) {
    const found = await groupOf(member);
    if (typeof found === "string") throw new Error(`${member.name}: ${found}`);
    names.add(found.cluster);
  }
  return [...names].join(" and ");
}

/** What is left of the members' machines, by member; empty when all are fenced. */
async function standing(members: readonly Member[]): Promise<string[]> {
  const problems = await Promise.all(
    members.map(async (member) => {
      const problem = await fencingProblem(member);
      return problem === undefined ? [] : [`${member.name}: ${problem}`];
    }),
  );
  return problems.flat();
}

async function untilFenced(members: readonly Member[], seconds: number): Promise<void> {
  const started = performance.now();
  let said = "";
  for (;;) {
    const left = (await standing(members)).join("; ");
    const elapsed = (performance.now() - started) / 1000;
    if (left === "") return;
    if (elapsed > seconds) {
      throw new Error(`not fenced after ${elapsed.toFixed(0)} s: ${left}. Run it again to go on`);
    }
    if (left !== said) process.stderr.write(`${left} (${elapsed.toFixed(0)} s)\n`);
    said = left;
    await sleep(1000);
  }
}

async function fence(): Promise<number> {
  const { values } = options(usage, {
    members: { type: "string" },
    confirm: { type: "string" },
    release: { type: "boolean", default: false },
    "timeout-seconds": { type: "string", default: "600" },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { confirm, release, "timeout-seconds": seconds } = values;
  if (!/^[1-9]\d{0,3}$/.test(seconds)) {
    throw new UsageError(`--timeout-seconds ${seconds} is not a number of seconds`);
  }
  if (confirm !== undefined && release) {
    throw new UsageError("--confirm takes machines away and --release gives them back: not both");
  }
  const stack = await readStack();
  const members = chosenMembers(stack, values.members);
  const names = members.map(({ name }) => name).join(", ");
  if (release) {
    await Promise.all(members.map((member) => setMachines(member, 1)));
    process.stdout.write(
      `${names}: their groups launch again; \`make status\` shows them come up\n`,
    );
    return 0;
  }
  const cluster = await clusterOf(members);
  if (confirm === undefined) {
    const left = await standing(members);
    process.stdout.write(left.length === 0 ? `${names}: fenced\n` : `${left.join("\n")}\n`);
    process.stdout.write(
      `\nnothing was changed; to take their machines away: --confirm ${cluster}\n`,
    );
    return 0;
  }
  if (confirm !== cluster) {
    throw new Error(`this is the cluster ${cluster}, not ${confirm}`);
  }
  await Promise.all(members.map((member) => setMachines(member, 0)));
  await untilFenced(members, Number(seconds));
  process.stdout.write(`${names}: fenced; --release gives them their machines back\n`);
  return 0;
}

if (import.meta.main) await main("fence", fence);
