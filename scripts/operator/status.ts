import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options } from "./lib/main.ts";
import { explain, remoteCommand, Way, type RemoteOutcome } from "./lib/ssh.ts";
import { readStack, type Member } from "./lib/stack.ts";
import { ago, bytes, table } from "./lib/table.ts";

const usage = `status.ts [--json]
The members, one row each: where they are, what etcd says there, and what a machine waits for that is not a member yet.`;

/** What the agent last said it is doing. */
const agentSchema = z.looseObject({
  state: z.string(),
  wait: z.string().optional(),
  reason: z.string().optional(),
});

/** What upkeep did last there. */
const upkeepSchema = z.looseObject({
  at: z.number(),
  problems: z.record(z.string(), z.string()),
  newest: z.looseObject({ key: z.string(), takenAt: z.number() }).optional(),
  drill: z
    .looseObject({ at: z.number(), ok: z.boolean(), by: z.string(), said: z.string() })
    .optional(),
  budget: z.looseObject({ at: z.number(), said: z.string() }).optional(),
});

/** What a machine's agent says of itself, as far as it can. */
const factsSchema = z.looseObject({
  name: z.string(),
  instanceId: z.string().optional(),
  memberId: z.string().optional(),
  clusterId: z.string().optional(),
  role: z.string().optional(),
  version: z.string().optional(),
  revision: z.number().optional(),
  dbSizeBytes: z.number().optional(),
  health: z.string().optional(),
  service: z.string().optional(),
  agent: agentSchema.optional(),
  upkeep: upkeepSchema.optional(),
});

type Facts = z.infer<typeof factsSchema>;

/** One member's row. What is not known is null. */
export interface MemberRow {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  readonly instanceId: string | null;
  readonly volumeId: string;
  readonly memberId: string | null;
  readonly clusterId: string | null;
  /** `leader`, `follower`, `learner`, or null. */
  readonly role: string | null;
  readonly version: string | null;
  readonly revision: number | null;
  readonly dbSizeBytes: number | null;
  /** `healthy`, or why not. */
  readonly health: string;
  /** What the agent last said it is doing, with the name of what it waits for. */
  readonly agent: z.infer<typeof agentSchema> | null;
  /** What upkeep did last: the newest backup, the last drill, what went wrong. */
  readonly upkeep: z.infer<typeof upkeepSchema> | null;
}

/** Puts together what the stack knows of a member and what its machine said. */
export function rowOf(member: Member, outcome: RemoteOutcome): MemberRow {
  const facts = read(outcome);
  const known: Partial<Facts> = typeof facts === "string" ? {} : facts;
  return {
    name: member.name,
    zone: member.zone,
    address: member.address,
    instanceId: known.instanceId ?? null,
    volumeId: member.volumeId,
    memberId: known.memberId ?? null,
    clusterId: known.clusterId ?? null,
    role: known.role ?? null,
    version: known.version ?? null,
    revision: known.revision ?? null,
    dbSizeBytes: known.dbSizeBytes ?? null,
    health: typeof facts === "string" ? facts : (facts.health ?? "unknown"),
    agent: known.agent ?? null,
    upkeep: known.upkeep ?? null,
  };
}

/** The machine's facts, or why there are none. */
function read(outcome: RemoteOutcome): Facts | string {
  if (outcome.code !== 0 || outcome.timedOut) return `unreachable: ${explain(outcome)}`;
  try {
    return factsSchema.parse(JSON.parse(outcome.stdout));
  } catch {
    return "the agent printed what cannot be read";
  }
}

/** The newest of what members know: each has looked at another time. */
function newestOf<T>(values: readonly (T | undefined)[], timeOf: (value: T) => number): T[] {
  const known = values.filter((value) => value !== undefined);
  return known.sort((a, b) => timeOf(b) - timeOf(a)).slice(0, 1);
}

function upkeepLines(rows: readonly MemberRow[], now: number): string[] {
  const all = rows.map(({ upkeep }) => upkeep ?? undefined);
  const backup = newestOf(
    all.map((each) => each?.newest),
    ({ takenAt }) => takenAt,
  );
  const drill = newestOf(
    all.map((each) => each?.drill),
    ({ at }) => at,
  );
  return [
    ...backup.map(({ key, takenAt }) => `last backup ${ago(takenAt, now)}: ${key}`),
    ...drill.map(
      ({ at, ok, said }) => `last restore drill ${ago(at, now)}: ${ok ? "" : "NOT WELL: "}${said}`,
    ),
    ...rows.flatMap(({ name, upkeep }) => [
      ...(upkeep?.budget === undefined
        ? []
        : [`${name}, ${ago(upkeep.budget.at, now)}: ${upkeep.budget.said}`]),
      ...Object.entries(upkeep?.problems ?? {}).map(
        ([part, reason]) => `${name}: ${part} fails: ${reason}`,
      ),
    ]),
  ];
}

/**
 * The table for people; below it what each machine waits for that has no member running, the last backup and the last restore drill, and
 * what goes wrong with them.
 */
export function statusTable(rows: readonly MemberRow[], now = Date.now()): string {
  const header = ["MEMBER", "ZONE", "ADDRESS", "MACHINE", "ROLE", "VERSION", "SIZE", "REVISION"];
  const cells = rows.map((row) => [
    ...[row.name, row.zone, row.address, row.instanceId ?? "-", row.role ?? "-"],
    ...[row.version ?? "-", row.dbSizeBytes === null ? "-" : bytes(row.dbSizeBytes)],
    ...[String(row.revision ?? "-"), row.health],
  ]);
  const waits = rows.flatMap(({ name, agent }) => {
    if (agent === null || agent.state === "running") return [];
    const wait = agent.wait === undefined ? "" : ` (${agent.wait})`;
    return [
      `${name} is ${agent.state}${wait}${agent.reason === undefined ? "" : `: ${agent.reason}`}`,
    ];
  });
  const lines = [...waits, ...upkeepLines(rows, now)];
  return [table([...header, "HEALTH"], cells), ...lines].join("\n");
}

/** Id of the machine that a member's group has now, for a machine that does not answer; null when AWS cannot be asked. */
async function machineOf(groupName: string): Promise<string | null> {
  try {
    const sdk = await import("@aws-sdk/client-auto-scaling");
    const { AutoScalingGroups } = await new sdk.AutoScalingClient({ maxAttempts: 1 }).send(
      new sdk.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] }),
      { abortSignal: AbortSignal.timeout(5000) },
    );
    return AutoScalingGroups?.[0]?.Instances?.[0]?.InstanceId ?? null;
  } catch {
    return null;
  }
}

/** Asks one member's agent what its member is. */
export async function askAgent(way: Way, member: Member): Promise<MemberRow> {
  const command = remoteCommand([agentProgram, "status"], { root: true });
  return rowOf(member, await way.run(member.name, command, 30));
}

/** Asks one member's machine, or EC2 where it does not say which one it is. */
async function ask(way: Way, member: Member): Promise<MemberRow> {
  const row = await askAgent(way, member);
  return row.instanceId === null ? { ...row, instanceId: await machineOf(member.groupName) } : row;
}

async function status(): Promise<number> {
  const { values } = options(usage, {
    json: { type: "boolean", default: false },
    help: { type: "boolean" },
  } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const stack = await readStack();
  const way = new Way(stack);
  const members = await Promise.all(stack.members.map((member) => ask(way, member)));
  process.stdout.write(
    values.json ? `${JSON.stringify({ members }, null, 2)}\n` : `${statusTable(members)}\n`,
  );
  return 0;
}

if (import.meta.main) await main("status", status);
