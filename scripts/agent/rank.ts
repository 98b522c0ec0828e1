import { z } from "zod";

/**
 * How new a copy of the data is: raft's own up-to-date rule, with the generation before it. A revision would not do: an isolated old
 * leader's tail may have a higher revision than newer, acknowledged writes.
 */

const count = z.int().min(0);

/** Schema of a rank. */
export const rankSchema = z.strictObject({
  /** Generation of the data's own marker. */
  generation: z.int().min(1),
  /** Term and index of the last entry that the copy holds. */
  term: count,
  index: count,
});

/** How new a copy is. */
export type Rank = z.infer<typeof rankSchema>;

/** Negative when `a` is older than `b`, 0 when both hold the same log. */
export function compareRanks(a: Rank, b: Rank): number {
  return a.generation - b.generation || a.term - b.term || a.index - b.index;
}
