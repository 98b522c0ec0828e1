import type { Attestation, Report } from "./attestation";
import { readAttestations, readReports } from "./bulletin";
import type { BackupFact, Live, Roll, Self } from "./facts";
import type { Memory } from "./memory";
import { ownReport } from "./reached";
import type { ClusterRecord, ObjectStore, RecordView } from "./record";

const nothing = { reports: [], attestations: [], previous: [], backups: [] } as const;

/** Reads what members say through the bucket, when it matters, and notices when nothing new is said any more. */
export class RollObserver {
  readonly #store: ObjectStore;
  readonly #memory: Memory;
  readonly #backups: () => Promise<BackupFact[]>;
  /** What was there when something new was last seen. */
  #progress: { readonly seen: string; readonly since: number } | undefined;

  constructor(store: ObjectStore, memory: Memory, backups: () => Promise<BackupFact[]>) {
    this.#store = store;
    this.#memory = memory;
    this.#backups = backups;
  }

  /** One look. */
  async look(self: Self, view: RecordView, live: Live): Promise<Roll> {
    const found = view.kind === "present" ? await this.#read(self, view.record, live) : nothing;
    const epoch = view.kind === "present" ? view.record.epoch : 0;
    const notRecoverable = this.#memory.notRecoverable.get(epoch);
    return {
      ...found,
      unreadable: [...this.#memory.unreadable],
      ...(notRecoverable === undefined ? {} : { notRecoverable }),
      stalledSeconds: this.#stalled(epoch, found.attestations),
    };
  }

  async #read(
    { member }: Self,
    record: ClusterRecord,
    { quorum }: Live,
  ): Promise<Pick<Roll, "reports" | "attestations" | "previous" | "backups">> {
    if (record.phase === "rollCall") {
      const attestations = await readAttestations(this.#store, record, record.epoch);
      const complete = attestations.length === record.roster.length;
      return { ...nothing, attestations, backups: complete ? await this.#backups() : [] };
    }
    if (quorum) {
      return { ...nothing, reports: await this.#ownReport(member, record) };
    }
    const [reports, previous] = await Promise.all([
      readReports(this.#store, record),
      readAttestations(this.#store, record, record.epoch - 1),
    ]);
    return { ...nothing, reports, previous };
  }

  /** An own report that may have to be taken back. */
  async #ownReport(member: string, record: ClusterRecord): Promise<Report[]> {
    const report = await ownReport(this.#store, this.#memory, member, record.clusterUid);
    return report === undefined ? [] : [report];
  }

  #stalled(epoch: number, attestations: readonly Attestation[]): number {
    const seen = [epoch, ...attestations.map(({ member }) => member)].join(" ");
    if (this.#progress?.seen !== seen) {
      this.#progress = { seen, since: performance.now() };
    }
    return (performance.now() - this.#progress.since) / 1000;
  }
}
