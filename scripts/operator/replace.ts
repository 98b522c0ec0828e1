import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options, UsageError } from "./lib/main.ts";
import { explain, remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack, type Member } from "./lib/stack.ts";
import { askAgent } from "./status.ts";
import { verdict } from "./verify.ts";

const usage = `replace.ts --member m2 [--timeout-seconds 900]
Gives a member another machine: if it is its turn (all others are well, no alarm, no learner), its machine hands leadership over, stops etcd,
lets go of the volume and ends itself; the group launches the next one, which is the same member with the same data. Ends when that is verified.`;

/** Time for a turn to be granted or refused, in seconds. */
const turnSeconds = 90;

/** What the agent prints of a machine that goes. */
const leavesSchema = z.object({
  leaves: z.object({ instanceId: z.string().regex(/^i-[0-9a-f]+$/), because: z.string() }),
});

/** Asks the member's machine to let another one take its place; returns its id. */
async function askToGo(way: Way, { name }: Member): Promise<string> {
  const argv = [agentProgram, "replace", "--timeout-seconds", String(turnSeconds)];
  const outcome = await way.run(name, remoteCommand(argv, { root: true }), turnSeconds + 30);
  if (outcome.code !== 0 || outcome.timedOut) throw new Error(`${name}: ${explain(outcome)}`);
  try {
    return leavesSchema.parse(JSON.parse(outcome.stdout)).leaves.instanceId;
  } catch {
    throw new Error(`the agent printed what cannot be read: ${outcome.stdout.slice(0, 200)}`);
  }
}

/** What another machine says of the member, or why there is none yet. */
async function look(way: Way, member: Member, old: string): Promise<{ machine: string } | string> {
  const row = await askAgent(way, member);
  if (row.instanceId === null || row.instanceId === old) return `no other machine answers yet`;
  const command = remoteCommand([agentProgram, "verify", "--timeout-seconds", "20"], {
    root: true,
  });
  const result = verdict(member.name, await way.run(member.name, command, 40));
  return "failure" in result ? result.failure : { machine: row.instanceId };
}

async function replace(): Promise<number> {
  const { values } = options(usage, {
    member: { type: "string" },
    "timeout-seconds": { type: "string", default: "900" },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const limit = values["timeout-seconds"];
  if (!/^[1-9]\d{0,4}$/.test(limit)) {
    throw new UsageError(`--timeout-seconds ${limit} is not a number of seconds`);
  }
  if (values.member === undefined) throw new UsageError(`--member is missing\nusage: ${usage}`);
  const stack = await readStack();
  const member = memberNamed(stack, values.member);
  const way = new Way(stack);
  const started = performance.now();
  const elapsed = (): string => `${((performance.now() - started) / 1000).toFixed(0)} s`;
  const old = await askToGo(way, member);
  process.stderr.write(`${member.name}: ${old} hands over and ends (${elapsed()})\n`);
  let said = "";
  for (;;) {
    const now = await look(way, member, old);
    if (typeof now !== "string") {
      process.stdout.write(`${member.name}: verified on ${now.machine} after ${elapsed()}\n`);
      return 0;
    }
    if (now !== said) process.stderr.write(`${member.name}: ${now} (${elapsed()})\n`);
    said = now;
    if (performance.now() - started > Number(limit) * 1000) {
      throw new Error(
        `${member.name}: not verified after ${elapsed()}: ${now}. See the activities of its group (${member.groupName}), and make logs MEMBER=${member.name}`,
      );
    }
    await sleep(2000);
  }
}

if (import.meta.main) await main("replace", replace);
