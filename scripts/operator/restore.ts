import { z } from "zod";
import { fencingProblem } from "./lib/fencing.ts";
import { agentProgram } from "./lib/machine.ts";
import { main, options, secondsOf } from "./lib/main.ts";
import { explain, remoteCommand, Way } from "./lib/ssh.ts";
import { memberNamed, readStack, type Stack } from "./lib/stack.ts";
import { table } from "./lib/table.ts";

const usage = `restore.ts [--copy NAME] [--fenced m2,m3] [--timeout-seconds 120] [--confirm CLUSTER]
Begins the cluster's next generation from a copy of its data: the newest that there is, or the one named. Without --confirm
and the cluster's name it changes nothing and prints what there is and what each member has sworn to hold.
Everybody in the roster must have stopped and sworn, or be fenced: --fenced names those that cannot answer, and this script makes
sure that their group is at zero, their machine terminated and their volume detached.`;

const rankSchema = z.object({ generation: z.number(), term: z.number(), index: z.number() });

const holdingSchema = rankSchema.extend({ damage: z.string().optional() });

const answerSchema = z.object({
  cluster: z.string(),
  generation: z.number(),
  phase: z.string(),
  epoch: z.number(),
  attested: z.array(
    z.object({
      member: z.string(),
      data: holdingSchema.optional(),
      setAside: z.array(holdingSchema),
    }),
  ),
  unaccounted: z.array(z.string()),
  candidates: z.array(
    z.object({
      name: z.string(),
      rank: rankSchema,
      holder: z.string().optional(),
      damage: z.string().optional(),
    }),
  ),
  chosen: z.object({ name: z.string(), holder: z.string().optional() }).optional(),
  begun: z.number().optional(),
});

/** What the agent answered. */
export type Answer = z.infer<typeof answerSchema>;

/** The answer for people. */
export function describe(answer: Answer): string {
  const { cluster, generation, phase, epoch, attested, unaccounted, candidates, chosen } = answer;
  const lines = [`cluster ${cluster}, generation ${generation}, ${phase}, epoch ${epoch}`, ""];
  if (attested.length > 0) {
    const rows = attested.map(({ member, data, setAside }) => [
      member,
      data === undefined ? "blank" : `${data.term}/${data.index}`,
      data?.damage ?? (data === undefined ? "-" : "intact"),
      String(setAside.length),
    ]);
    lines.push(table(["MEMBER", "TERM/INDEX", "DATA", "SET ASIDE"], rows), "");
  }
  if (candidates.length === 0) lines.push("there is no copy of the data");
  else {
    const rows = candidates.map(({ name, rank, damage }) => [
      name === chosen?.name ? "->" : "",
      ...[String(rank.generation), String(rank.term), String(rank.index)],
      ...[name, damage ?? ""],
    ]);
    lines.push(table(["", "GENERATION", "TERM", "INDEX", "COPY", "DAMAGE"], rows));
  }
  if (unaccounted.length > 0) {
    const who = unaccounted.join(", ");
    lines.push(
      "",
      `${who}: ${phase === "open" ? "will be asked" : "not sworn yet"}, or must be fenced`,
    );
  }
  return lines.join("\n");
}

/** Asks the agent on a member; its progress goes to this terminal. */
async function ask(
  way: Way,
  host: string,
  args: readonly string[],
  timeoutSeconds: number,
): Promise<Answer> {
  const command = remoteCommand([agentProgram, "restore", ...args], { root: true });
  const outcome = await way.run(host, command, timeoutSeconds);
  if (outcome.code !== 0) throw new Error(`${host}: ${explain(outcome)}`);
  if (outcome.stderr !== "") process.stderr.write(`${outcome.stderr}\n`);
  return answerSchema.parse(JSON.parse(outcome.stdout));
}

async function fencedMembers(stack: Stack, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const problem = await fencingProblem(memberNamed(stack, name));
    if (problem !== undefined) throw new Error(`${name} is not fenced: ${problem}`);
  }
}

async function restore(): Promise<number> {
  const { values } = options(usage, {
    copy: { type: "string" },
    fenced: { type: "string" },
    confirm: { type: "string" },
    "timeout-seconds": { type: "string", default: "120" },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const { copy, fenced, confirm } = values;
  const seconds = secondsOf(values["timeout-seconds"]);
  const stack = await readStack();
  const off = fenced?.split(",") ?? [];
  await fencedMembers(stack, off);
  const way = new Way(stack);
  const host = await way.reachable(
    stack.members.map(({ name }) => name).filter((name) => !off.includes(name)),
  );
  const common = [
    ...(copy === undefined ? [] : ["--copy", copy]),
    ...(fenced === undefined ? [] : ["--fenced", fenced]),
  ];
  const before = await ask(way, host, common, 60);
  process.stdout.write(`${describe(before)}\n`);
  if (confirm === undefined) {
    process.stdout.write(`\nnothing was changed; to begin: --confirm ${before.cluster}\n`);
    return 0;
  }
  // Whoever holds the chosen copy alone can hand it over.
  const holder = before.chosen?.holder ?? host;
  const wish = [...common, "--confirm", confirm, "--timeout-seconds", String(seconds)];
  const after = await ask(way, holder, wish, seconds + 1800);
  process.stdout.write(
    `\n${describe(after)}\n\ngeneration ${String(after.begun)} begins; \`make status\` shows it come up\n`,
  );
  return 0;
}

if (import.meta.main) await main("restore", restore);
