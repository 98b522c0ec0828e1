import { z } from "zod";
import { agentProgram } from "./lib/machine.ts";
import { main, options } from "./lib/main.ts";
import { explain, remoteCommand, Way, type RemoteOutcome } from "./lib/ssh.ts";
import { readStack, type Member } from "./lib/stack.ts";
import { bytes, table } from "./lib/table.ts";

const usage = `status.ts [--json]
The members, one row each: where they are, what etcd says there, and what a machine waits for that is not a member yet.`;

const waitSchema = z.looseObject({
  name: z.string().optional(),
  why: z.string().optional(),
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
  agent: z.union([z.string(), waitSchema]).nullish(),
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
  /** What the agent last said it does or waits for. */
  readonly agent: Facts["agent"] | null;
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

/** The table for people. */
export function statusTable(rows: readonly MemberRow[]): string {
  const header = [
    "MEMBER",
    "ZONE",
    "ADDRESS",
    "MACHINE",
    "ROLE",
    "VERSION",
    "SIZE",
    "REVISION",
    "HEALTH",
  ];
  const cells = rows.map((row) => [
    ...[
      row.name,
      row.zone,
      row.address,
      row.instanceId ?? "-",
      row.role ?? "-",
      row.version ?? "-",
    ],
    ...[row.dbSizeBytes === null ? "-" : bytes(row.dbSizeBytes), String(row.revision ?? "-")],
    row.health,
  ]);
  return table(header, cells);
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
  const command = remoteCommand([agentProgram, "status"], { root: true });
  const members = await Promise.all(
    stack.members.map(async (member) => rowOf(member, await way.run(member.name, command, 30))),
  );
  process.stdout.write(
    values.json ? `${JSON.stringify({ members }, null, 2)}\n` : `${statusTable(members)}\n`,
  );
  return 0;
}

if (import.meta.main) await main("status", status);
