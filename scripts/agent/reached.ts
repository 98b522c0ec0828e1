import type { Report } from "./attestation";
import { putReport, readReport } from "./bulletin";
import type { Memory } from "./memory";
import type { ClusterRecord, ObjectStore } from "./record";
import { reasonOf, say } from "./say";
import type { LogFacts } from "./wal";

/**
 * How far this member's log has come, said in the bucket. What is on a volume cannot tell that the whole volume is an older copy of
 * itself (a snapshot whose content was put back): its log, its marker and its noted commit index go well together. Started, it would
 * vote as if it had never seen entries that it has acknowledged.
 */

/** How far the log had come under one of etcd's ids, which are never used twice. */
export type Reached = NonNullable<Report["reached"]>;

/** Milliseconds between two puts; what is younger than the last one cannot be told from the copy. */
const everyMs = 60_000;

/** This member's last report: read once, then known, because nobody else writes it. */
export async function ownReport(
  store: ObjectStore,
  memory: Memory,
  member: string,
  clusterUid: string,
): Promise<Report | undefined> {
  if (memory.report === undefined) {
    memory.report = (await readReport(store, member, clusterUid)) ?? null;
  }
  return memory.report ?? undefined;
}

/** Why a log is an older copy of what this member had; undefined when it is not, or is another id's. */
export function olderThanReached(
  { memberId, index }: Pick<LogFacts, "memberId" | "index">,
  reached: Reached | undefined,
): string | undefined {
  return reached !== undefined && reached.id === memberId && index < BigInt(reached.index)
    ? `the write-ahead log ends at ${index}, and this member had come to ${reached.index}: an older copy of the volume`
    : undefined;
}

/** What is said of a member that runs. */
export interface Progress {
  readonly self: {
    readonly member: string;
    readonly volumeId: string;
    readonly instanceId: string;
  };
  readonly record: ClusterRecord;
  readonly reached: Reached;
}

/** Says now and then how far the log has come, for as long as there is nothing else to be said. */
export class ReachKeeper {
  readonly #store: ObjectStore;
  readonly #memory: Memory;
  #saidAt = -Infinity;

  constructor(store: ObjectStore, memory: Memory) {
    this.#store = store;
    this.#memory = memory;
  }

  /** One look at an etcd that runs well. What fails is tried again later: etcd does not depend on it. */
  async note({ self, record, reached }: Progress): Promise<void> {
    if (performance.now() - this.#saidAt < everyMs) {
      return;
    }
    this.#saidAt = performance.now();
    const { member, volumeId, instanceId } = self;
    const { clusterUid, epoch } = record;
    try {
      const before = await ownReport(this.#store, this.#memory, member, clusterUid);
      const known = before?.reached;
      if (known?.id === reached.id && known.index >= reached.index) {
        return;
      }
      const report: Report = {
        ...{ schema: 1, clusterUid, member, epoch, instanceId, volumeId },
        ...{ holds: "withdrawn", reached },
      };
      await putReport(this.#store, report);
      this.#memory.report = report;
    } catch (error) {
      say(`how far the log has come is not said in the bucket: ${reasonOf(error)}`);
    }
  }
}
