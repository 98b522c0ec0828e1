import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options, secondsOf, UsageError } from "./lib/main.ts";
import { explain, remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack, type Member } from "./lib/stack.ts";
import { untilDone, type Look } from "./lib/waiting.ts";
import { askAgent } from "./status.ts";
import { askToVerify } from "./verify.ts";

const usage = `replace.ts --member m2 [--timeout-seconds 900]
Gives a member another machine: if it is its turn (all others are well, no alarm, no learner), its machine hands leadership over, stops etcd,
lets go of the volume and ends itself; the group launches the next one, which is the same member with the same data. Ends when that is verified.`;

/** Time for a turn to be granted or refused, in seconds. */
const turnSeconds = 90;

/** Time for one verification, in seconds; it is repeated. */
const verifySeconds = 20;

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
async function look(way: Way, member: Member, old: string): Promise<Look<string>> {
  const { name } = member;
  const { instanceId } = await askAgent(way, member);
  if (instanceId === null || instanceId === old) {
    return { still: `${name}: no other machine answers yet` };
  }
  const result = await askToVerify(way, name, verifySeconds);
  return "failure" in result ? { still: `${name}: ${result.failure}` } : { done: instanceId };
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
  const seconds = secondsOf(values["timeout-seconds"]);
  if (values.member === undefined) throw new UsageError(`--member is missing\nusage: ${usage}`);
  const stack = await readStack();
  const member = memberNamed(stack, values.member);
  const { name, groupName } = member;
  const way = new Way(stack);
  const old = await askToGo(way, member);
  process.stderr.write(`${name}: ${old} hands over and ends\n`);
  const { done, elapsed } = await untilDone(
    () => look(way, member, old),
    seconds,
    (still, past) =>
      `not verified after ${past}: ${still}. See the activities of its group (${groupName}), and make logs MEMBER=${name}`,
  );
  process.stdout.write(`${name}: verified on ${done} after ${elapsed}\n`);
  return 0;
}

if (import.meta.main) await main("replace", replace);
