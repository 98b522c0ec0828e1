import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options } from "./lib/main.ts";
import { explain, remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack, type Stack } from "./lib/stack.ts";
import { askAgent } from "./status.ts";

const usage = `backup.ts [--member m1] [--reason asked] [--json]
Takes a backup now, on the leader unless a member is named, and prints its key. It is proven before and after it is sent.`;

/** Seconds for the largest database; the agent's own limit is below this. */
const timeoutSeconds = 1900;

const rank = z.object({ generation: z.int(), term: z.int(), index: z.int() });

/** What the agent prints. */
const backupSchema = z.object({
  key: z.string().regex(/^backups\/m[1-9][0-9]?\/[0-9a-zA-Z.-]+$/),
  member: z.string(),
  rank,
  revision: z.int(),
  takenAt: z.int(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** A backup that was taken. */
export type TakenBackup = z.infer<typeof backupSchema>;

/** Reads the agent's answer. */
export function readBackup(stdout: string): TakenBackup {
  try {
    return backupSchema.parse(JSON.parse(stdout));
  } catch {
    throw new Error(`the agent printed what cannot be read: ${stdout.slice(0, 200)}`);
  }
}

/** The leader, by what the members say of themselves. */
async function leaderOf(way: Way, stack: Stack): Promise<string> {
  const rows = await Promise.all(stack.members.map((member) => askAgent(way, member)));
  const leader = rows.find(({ role }) => role === "leader");
  if (leader === undefined) {
    const said = rows.map(({ name, health }) => `${name}: ${health}`);
    throw new Error(`no member leads\n  ${said.join("\n  ")}`);
  }
  return leader.name;
}

async function backup(): Promise<number> {
  const { values } = options(usage, {
    member: { type: "string" },
    reason: { type: "string", default: "asked" },
    json: { type: "boolean", default: false },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const stack = await readStack();
  const way = new Way(stack);
  const member =
    values.member === undefined
      ? await leaderOf(way, stack)
      : memberNamed(stack, values.member).name;
  const command = [agentProgram, "backup", "--reason", values.reason];
  const outcome = await way.run(member, remoteCommand(command, { root: true }), timeoutSeconds);
  if (outcome.code !== 0 || outcome.timedOut) {
    throw new Error(`${member}: ${explain(outcome)}`);
  }
  const taken = readBackup(outcome.stdout);
  process.stdout.write(values.json ? `${JSON.stringify(taken)}\n` : `${taken.key}\n`);
  return 0;
}

if (import.meta.main) await main("backup", backup);
