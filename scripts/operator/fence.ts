import { AutoScalingClient, UpdateAutoScalingGroupCommand } from "@aws-sdk/client-auto-scaling";
import { clusterOf, fencingProblem } from "./lib/fencing.ts";
import { main, options, secondsOf, UsageError } from "./lib/main.ts";
import { memberNamed, readStack, type Member, type Stack } from "./lib/stack.ts";
import { untilDone, type Look } from "./lib/waiting.ts";

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
  const look = async (): Promise<Look<true>> => {
    const left = await standing(members);
    return left.length === 0 ? { done: true } : { still: left.join("; ") };
  };
  await untilDone(
    look,
    seconds,
    (still, elapsed) => `not fenced after ${elapsed}: ${still}. Run it again to go on`,
  );
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
  const { confirm, release } = values;
  const seconds = secondsOf(values["timeout-seconds"]);
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
  await untilFenced(members, seconds);
  process.stdout.write(`${names}: fenced; --release gives them their machines back\n`);
  return 0;
}

if (import.meta.main) await main("fence", fence);
