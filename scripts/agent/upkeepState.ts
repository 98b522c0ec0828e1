import { z } from "zod";

import { readIfThere, writeDurably } from "./files";
import { etcdCountersSchema } from "./metricsEtcd";
import { paths } from "./paths";

/**
 * What upkeep did last, under /run: for people, and so that the next run need not find out everything again. Nothing in it is needed for
 * safety, and it is gone after a reboot.
 */

const time = z.int().min(0);
const text = z.string().max(2000);

const schema = z.object({
  schema: z.literal(1),
  /** When the last run ended, milliseconds since 1970. */
  at: time,
  /** When this machine's first run looked around. */
  since: time.optional(),
  /** etcd's counts when CloudWatch was last told of them. */
  counters: etcdCountersSchema.optional(),
  /** What went wrong in it, by what was being done. */
  problems: z.record(z.string(), text),
  /** The newest backup of each member that was ever listed. */
  newestSeen: z.record(z.string(), z.string()),
  /** This member's backups up to this one are marked for expiry. */
  markedUpTo: z.string().optional(),
  /** The newest backup of all. */
  newest: z.object({ key: z.string(), takenAt: time }).optional(),
  /** The last drill, whoever held it. */
  drill: z.object({ at: time, ok: z.boolean(), by: z.string(), said: text }).optional(),
  /** The last thing that was done about the disk's budget here, if anything. */
  budget: z.object({ at: time, said: text }).optional(),
  defragmentedAt: z.record(z.string(), time),
  curedAt: time.optional(),
  /** What access control was last found to be right for: a hash of what is desired, and etcd's number for users and roles. */
  access: z.object({ desired: z.string(), revision: z.string() }).optional(),
});

/** What upkeep did last. */
export type UpkeepState = z.infer<typeof schema>;

/** The state before the first run, and in place of one that cannot be read. */
export const noState: UpkeepState = {
  schema: 1,
  at: 0,
  problems: {},
  newestSeen: {},
  defragmentedAt: {},
};

/** Reads it. */
export async function readUpkeepState(): Promise<UpkeepState> {
  try {
    const parsed = schema.safeParse(JSON.parse((await readIfThere(paths.upkeepState)) ?? "null"));
    return parsed.success ? parsed.data : noState;
  } catch {
    return noState;
  }
}

/** Writes it. */
export async function writeUpkeepState(state: UpkeepState): Promise<void> {
  await writeDurably(paths.upkeepState, `${JSON.stringify(state)}\n`, { mode: 0o644 });
}
