import { putReport } from "./bulletin";
import { putRecord, type Context } from "./context";
import type { Report } from "./attestation";
import { step } from "./point";
import { ownReport } from "./reached";
import type { ClusterRecord } from "./record";
import { say } from "./say";
import { withRollCalled, withRollClosed } from "./transitions";

/** What a member without a quorum says in the bucket, and the beginning and the end of a roll call. */

/** SHA-256 of the record's source, if this member fetched it and found something else. */
export function unreadableSource(
  { facts }: Context,
  { source }: ClusterRecord,
): { unreadable?: string } {
  return source.kind === "snapshot" && facts.roll.unreadable.includes(source.sha256)
    ? { unreadable: source.sha256 }
    : {};
}

/** Says how this member is, or takes back that it was without a quorum. */
export async function report(
  context: Context,
  record: ClusterRecord,
  holds: Report["holds"],
): Promise<void> {
  const { member, instanceId, volumeId } = context.facts.self;
  const { clusterUid, epoch } = record;
  const commit = holds === "data" ? context.status?.raftIndex : undefined;
  const { bucket } = context.machine;
  // Replaced, not forgotten.
  const reached = (await ownReport(bucket, context.memory, member, clusterUid))?.reached;
  const content: Report = {
    ...{ schema: 1, clusterUid, member, epoch, instanceId, volumeId, holds },
    ...(commit === undefined ? {} : { commit: Number(commit) }),
    ...unreadableSource(context, record),
    ...(reached === undefined ? {} : { reached }),
  };
  await step("report:put", () => putReport(bucket, content));
  context.memory.report = content;
}

/** Calls the roll: from here on every member stops, and says what it has. */
export async function callRoll(context: Context, record: ClusterRecord): Promise<void> {
  say(`calls the roll: epoch ${record.epoch + 1}`);
  await step("callRoll:put", () => putRecord(context, withRollCalled(record)));
}

/** Lets the same generation go on. */
export async function closeRoll(
  context: Context,
  record: ClusterRecord,
  because: string,
): Promise<void> {
  say(`closes the roll call of epoch ${record.epoch}: ${because}`);
  await step("closeRoll:put", () => putRecord(context, withRollClosed(record)));
}
