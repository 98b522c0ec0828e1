import { plan } from "../../scripts/agent/plan";
import { resizeStep } from "../../scripts/agent/resize";
import * as transitions from "../../scripts/agent/transitions";

/** The code under test, and the order of the effects that the agent promises: what a broken variant replaces. */

/** How effects go about their steps; every one of these is a promise of docs/membership.md. */
export interface Order {
  /** All agent processes of a machine take one lock from read to act. */
  readonly lock: boolean;
  /** A name is in `joined` before etcd starts. */
  readonly joinFirst: boolean;
  /** The intent is on the volume before the name is in `joined`. */
  readonly intent: boolean;
  /** Static bootstrap names those of `initial`. */
  readonly initial: "initial" | "roster";
  /** A joining etcd asks those of the roster who it is, not whoever was a member once. */
  readonly peers: "roster" | "anyone";
  /** Puts of the record depend on the version that was read. */
  readonly conditional: boolean;
  /** Etcd is stopped, and gone, before its log is read. */
  readonly stopToAttest: boolean;
  /** `held` is written before etcd is stopped for a roll call. */
  readonly hold: boolean;
  /** Held data is released only when a later epoch was read. */
  readonly release: "later" | "always";
  /** What was blank when the facts were gathered, and is not any more, is not sworn to. */
  readonly lookAgain: boolean;
  /** Attesting waits for uploads of this machine. */
  readonly waitForUploads: boolean;
  /** Set-aside data is sworn to. */
  readonly attestSetAside: boolean;
  /** The commit index is raised to the last entry in the copy of a survivor. */
  readonly raiseCommit: boolean;
  /** The survivor's data, not a copy of it, becomes the source: alters the original. */
  readonly copySurvivor: boolean;
  /** Attestations are those of the record's epoch. */
  readonly epochs: boolean;
  /** The second guards: the unit does not start what is held, and nothing starts on a machine without etcd's settings. */
  readonly secondGuards: boolean;
  /** Backups are listed after all attestations were read. */
  readonly backupsLast: boolean;
  /** A source is fetched back and restored before it is named. */
  readonly verifySource: boolean;
  /** A reboot takes the permit away. */
  readonly permitInMemory: boolean;
  /** The old id is taken out, and the new one is added as a learner. */
  readonly rejoinAs: "learner" | "sameId";
  /** An operator's restore fences whoever has not attested. */
  readonly fence: boolean;
  /** A volume is formatted only when nothing is on it. */
  readonly formatOnlyBlank: boolean;
  /** Data is moved out of the way, never deleted. */
  readonly keepSetAside: boolean;
  /** A log that ends before what its member has said in the bucket is not started. */
  readonly reached: boolean;
}

/** What one run of the model drives. */
export interface Rules {
  readonly plan: typeof plan;
  readonly resizeStep: typeof resizeStep;
  readonly transitions: Pick<
    typeof transitions,
    | "firstRecord"
    | "withJoined"
    | "withEntered"
    | "withLeaving"
    | "withDropped"
    | "withRollCalled"
    | "withRollClosed"
    | "nextGeneration"
  >;
  readonly order: Order;
}

/** The real ones. */
export const realRules: Rules = {
  plan,
  resizeStep,
  transitions,
  order: {
    lock: true,
    joinFirst: true,
    intent: true,
    initial: "initial",
    peers: "roster",
    conditional: true,
    stopToAttest: true,
    hold: true,
    release: "later",
    lookAgain: true,
    waitForUploads: true,
    attestSetAside: true,
    raiseCommit: true,
    copySurvivor: true,
    epochs: true,
    secondGuards: true,
    backupsLast: true,
    verifySource: true,
    permitInMemory: true,
    rejoinAs: "learner",
    fence: true,
    formatOnlyBlank: true,
    keepSetAside: true,
    reached: true,
  },
};
