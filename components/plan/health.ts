import { z } from "zod";

/** Whether a member leads. */
export const MemberRole = {
  leader: "leader",
  follower: "follower",
} as const;
/** Whether a member leads. */
export type MemberRole = (typeof MemberRole)[keyof typeof MemberRole];

/** The health of one member when it was last verified, proven from its own endpoint. */
export interface MemberHealth {
  /** Name of the member. */
  name: string;
  /** etcd's id of the member, hexadecimal. */
  id: string;
  /** etcd's id of the cluster, hexadecimal; the same for all members. */
  clusterId: string;
  /** `leader` or `follower`. */
  role: MemberRole;
  /** Version of etcd that answered. */
  version: string;
  /** Revision of the key-value store. */
  revision: number;
  /** Size of the database file in bytes. */
  dbSizeBytes: number;
  /** When it was verified, RFC 3339. */
  checkedAt: string;
}

const count = z.union([z.number(), z.string().regex(/^\d+$/).transform(Number)]);

/** What `verify` prints: one line about one member. */
const verifySchema: z.ZodType<MemberHealth> = z.object({
  name: z.string(),
  id: z.string(),
  clusterId: z.string(),
  role: z.enum(MemberRole),
  version: z.string(),
  revision: count,
  dbSizeBytes: count,
  checkedAt: z.string(),
});

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
