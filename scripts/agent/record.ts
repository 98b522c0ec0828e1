import { randomUUID } from "node:crypto";

import { z } from "zod";

import { canonicalJson } from "../../components/plan/canonicalJson";
import type { MemberConfig } from "../../components/plan/memberConfig";
import { storage } from "../../components/plan/storage";
import { rankSchema } from "./rank";
import { reasonOf } from "./say";
import { firstRecord, withJoined } from "./transitions";

/**
 * The cluster record: one object in the bucket that decides which generation lives and who belongs to it. It is changed only by
 * conditional put, so that of two agents with different opinions one loses and reads again.
 */

const name = z.string().regex(/^m[1-9][0-9]?$/);

const rosterEntry = z.strictObject({
  name,
  address: z.ipv4(),
  volumeId: z.string().regex(/^vol-[0-9a-f]{8,17}$/),
  /** Set before a member is removed. */
  leaving: z.boolean().optional(),
  /** Whether the member itself has put this volume to use: then it is never formatted again. */
  used: z.boolean().optional(),
});

/** Data from which a generation began, kept under `control/sources/`. */
const namedSource = z.strictObject({
  key: z.string().regex(/^control\/sources\/[0-9a-f]{64}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** What it held of the generation that it was taken from. */
  rank: rankSchema,
});

/** Data from which a generation began. */
export type NamedSource = z.infer<typeof namedSource>;

/** Schema of the record. Unknown fields are refused: an older agent must not drop what a newer one wrote. */
export const clusterRecordSchema = z.strictObject({
  clusterUid: z.uuid(),
  /** One life of the cluster's data; 1 at creation, a restore begins the next. */
  generation: z.int().min(1),
  /** `--initial-cluster-token` of this generation. */
  token: z.string().regex(/^[a-z0-9-]{1,128}$/),
  /** Counts changes of phase; the only notion of freshness. */
  epoch: z.int().min(1),
  phase: z.enum(["open", "rollCall"]),
  /** Fixed by the put that begins the generation; static bootstrap uses these and never the roster. */
  initial: z.array(name).min(1),
  /** Who must be accounted for. */
  roster: z.array(rosterEntry).min(1),
  /** Who may have started etcd in this generation. */
  joined: z.array(name),
  /** Whether `joined` ever was a quorum of `initial`: an acknowledged write may exist. */
  formed: z.boolean(),
  /** What the generation's data began with. */
  source: z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("new") }),
    namedSource.extend({
      kind: z.literal("snapshot"),
      /** Added to the revision at the restore, so that no watcher ever sees revisions go backwards. */
      bump: z.int().min(0),
    }),
  ]),
  /** Sources of earlier generations, oldest first: what is left if the current one cannot be read any more. */
  earlierSources: z.array(namedSource),
  /** By which a writer recognises its own put. */
  nonce: z.uuid(),
});

/** The cluster record. */
export type ClusterRecord = z.infer<typeof clusterRecordSchema>;

/** The record without the nonce, which every put makes anew. */
export type RecordContent = Omit<ClusterRecord, "nonce">;

/** What reading the record said. Absent is a fact (no version ever existed); everything that is not an answer is unreachable. */
export type RecordView =
  | { readonly kind: "present"; readonly record: ClusterRecord; readonly etag: string }
  | { readonly kind: "absent" }
  | { readonly kind: "unreachable"; readonly reason: string };

/** Conditions of a put. */
export type PutCondition = { readonly ifNoneMatch: "*" } | { readonly ifMatch: string };

/** A member about to start, and the volume that it starts on. */
export interface Starting {
  readonly name: string;
  readonly volumeId: string;
}

/** What the record needs of an object store. Everything unexpected is thrown. */
export interface ObjectStore {
  /** Content and ETag, or undefined when there is no such object now. */
  get(key: string): Promise<{ text: string; etag: string } | undefined>;
  /** Whether any version or delete marker of the key exists. */
  everExisted(key: string): Promise<boolean>;
  /** Puts if the condition holds; "refused" when it does not. */
  put(key: string, text: string, condition: PutCondition): Promise<"done" | "refused">;
}

/** Reads the record. Never throws: a failure is what the caller must decide on. */
export async function readRecord(store: ObjectStore): Promise<RecordView> {
  try {
    const object = await store.get(storage.record);
    if (object !== undefined) {
      const record = clusterRecordSchema.parse(JSON.parse(object.text));
      return { kind: "present", record, etag: object.etag };
    }
    return (await store.everExisted(storage.record))
      ? {
          kind: "unreachable",
          reason: "the cluster record was deleted; bring back its last version",
        }
      : { kind: "absent" };
  } catch (error) {
    return {
      kind: "unreachable",
      reason: `the cluster record cannot be read: ${reasonOf(error)}`,
    };
  }
}

/**
 * Writes the record on a condition. A refusal is checked against the nonce: a put whose answer was lost and that was sent again is
 * refused by its own success.
 */
export async function writeRecord(
  store: ObjectStore,
  next: RecordContent,
  condition: PutCondition,
): Promise<"done" | "lost"> {
  const record = clusterRecordSchema.parse({ ...next, nonce: randomUUID() });
  if ((await store.put(storage.record, `${canonicalJson(record)}\n`, condition)) === "done") {
    return "done";
  }
  const now = await readRecord(store);
  return now.kind === "present" && now.record.nonce === record.nonce ? "done" : "lost";
}

/** Creates the record if nobody did; whoever loses follows the winner's. */
export async function createRecord(store: ObjectStore, config: MemberConfig): Promise<void> {
  await writeRecord(store, firstRecord(config), { ifNoneMatch: "*" });
}

/** Changes the record, deriving the change anew after each conflict. `change` returns undefined when nothing is left to change. */
export async function changeRecord(
  store: ObjectStore,
  change: (record: ClusterRecord) => RecordContent | undefined,
): Promise<ClusterRecord> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const view = await readRecord(store);
    if (view.kind !== "present") {
      throw new Error(view.kind === "absent" ? "the cluster record is gone" : view.reason);
    }
    const next = change(view.record);
    if (next === undefined) {
      return view.record;
    }
    await writeRecord(store, next, { ifMatch: view.etag });
  }
  throw new Error("the cluster record was changed by others twenty times in a row");
}

/** Puts a member into `joined`, for as long as the generation is the same and open. */
export async function join(
  store: ObjectStore,
  member: Starting,
  generation: number,
): Promise<ClusterRecord> {
  return changeRecord(store, (record) => {
    if (record.generation !== generation || record.phase !== "open") {
      throw new Error(
        `the cluster record moved on to generation ${record.generation}, ${record.phase}`,
      );
    }
    const entry = record.roster.find(({ name }) => name === member.name);
    return record.joined.includes(member.name) &&
      entry?.volumeId === member.volumeId &&
      entry.used === true
      ? undefined
      : withJoined(record, member);
  });
}
