import { z } from "zod";

import type { Backup } from "./backupKey";
import type { BackupMetadata } from "./backupStore";
import type { Restored } from "./drillEtcd";
import type { KeyHash } from "./etcd";

/** What a restore drill finds, whom it falls to, and when: decisions only. */

/** Key in etcd under which the last result is kept, for all members. */
export const drillKey = "etcd-cluster/drill";

const milliseconds = z.int().min(0);

const resultSchema = z.strictObject({
  schema: z.literal(1),
  /** When it ended, in milliseconds since 1970, and how long it took. */
  at: milliseconds,
  seconds: z.int().min(0),
  by: z.string().max(8),
  /** Generation of the cluster that tried it. */
  generation: z.int().min(1),
  /** The newest backup there was, and the one that was restored and found right; the same when all is well. */
  newest: z.string().max(200),
  proven: z.string().max(200).optional(),
  /** What it was compared with: the live cluster, or what was recorded when it was taken, or no more than its revision. */
  against: z.enum(["live", "recorded", "revision"]).optional(),
  /** Since when some backup is known to be good. */
  provenAt: milliseconds.optional(),
  corrupt: z
    .array(z.strictObject({ key: z.string().max(200), reason: z.string().max(500) }))
    .max(8),
});

/** The result of a drill. */
export type DrillResult = z.infer<typeof resultSchema>;

/** Reads a kept result; anything that is not one counts as none. */
export function parseDrillResult(text: string | undefined): DrillResult | undefined {
  try {
    return resultSchema.parse(JSON.parse(text ?? "null"));
  } catch {
    return undefined;
  }
}

/** Whether the newest backup itself was found right. */
export function drillOk({ newest, proven }: DrillResult): boolean {
  return newest === proven;
}

/** Keys and hash at the backup's revision. */
export type Expectation = KeyHash & { readonly keys: number };

/** What was recorded with the backup, if it can be compared with. */
export function recordedExpectation(metadata: BackupMetadata | undefined): Expectation | undefined {
  const { keys, hash, "compact-revision": compactRevision } = metadata ?? {};
  return keys === undefined || hash === undefined || compactRevision === undefined
    ? undefined
    : { keys, hash, compactRevision };
}

/**
 * Compares what was restored with what the live cluster says now, or said when the backup was taken. A hash of keys covers the history
 * since the last compaction, so that only two with the same compaction can be compared; the first of the expectations that can, decides.
 */
export function compareRestored(
  restored: Restored,
  expectations: readonly (readonly ["live" | "recorded", Expectation | undefined])[],
): { readonly against: "live" | "recorded" | "revision"; readonly problem?: string } {
  for (const [against, expected] of expectations) {
    if (expected?.compactRevision === restored.compactRevision) {
      const problems = [
        ...(expected.keys === restored.keys
          ? []
          : [`it has ${restored.keys} keys instead of ${expected.keys}`]),
        ...(expected.hash === restored.hash
          ? []
          : [`its keys have the hash ${restored.hash} instead of ${expected.hash}`]),
      ];
      return problems.length === 0
        ? { against }
        : { against, problem: `restored, ${problems.join(", and ")}` };
    }
  }
  return { against: "revision" };
}

/** A member as the choice sees it. */
export interface DrillCandidate {
  readonly name: string;
  readonly isLeader: boolean;
  readonly isLearner: boolean;
  readonly healthy: boolean;
}

/** Which member does the drill: the last follower by name that is well; the leader only when it is alone. */
export function drillMemberOf(members: readonly DrillCandidate[]): string | undefined {
  const number = ({ name }: DrillCandidate): number => Number(name.slice(1));
  const able = members
    .filter(({ healthy, isLearner }) => healthy && !isLearner)
    .sort((a, b) => number(b) - number(a));
  const follower = able.find(({ isLeader }) => !isLeader);
  return (follower ?? (members.length === 1 ? able[0] : undefined))?.name;
}

/** What decides whether a drill is due here. */
export interface DrillSituation {
  readonly self: string;
  readonly members: readonly DrillCandidate[];
  readonly generation: number | undefined;
  readonly newest: Backup | undefined;
  readonly last: DrillResult | undefined;
  readonly everyHours: number;
  readonly now: number;
}

const hourMs = 3_600_000;

/** Whether this member is to hold a drill now. */
export function drillDue(situation: DrillSituation): boolean {
  const { self, members, generation, newest, last, everyHours, now } = situation;
  if (generation === undefined || newest === undefined || drillMemberOf(members) !== self) {
    return false;
  }
  if (last === undefined || last.generation !== generation) {
    // A generation is proven by a backup of its own.
    return newest.rank.generation === generation;
  }
  const age = now - last.at;
  if (age < 0 || age >= everyHours * hourMs) {
    return true;
  }
  // After a bad one, the next one is looked at soon.
  return !drillOk(last) && newest.key !== last.newest && age >= Math.min(1, everyHours) * hourMs;
}
