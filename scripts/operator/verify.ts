import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options, secondsOf } from "./lib/main.ts";
import { explain, remoteCommand, sshFailed, Way, type RemoteOutcome } from "./lib/ssh.ts";
import { readStack } from "./lib/stack.ts";
import { bytes, table } from "./lib/table.ts";

const usage = `verify.ts [--timeout-seconds 20]
Runs every member's own verify at the same time: member list, one cluster, one leader, no learner, no alarm, a linearizable
read and a write, raft progress, equal data. Fails if any of them fails, and says which and why.`;

/** Beyond the agent's own time: connections, its start, and calls that end at its deadline. */
const graceSeconds = 20;

const verifiedSchema = z.object({
  name: z.string(),
  id: z.string(),
  clusterId: z.string(),
  role: z.string(),
  version: z.string(),
  revision: z.number(),
  dbSizeBytes: z.number(),
});

/** What one member's verify came to. */
export type Verdict =
  | { readonly member: string; readonly verified: z.infer<typeof verifiedSchema> }
  | { readonly member: string; readonly failure: string };

/** Reads what a member's verify printed. */
export function verdict(member: string, outcome: RemoteOutcome): Verdict {
  if (outcome.timedOut) return { member, failure: "verify did not answer in time" };
  if (outcome.code === sshFailed) {
    return { member, failure: `cannot be reached by SSH: ${explain(outcome)}` };
  }
  if (outcome.code !== 0) return { member, failure: explain(outcome) };
  try {
    return { member, verified: verifiedSchema.parse(JSON.parse(outcome.stdout)) };
  } catch {
    return {
      member,
      failure: `verify printed what cannot be read: ${outcome.stdout.slice(0, 200)}`,
    };
  }
}

/** Runs a member's verify, which waits for its member by itself; a machine that does not let us in yet is waited for here. */
export async function askToVerify(way: Way, member: string, seconds: number): Promise<Verdict> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const left = Math.max(1, Math.ceil((end - performance.now()) / 1000));
    const argv = [agentProgram, "verify", "--timeout-seconds", String(left)];
    const command = remoteCommand(argv, { root: true });
    const outcome = await way.run(member, command, left + graceSeconds);
    if (outcome.code !== sshFailed || performance.now() >= end) return verdict(member, outcome);
    await sleep(1000);
  }
}

/** What only all verdicts together show. */
export function disagreement(verdicts: readonly Verdict[]): string | undefined {
  const ids = new Set(
    verdicts.flatMap((each) => ("verified" in each ? [each.verified.clusterId] : [])),
  );
  return ids.size > 1 ? `members are in different clusters: ${[...ids].join(", ")}` : undefined;
}

async function verify(): Promise<number> {
  const { values } = options(usage, {
    "timeout-seconds": { type: "string", default: "20" },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const seconds = secondsOf(values["timeout-seconds"]);
  const stack = await readStack();
  const way = new Way(stack);
  const verdicts = await Promise.all(
    stack.members.map(({ name }) => askToVerify(way, name, seconds)),
  );
  const good = verdicts.flatMap((each) => ("verified" in each ? [each.verified] : []));
  if (good.length > 0) {
    const rows = good.map((each) => [
      ...[each.name, each.role, each.id, each.version],
      ...[String(each.revision), bytes(each.dbSizeBytes)],
    ]);
    process.stdout.write(
      `${table(["MEMBER", "ROLE", "ID", "VERSION", "REVISION", "SIZE"], rows)}\n`,
    );
  }
  for (const each of verdicts) {
    if ("failure" in each)
      process.stderr.write(`verify on ${each.member} failed: ${each.failure}\n`);
  }
  const split = disagreement(verdicts);
  if (split !== undefined) process.stderr.write(`verify failed: ${split}\n`);
  const healthy = good.length === stack.members.length && split === undefined;
  if (healthy) process.stdout.write(`all ${good.length} members verified\n`);
  return healthy ? 0 : 1;
}

if (import.meta.main) await main("verify", verify);
