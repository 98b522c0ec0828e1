import type { Disk, Marker } from "./marker";
import type { ClusterRecord, RecordView } from "./record";

/**
 * What an agent does, decided from durable facts alone. This is the table of docs/membership.md: disk, cluster record,
 * other facts. It has no effects, so that every row can be tested, and every row that is not an action is a wait whose text says
 * what would end it.
 */

/** Everything that the decision may depend on. */
export interface Facts {
  readonly self: {
    readonly member: string;
    readonly volumeId: string;
    readonly instanceId: string;
    /** Whether the configuration names this member, with this volume, among the first. */
    readonly firstMember: boolean;
  };
  readonly disk: Disk;
  readonly record: RecordView;
  /** Whether any configured address answers as etcd; asked only when there is no record. */
  readonly someoneAnswers: boolean;
  /** Whether the other members have a quorum; asked only when this member may have to re-join. */
  readonly quorumAnswers: boolean;
}

/** What to do next. After every action the facts are gathered anew. */
export type Action =
  | { readonly kind: "createRecord" }
  /** Say on the volume that this member is about to join, put it into `joined`, then start etcd as one of `initial`. */
  | { readonly kind: "formFirst"; readonly record: ClusterRecord }
  /** Take the old entry out of etcd's member list, come back as a learner, and start on an empty volume. */
  | { readonly kind: "rejoin"; readonly record: ClusterRecord }
  /** Start etcd on the data that is there; put this member into `joined` first if it is not. */
  | { readonly kind: "start"; readonly record?: ClusterRecord; readonly marker: Marker }
  /** Nothing to do until something changes; `needs` says what. */
  | { readonly kind: "wait"; readonly name: WaitName; readonly needs: string }
  /** Nothing will change by itself: a person must look. Never touches the disk. */
  | { readonly kind: "refuse"; readonly reason: string };

/** Names of the waits, for alarms and runbooks. */
export type WaitName =
  | "volume"
  | "record"
  | "firstMembers"
  | "etcdWithoutRecord"
  | "roster"
  | "rollCall"
  | "quorum"
  | "leaving"
  | "restore"
  | "olderGeneration";

type Blank = Extract<Disk, { kind: "blank" }>;

const wait = (name: WaitName, needs: string): Action => ({ kind: "wait", name, needs });
const refuse = (reason: string): Action => ({ kind: "refuse", reason });

/** Decides. */
export function plan(facts: Facts): Action {
  const { disk } = facts;
  switch (disk.kind) {
    case "notAttachable":
      return wait("volume", `the volume ${facts.self.volumeId}: ${disk.reason}`);
    case "unknown":
      return refuse(`what is on the volume is not ours and is left alone: ${disk.reason}`);
    case "data":
      return planData(facts, disk.marker, disk.held);
    case "blank":
      return planBlank(facts, disk);
  }
}

/** Rows "ours" and "another's": data with a marker. */
function planData(facts: Facts, marker: Marker, held: number | undefined): Action {
  const { record: view, self } = facts;
  if (marker.member !== self.member) {
    return refuse(`the volume holds data of ${marker.member}, this is ${self.member}`);
  }
  if (marker.volumeId !== self.volumeId) {
    return refuse(
      `the volume is a copy: its data was written on ${marker.volumeId}, this is ${self.volumeId}`,
    );
  }
  if (view.kind === "present") {
    return planDataWithRecord(facts, marker, held, view.record);
  }
  // Without the record, only the very machine that last read `open` may go on.
  if (held === undefined && marker.instanceId === self.instanceId) {
    return { kind: "start", marker };
  }
  return view.kind === "absent"
    ? wait("record", "the cluster record: there is data on the volume, but no record in the bucket")
    : wait("record", `the cluster record, before this machine may start: ${view.reason}`);
}

function planDataWithRecord(
  { self }: Facts,
  marker: Marker,
  held: number | undefined,
  record: ClusterRecord,
): Action {
  if (marker.clusterUid !== record.clusterUid) {
    return refuse(
      `the volume belongs to the cluster ${marker.clusterUid}, the record to ${record.clusterUid}`,
    );
  }
  if (marker.generation > record.generation) {
    return refuse(
      `the data is of generation ${marker.generation}, the record knows only ${record.generation}: an old record was put back`,
    );
  }
  const entry = record.roster.find(({ name }) => name === self.member);
  if (entry === undefined) {
    return wait("roster", `a place in the roster; ${self.member} has none (any more)`);
  }
  if (entry.volumeId !== self.volumeId) {
    return refuse(`the roster has ${self.member} with ${entry.volumeId}, this is ${self.volumeId}`);
  }
  if (marker.generation < record.generation) {
    return wait(
      "olderGeneration",
      `setting aside data of generation ${marker.generation}, now that the record has ${record.generation}; an operator must do that`,
    );
  }
  if (record.phase === "rollCall") {
    return wait("rollCall", `the end of the roll call of epoch ${record.epoch}`);
  }
  if (held !== undefined && held >= record.epoch) {
    return wait("rollCall", `an epoch later than ${held}, for which this member is held`);
  }
  return { kind: "start", marker, record };
}

/** Rows "blank". */
function planBlank(facts: Facts, disk: Blank): Action {
  const { record: view, self } = facts;
  switch (view.kind) {
    case "unreachable":
      return wait(
        "record",
        `the cluster record, before a blank volume may be used: ${view.reason}`,
      );
    case "absent":
      if (disk.used || disk.intent !== undefined) {
        return wait("record", "the cluster record: this volume was in use, but there is no record");
      }
      if (!self.firstMember) {
        return wait("firstMembers", "the first members, which create the cluster record");
      }
      return facts.someoneAnswers
        ? wait(
            "etcdWithoutRecord",
            "an explanation: etcd answers at a member's address, but there is no cluster record",
          )
        : { kind: "createRecord" };
    case "present":
      return planBlankWithRecord(facts, disk, view.record);
  }
}

function planBlankWithRecord(facts: Facts, disk: Blank, record: ClusterRecord): Action {
  const { self } = facts;
  const entry = record.roster.find(({ name }) => name === self.member);
  if (entry === undefined) {
    return wait("roster", `a place in the roster; ${self.member} has none (any more)`);
  }
  if (record.phase === "rollCall") {
    return wait("rollCall", `the end of the roll call of epoch ${record.epoch}`);
  }
  if (disk.intent !== undefined && disk.intent.clusterUid !== record.clusterUid) {
    return refuse(
      `the volume was about to join the cluster ${disk.intent.clusterUid}, the record is of ${record.clusterUid}`,
    );
  }
  if (!disk.used && record.initial.includes(self.member) && firstStart(facts, disk, record)) {
    return record.source.kind === "new"
      ? { kind: "formFirst", record }
      : wait("restore", `the restore of generation ${record.generation} from ${record.source.key}`);
  }
  if (entry.leaving === true) {
    return wait("leaving", `its removal: ${self.member} leaves and has no data`);
  }
  if (!facts.quorumAnswers) {
    return wait(
      "quorum",
      `a quorum of the others, or a roll call: ${self.member} started before and its data is gone`,
    );
  }
  return !disk.formatted && entry.volumeId === self.volumeId
    ? refuse(`${self.volumeId} is recorded as in use and is blank; it is not formatted again`)
    : { kind: "rejoin", record };
}

/**
 * Whether this would be the identity's first start in the generation: its name is not in `joined`; or it is, and the intent on this
 * very volume says that it was put there before etcd ever ran on it. Anything else might answer for votes that were given before.
 */
function firstStart({ self }: Facts, { intent }: Blank, record: ClusterRecord): boolean {
  if (!record.joined.includes(self.member)) {
    return true;
  }
  const recorded = record.roster.find(({ name }) => name === self.member)?.volumeId;
  return (
    intent !== undefined &&
    intent.generation === record.generation &&
    intent.member === self.member &&
    intent.volumeId === self.volumeId &&
    recorded === self.volumeId
  );
}
