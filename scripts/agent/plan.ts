import type { Action, Facts } from "./facts";
import type { Disk, Marker } from "./marker";
import type { ClusterRecord } from "./record";
import { afterAttesting, hasReported, withoutQuorum } from "./rollCall";

/**
 * What an agent does, decided from durable facts alone. This is the table of docs/membership.md: disk, cluster record,
 * other facts. It has no effects, so that every row can be tested, and every row that is not an action is a wait whose text says
 * what would end it.
 */

type WaitName = Extract<Action, { kind: "wait" }>["name"];
type Blank = Extract<Disk, { kind: "blank" }>;
type Data = Extract<Disk, { kind: "data" }>;

const wait = (name: WaitName, needs: string): Action => ({ kind: "wait", name, needs });
const refuse = (reason: string): Action => ({ kind: "refuse", reason });
const idle: Action = { kind: "idle" };

/** Decides. */
export function plan(facts: Facts): Action {
  const { disk } = facts;
  switch (disk.kind) {
    case "notAttachable":
      return wait("volume", `the volume ${facts.self.volumeId}: ${disk.reason}`);
    case "gone":
      return planGone(facts);
    case "unknown":
      return refuse(`what is on the volume is not ours and is left alone: ${disk.reason}`);
    case "data":
      return planData(facts, disk);
    case "blank":
      return planBlank(facts, disk);
  }
}

function planGone({ self, record, live }: Facts): Action {
  switch (record.kind) {
    case "unreachable":
      return wait("record", "the cluster record, before another volume may be created");
    case "absent":
      // There never was anything to lose; with a record, the loss is one like any other.
      return planFirst(self, live);
    case "present":
      return entryOf(record.record, self.member) === undefined
        ? wait("roster", `a place in the roster; ${self.member} has none (any more)`)
        : { kind: "createVolume" };
  }
}

/** There never was a record: the first members make it. */
function planFirst(self: Facts["self"], live: Facts["live"]): Action {
  if (!self.firstMember) {
    return wait("firstMembers", "the first members, which create the cluster record");
  }
  return live.someoneAnswers
    ? wait(
        "etcdWithoutRecord",
        "an explanation: etcd answers at a member's address, but there is no cluster record",
      )
    : { kind: "createRecord" };
}

const entryOf = (record: ClusterRecord, member: string) =>
  record.roster.find(({ name }) => name === member);

/** Rows "ours" and "another's": data with a marker. */
function planData(facts: Facts, disk: Data): Action {
  const { record: view, self, live } = facts;
  const { marker } = disk;
  const foreign = notOurs(facts, marker);
  if (foreign !== undefined) {
    return refuse(foreign);
  }
  if (view.kind === "present") {
    return planDataWithRecord(facts, disk, view.record);
  }
  if (live.running) {
    return idle;
  }
  // Without the record, only the very machine that last read `open` may go on.
  const { held, damage } = disk;
  if (held === undefined && damage === undefined && marker.instanceId === self.instanceId) {
    return { kind: "start", marker };
  }
  return view.kind === "absent"
    ? wait("record", "the cluster record: there is data on the volume, but no record in the bucket")
    : wait("record", `the cluster record, before this machine may start: ${view.reason}`);
}

function notOurs({ self }: Facts, marker: Marker): string | undefined {
  if (marker.member !== self.member) {
    return `the volume holds data of ${marker.member}, this is ${self.member}`;
  }
  return marker.volumeId === self.volumeId
    ? undefined
    : `the volume is a copy: its data was written on ${marker.volumeId}, this is ${self.volumeId}`;
}

function planDataWithRecord(facts: Facts, disk: Data, record: ClusterRecord): Action {
  const { self, live } = facts;
  const { marker } = disk;
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
  const entry = entryOf(record, self.member);
  if (entry === undefined) {
    // Whoever left stops by being removed; a generation that began without it must not be joined by its old data.
    return live.running && marker.generation < record.generation
      ? setAside(marker, record)
      : wait("roster", `a place in the roster; ${self.member} has none (any more)`);
  }
  if (marker.generation < record.generation) {
    return setAside(marker, record);
  }
  if (entry.volumeId !== self.volumeId) {
    return refuse(`the roster has ${self.member} with ${entry.volumeId}, this is ${self.volumeId}`);
  }
  return record.phase === "rollCall"
    ? inRollCall(facts, disk, record)
    : open(facts, disk, record, entry.leaving === true);
}

function setAside(marker: Marker, record: ClusterRecord): Action {
  return {
    kind: "setAside",
    generation: marker.generation,
    because: `the record has generation ${record.generation}`,
  };
}

/** Data of this generation, and the record is open. */
function open(facts: Facts, disk: Data, record: ClusterRecord, leaving: boolean): Action {
  const { live, self } = facts;
  const { marker, held, damage } = disk;
  if (held !== undefined && held >= record.epoch) {
    return wait("rollCall", `an epoch later than ${held}, for which this member is held`);
  }
  if (live.removed) {
    const because = "etcd says that this member was removed for good";
    return { kind: "setAside", generation: marker.generation, because };
  }
  if (damage !== undefined) {
    if (live.othersAgree) {
      return { kind: "setAside", generation: marker.generation, because: damage };
    }
    return live.quorum
      ? wait(
          "damaged",
          `all other voters to be healthy and agree, before this is given up: ${damage}`,
        )
      : withoutQuorum(facts, record, "damaged");
  }
  // Held for a roll call that is over, and killed before it stopped etcd: as soon as that ends, it would not come back.
  if (!live.running || held !== undefined) {
    return { kind: "start", marker, record };
  }
  if (live.quorum) {
    if (hasReported(facts, record)) {
      return { kind: "report", record, holds: "withdrawn" };
    }
    return live.learner && !leaving ? { kind: "promote" } : idle;
  }
  return live.withoutQuorumSeconds < self.quorumLossSeconds
    ? wait("quorum", "a quorum")
    : withoutQuorum(facts, record, "data");
}

/** Data of this generation, and the roll is called. */
function inRollCall(facts: Facts, disk: Data, record: ClusterRecord): Action {
  const { live, roll, self } = facts;
  const { held } = disk;
  if (held !== undefined && held > record.epoch) {
    return wait("rollCall", `an epoch later than ${held}, for which this member is held`);
  }
  if (live.running && live.quorum) {
    return { kind: "closeRoll", record, because: "there is a quorum" };
  }
  if (held !== record.epoch || live.running) {
    return { kind: "hold", epoch: record.epoch };
  }
  const mine = roll.attestations.find(({ member }) => member === self.member);
  return mine === undefined ? { kind: "attest", record } : afterAttesting(facts, record, mine);
}

/** Rows "blank". */
function planBlank(facts: Facts, disk: Blank): Action {
  const { record: view, self, live } = facts;
  switch (view.kind) {
    case "unreachable":
      return wait(
        "record",
        `the cluster record, before a blank volume may be used: ${view.reason}`,
      );
    case "absent":
      if (disk.marker !== undefined || disk.intent !== undefined || disk.setAside.length > 0) {
        return wait("record", "the cluster record: this volume was in use, but there is no record");
      }
      return planFirst(self, live);
    case "present":
      return planBlankWithRecord(facts, disk, view.record);
  }
}

function planBlankWithRecord(facts: Facts, disk: Blank, record: ClusterRecord): Action {
  const { self, live } = facts;
  const { marker, intent } = disk;
  const theirs = marker ?? intent;
  if (theirs !== undefined && theirs.clusterUid !== record.clusterUid) {
    return refuse(
      `the volume was about to join the cluster ${theirs.clusterUid}, the record is of ${record.clusterUid}`,
    );
  }
  if (theirs !== undefined && theirs.generation > record.generation) {
    return refuse(
      `the volume was used in generation ${theirs.generation}, the record knows only ${record.generation}: an old record was put back`,
    );
  }
  const foreign = marker === undefined ? undefined : notOurs(facts, marker);
  if (foreign !== undefined) {
    return refuse(foreign);
  }
  const entry = entryOf(record, self.member);
  if (entry === undefined) {
    return wait("roster", `a place in the roster; ${self.member} has none (any more)`);
  }
  if (theirs !== undefined && theirs.generation < record.generation) {
    return {
      kind: "setAside",
      generation: theirs.generation,
      because: `the record has generation ${record.generation}`,
    };
  }
  if (record.phase === "rollCall") {
    return blankInRollCall(facts, record);
  }
  if (live.running) {
    // It has the permit, and has not written its first log yet; whoever begins anew now would end it just before it does.
    return wait("starting", "etcd, which was started, to write its first log");
  }
  const next = blankInOpen(facts, disk, record, entry);
  const formats = next.kind === "formFirst" || next.kind === "restore" || next.kind === "rejoin";
  return formats && !disk.formatted && entry.used === true && entry.volumeId === self.volumeId
    ? refuse(`${self.volumeId} is recorded as in use and is blank; it is not formatted again`)
    : next;
}

/** Etcd may be on its way here; attesting stops it, and looks again. */
function blankInRollCall(facts: Facts, record: ClusterRecord): Action {
  const { live, roll, self } = facts;
  if (live.quorum) {
    return { kind: "closeRoll", record, because: "there is a quorum" };
  }
  const mine = roll.attestations.find(({ member }) => member === self.member);
  return mine === undefined ? { kind: "attest", record } : afterAttesting(facts, record, mine);
}

function blankInOpen(
  facts: Facts,
  disk: Blank,
  record: ClusterRecord,
  entry: ClusterRecord["roster"][number],
): Action {
  const { self, live, roll } = facts;
  if (isFirstStart(self, disk, record, roll.unreadable)) {
    return { kind: record.source.kind === "new" ? "formFirst" : "restore", record };
  }
  if (!live.quorum) {
    return withoutQuorum(facts, record, "blank");
  }
  if (hasReported(facts, record)) {
    return { kind: "report", record, holds: "withdrawn" };
  }
  return entry.leaving === true
    ? wait("leaving", `its removal: ${self.member} leaves and has no data`)
    : { kind: "rejoin", record };
}

/**
 * Whether this would be the identity's first start in the generation, on the volume that the record knows: its name is not in
 * `joined`; or it is, and the intent on this very volume says that it was put there before etcd ever ran on it. Anything else might
 * answer for votes that were given before, and needs a quorum of the others; so does whoever comes so late that the source cannot be
 * read any more.
 */
export function isFirstStart(
  self: Pick<Facts["self"], "member" | "volumeId">,
  { intent, marker, setAside }: Blank,
  record: ClusterRecord,
  unreadable: readonly string[],
): boolean {
  if (
    (record.source.kind === "snapshot" && unreadable.includes(record.source.sha256)) ||
    !record.initial.includes(self.member) ||
    entryOf(record, self.member)?.volumeId !== self.volumeId ||
    setAside.some(({ generation }) => generation >= record.generation) ||
    (marker !== undefined && intent === undefined)
  ) {
    return false;
  }
  return (
    !record.joined.includes(self.member) ||
    (intent !== undefined &&
      intent.generation === record.generation &&
      intent.member === self.member &&
      intent.volumeId === self.volumeId)
  );
}
