import { z } from "zod";

import { rankSchema } from "./rank";

/**
 * What members say about themselves through the bucket: reports while a quorum is missing, attestations in a roll call. Both belong
 * to one epoch and mean nothing in another; wall clocks are never compared.
 */

const name = z.string().regex(/^m[1-9][0-9]?$/);
const volumeId = z.string().regex(/^vol-[0-9a-f]{8,17}$/);
const memberId = z.string().regex(/^[0-9a-f]{1,16}$/);
const epoch = z.int().min(1);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const ids = z.array(memberId).max(64);

/** Schema of what one copy of the data holds, read from its log while etcd does not run. */
export const holdingSchema = rankSchema.extend({
  /** Id under which this copy takes part. */
  id: memberId.optional(),
  /** Commit index, as far as it is durable. */
  commit: z.int().min(0).optional(),
  /** Voters by the log up to its commit index, and up to its last entry. Empty when they cannot be read. */
  votersAtCommit: ids,
  votersAtLast: ids,
  /** By its own log up to the commit index, this copy's id takes no part any more: etcd does not run on it. */
  removed: z.boolean().optional(),
  /** Why the copy cannot be trusted as it is; absent when it is intact. */
  damage: z.string().max(500).optional(),
  /** Name of the folder, for data that was set aside; absent for the data that would be started. */
  setAside: z
    .string()
    .regex(/^set-aside-[0-9A-Za-z.-]{1,80}$/)
    .optional(),
});

/** What one copy of the data holds. */
export type Holding = z.infer<typeof holdingSchema>;

const common = {
  schema: z.literal(1),
  clusterUid: z.uuid(),
  member: name,
  epoch,
  /** The machine and the volume for which this is said. */
  instanceId: z.string().max(32),
  volumeId,
  /** The record's source, which this member fetched and found to be something else than the record says. */
  unreadable: sha256.optional(),
};

/** Schema of a report. */
export const reportSchema = z.strictObject({
  ...common,
  /** `data`: etcd runs and sees no quorum. `damaged`, `blank`: it cannot run. `withdrawn`: all is well again. */
  holds: z.enum(["data", "damaged", "blank", "withdrawn"]),
  /** Commit index of the etcd that runs and has no quorum. */
  commit: z.int().min(0).optional(),
  /** How far the log was on this volume, under which of etcd's ids: whatever bears this id there and is shorter is an older copy. */
  reached: z.strictObject({ id: memberId, index: z.int().min(0) }).optional(),
});

/** What a member says about itself while the roll is not called; replaced as things change. */
export type Report = z.infer<typeof reportSchema>;

/** Schema of an attestation. */
export const attestationSchema = z.strictObject({
  ...common,
  /** The data that would be started, or undefined for a blank volume. */
  data: holdingSchema.optional(),
  /** What was set aside on the same volume: never started again, but it counts when a source is looked for. */
  setAside: z.array(holdingSchema).max(64),
});

/** What a held member swears to in one epoch; created once, never replaced. */
export type Attestation = z.infer<typeof attestationSchema>;

/** Whether an attested copy can go on as it is in a generation. */
export function isIntact(
  holding: Holding | undefined,
  generation: number,
): holding is Holding & { readonly id: string } {
  return (
    holding?.generation === generation && holding.damage === undefined && holding.id !== undefined
  );
}
