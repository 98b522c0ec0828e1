import type { Attestation, Report } from "./attestation";
import type { Disk } from "./marker";
import type { Rank } from "./rank";
import type { ClusterRecord, RecordView } from "./record";

/** Everything that a decision may depend on. Gathered anew before each one, under the machine's lock. */
export interface Facts {
  readonly self: Self;
  readonly disk: Disk;
  readonly record: RecordView;
  readonly live: Live;
  /** What the bucket holds of reports and attestations; asked for only when a quorum is missing or the roll is called. */
  readonly roll: Roll;
}

/** Who decides. */
export interface Self {
  readonly member: string;
  /** The volume that this machine uses for the member. */
  readonly volumeId: string;
  readonly instanceId: string;
  /** Whether the configuration names this member, with this volume, among the first. */
  readonly firstMember: boolean;
  /** `manual`: a next generation is begun by a person only. */
  readonly recovery: "automatic" | "manual";
  /** Seconds without a quorum after which a running member reports so. */
  readonly quorumLossSeconds: number;
}

/** What etcd says now, here and elsewhere. */
export interface Live {
  /** Whether this machine's etcd runs, or is on its way. */
  readonly running: boolean;
  /** Whether a linearizable read succeeds: through this machine's etcd when it runs, else through another voter. */
  readonly quorum: boolean;
  /** Seconds for which that read has failed, by the monotonic clock of the process that asks. */
  readonly withoutQuorumSeconds: number;
  /** Whether any configured address answers as etcd; asked only when there is no record. */
  readonly someoneAnswers: boolean;
  /** Whether this machine's etcd runs as a learner. */
  readonly learner: boolean;
  /**
   * Whether a quorum's member list, or the data's own log up to its commit index, lacks the id under which the data on the volume takes
   * part. Ids are never used twice.
   */
  readonly removed: boolean;
  /** Whether all other voters are healthy and have the same hash at one revision; asked only for damaged data. */
  readonly othersAgree: boolean;
}

/** A verified or at least well-named backup. */
export interface BackupFact {
  readonly key: string;
  readonly sha256: string;
  readonly rank: Rank;
}

/** What members have said through the bucket, and what this process found out about it. */
export interface Roll {
  /** The last report of every member that made one, of whatever epoch. */
  readonly reports: readonly Report[];
  /** Attestations of the record's epoch. */
  readonly attestations: readonly Attestation[];
  /** Those of the epoch before, of the roll call that was closed last. */
  readonly previous: readonly Attestation[];
  /** Needed only when all have attested. */
  readonly backups: readonly BackupFact[];
  /** SHA-256 of backups and sources which were fetched here and are not what they claim to be. Being out of reach is not that. */
  readonly unreadable: readonly string[];
  /** Why this member's own copy could not be made into a source, when that was tried. */
  readonly notRecoverable?: string;
  /** Seconds since anything new was seen in this roll call, by the monotonic clock of the process that asks. */
  readonly stalledSeconds: number;
}

/** What to do next. After every action the facts are gathered anew. */
export type Action =
  /** Nothing: etcd runs and has a quorum, or goes on without the record. */
  | { readonly kind: "idle" }
  | { readonly kind: "createRecord" }
  /** Create a volume in place of the one that no longer exists, and note its id. */
  | { readonly kind: "createVolume" }
  /** Say on the volume that this member is about to join, put it into `joined`, then start etcd as one of `initial`. */
  | { readonly kind: "formFirst"; readonly record: ClusterRecord }
  /** Restore the generation's source under a temporary name, put this member into `joined`, mark, rename, start. */
  | { readonly kind: "restore"; readonly record: ClusterRecord }
  /** Take the old entry out of etcd's member list, come back as a learner, and start on an empty volume. */
  | { readonly kind: "rejoin"; readonly record: ClusterRecord }
  /** Start etcd on the data that is there; put this member into `joined` first if it is not. */
  | {
      readonly kind: "start";
      readonly record?: ClusterRecord;
      readonly marker: import("./marker").Marker;
    }
  /** Ask for this learner's vote. */
  | { readonly kind: "promote" }
  /** Stop etcd if it runs, and move the data directory out of the way, whole. Never deletes. */
  | { readonly kind: "setAside"; readonly generation: number; readonly because: string }
  /** Say in the bucket how this member is. */
  | { readonly kind: "report"; readonly record: ClusterRecord; readonly holds: Report["holds"] }
  /** Put `rollCall`, on the condition of the record that was read. */
  | { readonly kind: "callRoll"; readonly record: ClusterRecord }
  /** Put `open` again, same generation, on the condition of the record that was read. */
  | { readonly kind: "closeRoll"; readonly record: ClusterRecord; readonly because: string }
  /** Write and sync `held`, stop etcd, confirm that it is gone. */
  | { readonly kind: "hold"; readonly epoch: number }
  /** Read the log offline and say what is there, create-only. */
  | { readonly kind: "attest"; readonly record: ClusterRecord }
  /** Put the source under control/sources/, verify it, then put the next generation, on the condition of the record that was read. */
  | { readonly kind: "propose"; readonly record: ClusterRecord; readonly source: Source }
  /** Nothing to do until something changes; `needs` says what. */
  | { readonly kind: "wait"; readonly name: WaitName; readonly needs: string }
  /** Nothing will change by itself: a person must look. Never touches the disk. */
  | { readonly kind: "refuse"; readonly reason: string };

/** What the next generation begins with. */
export type Source =
  | { readonly kind: "new" }
  /** This member's own copy: the data itself, or a folder that was set aside. */
  | { readonly kind: "own"; readonly folder?: string; readonly rank: Rank }
  | { readonly kind: "backup"; readonly backup: BackupFact }
  /** A source that is in the bucket already. */
  | {
      readonly kind: "named";
      readonly key: string;
      readonly sha256: string;
      readonly rank: Rank;
    };

/** Names of the waits, for alarms and runbooks. */
export type WaitName =
  | "volume"
  | "record"
  | "firstMembers"
  | "etcdWithoutRecord"
  | "roster"
  | "rollCall"
  | "starting"
  | "quorum"
  | "network"
  | "leaving"
  | "damaged"
  | "survivor"
  | "noSource"
  | "operator";
