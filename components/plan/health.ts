import { z } from "zod";

/** What `verify` prints: one line about one member, proven from its own endpoint. */
const verifySchema = z.object({
  /** Member's name. */
  name: z.string(),
  /** etcd's id of the member, hexadecimal. */
  id: z.string(),
  /** etcd's id of the cluster, hexadecimal; the same for all members. */
  clusterId: z.string(),
  /** `leader` or `follower`. */
  role: z.enum(["leader", "follower"]),
  /** Version of etcd that answered. */
  version: z.string(),
  /** Key-value store's revision. */
  revision: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]),
  /** Size of the database file, bytes. */
  dbSizeBytes: z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]),
  /** When, RFC 3339. */
  checkedAt: z.string(),
});

/** The health of one member when it was last verified. */
export type MemberHealth = z.infer<typeof verifySchema>;

/** Reads `verify`'s output. Anything else than one good line about the right member is an error that shows the output. */
export function parseHealth(member: string, stdout: string): MemberHealth {
  try {
    const health = verifySchema.parse(JSON.parse(stdout));
    if (health.name !== member) {
      throw new Error(`the answer is about ${health.name}`);
    }
    return health;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `verify of ${member} printed what cannot be read (${reason}): ${stdout.slice(0, 500)}`,
    );
  }
}
