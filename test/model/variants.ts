import type { Attestation, Holding } from "../../scripts/agent/attestation";
import type { Action, Facts } from "../../scripts/agent/facts";
import type { Disk } from "../../scripts/agent/marker";
import type { ClusterRecord } from "../../scripts/agent/record";
import type { ResizeFacts } from "../../scripts/agent/resize";
import { realRules, type Order, type Rules } from "./rules";
import { nameOf } from "./log";
import type { Profile } from "./scenario";

/** Deliberately broken variants, each without one clause of the protocol. The model must find out about every one of them. */

/** One of them. */
export interface Variant {
  /** The clause, as it is broken. */
  readonly name: string;
  /** Invariants of which at least one is violated. */
  readonly breaks: readonly number[];
  readonly rules: Rules;
  /** What the runs are about in which it shows. */
  readonly profile?: Profile;
}

const order = (changes: Partial<Order>): Rules => ({
  ...realRules,
  order: { ...realRules.order, ...changes },
});

/** The agent decides on other facts than the true ones. */
const believing = (change: (facts: Facts) => Facts, changes: Partial<Order> = {}): Rules => ({
  ...order(changes),
  plan: (facts) => realRules.plan(change(facts)),
});

const deciding = (change: (action: Action, facts: Facts) => Action): Rules => ({
  ...realRules,
  plan: (facts) => change(realRules.plan(facts), facts),
});

/** With another record, where there is one. */
function withRecord(facts: Facts, change: (record: ClusterRecord) => ClusterRecord): Facts {
  return facts.record.kind === "present"
    ? { ...facts, record: { ...facts.record, record: change(facts.record.record) } }
    : facts;
}

function withData(facts: Facts, change: (data: Extract<Disk, { kind: "data" }>) => Disk): Facts {
  return facts.disk.kind === "data" ? { ...facts, disk: change(facts.disk) } : facts;
}

/** With other things said of every copy of the data that was attested. */
function withHoldings(
  facts: Facts,
  change: (holding: Holding, attestation: Attestation, facts: Facts) => Holding,
): Facts {
  const changed = (list: readonly Attestation[]): Attestation[] =>
    list.map((each) => ({
      ...each,
      ...(each.data === undefined ? {} : { data: change(each.data, each, facts) }),
      setAside: each.setAside.map((holding) => change(holding, each, facts)),
    }));
  const { roll } = facts;
  return {
    ...facts,
    roll: {
      ...roll,
      attestations: changed(roll.attestations),
      previous: changed(roll.previous),
    },
  };
}

function phaseOf({ record }: Facts): string {
  return record.kind === "present" ? record.record.phase : record.kind;
}

function blankAttestation(facts: Facts, member: string): Attestation {
  const record = facts.record.kind === "present" ? facts.record.record : undefined;
  return {
    schema: 1,
    clusterUid: record?.clusterUid ?? "",
    epoch: record?.epoch ?? 0,
    member,
    instanceId: "",
    volumeId: record?.roster.find(({ name }) => name === member)?.volumeId ?? "",
    setAside: [],
  };
}

/** Everybody of the roster who has not spoken is taken for blank. */
function hearing(facts: Facts): Facts {
  const roster = facts.record.kind === "present" ? facts.record.record.roster : [];
  const { attestations } = facts.roll;
  const silent = roster.filter(
    ({ name }) => name !== facts.self.member && !attestations.some(({ member }) => member === name),
  );
  return phaseOf(facts) === "rollCall" && attestations.length > 0
    ? {
        ...facts,
        roll: {
          ...facts.roll,
          attestations: [
            ...attestations,
            ...silent.map(({ name }) => blankAttestation(facts, name)),
          ],
        },
      }
    : facts;
}

function reported(facts: Facts): Facts {
  const record = facts.record.kind === "present" ? facts.record.record : undefined;
  const { reports } = facts.roll;
  const silent = (record?.roster ?? []).filter(
    ({ name }) =>
      name !== facts.self.member &&
      !reports.some(({ member, epoch }) => member === name && epoch === record?.epoch),
  );
  return {
    ...facts,
    roll: {
      ...facts.roll,
      reports: [
        ...reports,
        ...silent.map(({ name }) => ({
          ...blankAttestation(facts, name),
          holds: "blank" as const,
        })),
      ],
    },
  };
}

const resizing = (change: (facts: ResizeFacts) => ResizeFacts): Rules => ({
  ...realRules,
  resizeStep: (facts) => realRules.resizeStep(change(facts)),
});

export const variants: readonly Variant[] = [
  // What decides which copy is the newest.
  {
    name: "rank by index instead of (generation, term, index)",
    breaks: [6],
    rules: believing((facts) => withHoldings(facts, (holding) => ({ ...holding, term: 2 }))),
  },
  {
    name: "rank without the generation",
    breaks: [6],
    profile: "any",
    rules: believing((facts) => {
      const generation = facts.record.kind === "present" ? facts.record.record.generation : 0;
      const changed = withHoldings(facts, (holding) =>
        holding.setAside === undefined ? holding : { ...holding, generation },
      );
      const backups = facts.roll.backups.map((backup) => ({
        ...backup,
        rank: { ...backup.rank, generation },
      }));
      return { ...changed, roll: { ...changed.roll, backups } };
    }),
  },
  {
    name: "backups are not looked at",
    breaks: [6, 7],
    rules: believing((facts) => ({ ...facts, roll: { ...facts.roll, backups: [] } })),
  },
  {
    name: "sources of earlier generations are forgotten",
    breaks: [6, 7],
    profile: "disks",
    rules: believing((facts) => withRecord(facts, (record) => ({ ...record, earlierSources: [] }))),
  },
  {
    name: "set-aside data is not sworn to",
    breaks: [6, 7],
    profile: "disks",
    rules: order({ attestSetAside: false }),
  },
  {
    name: "commit not raised in the copy of a survivor",
    breaks: [6],
    rules: order({ raiseCommit: false }),
  },
  {
    name: "backups listed before the attestations were read",
    breaks: [6],
    profile: "bucket",
    rules: order({ backupsLast: false }),
  },
  {
    name: "attests while a backup is being uploaded",
    breaks: [6],
    profile: "bucket",
    rules: order({ waitForUploads: false }),
  },
  {
    name: "a source is named before it was verified",
    breaks: [7],
    rules: order({ verifySource: false }),
  },

  // Who goes on with the same generation.
  {
    name: "learner counted as a voter",
    breaks: [7],
    rules: believing((facts) =>
      withHoldings(facts, (holding) => {
        const ids = facts.roll.attestations.flatMap(({ data }) => data?.id ?? []);
        return { ...holding, votersAtCommit: ids, votersAtLast: ids };
      }),
    ),
  },
  {
    name: "reopen by the configuration at the commit index only",
    breaks: [7],
    profile: "resize",
    rules: believing((facts) =>
      withHoldings(facts, (holding) => ({ ...holding, votersAtLast: holding.votersAtCommit })),
    ),
  },
  {
    name: "reopen by the configuration at the last entry only",
    breaks: [7],
    profile: "resize",
    rules: believing((facts) =>
      withHoldings(facts, (holding) => ({ ...holding, votersAtCommit: holding.votersAtLast })),
    ),
  },
  {
    name: "a member whose own log says that it was removed is counted",
    breaks: [7],
    profile: "resize",
    rules: believing((facts) => withHoldings(facts, (holding) => ({ ...holding, removed: false }))),
  },
  {
    name: "damaged data counts as intact",
    breaks: [7],
    rules: believing((facts) =>
      withHoldings(facts, (holding) => {
        const { damage, ...rest } = holding;
        return damage === undefined ? holding : rest;
      }),
    ),
  },
  {
    name: "a network fault is assumed whatever the last roll call found",
    breaks: [7],
    rules: deciding((action) =>
      action.kind === "callRoll" && action.record.epoch > 1
        ? { kind: "wait", name: "network", needs: "members that reach each other" }
        : action,
    ),
  },

  // Being accounted for.
  {
    name: "roll call with a silent member",
    breaks: [5],
    rules: believing(hearing),
  },
  {
    name: "roll called while one is silent",
    breaks: [5],
    rules: believing(reported),
  },
  {
    name: "attestations of an earlier epoch count",
    breaks: [1, 5, 6],
    rules: order({ epochs: false }),
  },
  {
    name: "an operator's restore without fencing",
    breaks: [1],
    profile: "cut",
    rules: order({ fence: false }),
  },
  {
    name: "recovery: manual is not heeded",
    breaks: [5],
    rules: believing((facts) => ({ ...facts, self: { ...facts.self, recovery: "automatic" } })),
  },
  {
    name: "a name leaves the roster before etcd has removed it",
    breaks: [5, 7],
    profile: "resize",
    rules: {
      ...realRules,
      resizeStep: (facts) => {
        const step = realRules.resizeStep(facts);
        return step.kind === "remove" && step.name !== undefined
          ? { kind: "drop", name: step.name }
          : step;
      },
    },
  },
  {
    name: "a removal is confirmed by one voter instead of all",
    breaks: [6],
    profile: "resize",
    rules: resizing((facts) => ({
      ...facts,
      views: new Map(
        [...facts.views.keys()].map((name) => [
          name,
          { clusterId: facts.clusterId, ids: facts.members.map(({ id }) => id) },
        ]),
      ),
    })),
  },
  {
    name: "a member gets its vote without a place in the roster",
    breaks: [5],
    profile: "resize",
    rules: believing((facts) => {
      const learner = facts.live.running && facts.live.learner && facts.disk.kind === "data";
      return learner && facts.record.kind === "present"
        ? withRecord(facts, (record) => ({
            ...record,
            roster: [
              ...record.roster.filter(({ name }) => name !== facts.self.member),
              { name: facts.self.member, address: "", volumeId: facts.self.volumeId },
            ],
          }))
        : facts;
    }),
  },

  // Held.
  {
    name: "held not checked",
    breaks: [1],
    profile: "cut",
    rules: believing(
      (facts) =>
        phaseOf(facts) === "unreachable"
          ? withData(facts, ({ kind, marker }) => ({ kind, marker }))
          : facts,
      { secondGuards: false },
    ),
  },
  {
    name: "attests without being held",
    breaks: [1],
    profile: "cut",
    rules: believing(
      (facts) =>
        withData(facts, (data) =>
          facts.record.kind === "present" && facts.record.record.phase === "rollCall"
            ? { ...data, held: facts.record.record.epoch }
            : data,
        ),
      { hold: false },
    ),
  },
  {
    name: "attest while running",
    breaks: [1, 6],
    profile: "cut",
    rules: believing(
      (facts) =>
        phaseOf(facts) === "rollCall"
          ? { ...facts, live: { ...facts.live, running: false, quorum: false } }
          : facts,
      { stopToAttest: false },
    ),
  },
  {
    name: "what was blank is sworn to as data, unheld",
    breaks: [1],
    profile: "cut",
    rules: order({ lookAgain: false }),
  },
  {
    name: "held, and killed before etcd was stopped: left as it is",
    breaks: [7],
    profile: "agents",
    rules: deciding((action, { live, disk }) =>
      action.kind === "start" && live.running && disk.kind === "data" && disk.held !== undefined
        ? { kind: "idle" }
        : action,
    ),
  },
  {
    name: "starts without the record on a machine that did not read it open",
    breaks: [1],
    profile: "cut",
    rules: believing(
      (facts) =>
        phaseOf(facts) === "unreachable"
          ? withData(facts, (data) => ({
              ...data,
              marker: { ...data.marker, instanceId: facts.self.instanceId },
            }))
          : facts,
      { secondGuards: false },
    ),
  },
  {
    name: "losing S3 stops members",
    breaks: [8],
    rules: deciding((action, { record, live, disk, self }) =>
      record.kind === "unreachable" && live.running && disk.kind === "data"
        ? { kind: "setAside", generation: disk.marker.generation, because: self.member }
        : action,
    ),
  },
  {
    name: "no lock among a machine's processes",
    breaks: [1, 3, 6],
    profile: "cut",
    rules: order({ lock: false, secondGuards: false, release: "always" }),
  },

  // Identities, volumes and first starts.
  {
    name: "joined after start instead of before",
    breaks: [3, 6],
    profile: "any",
    rules: order({ joinFirst: false }),
  },
  {
    name: "no intent before joined",
    breaks: [7],
    rules: order({ intent: false }),
  },
  {
    name: "marker without log treated as new",
    breaks: [3],
    rules: believing((facts) => {
      const { disk } = facts;
      return disk.kind === "blank" && disk.marker !== undefined
        ? { ...facts, disk: { ...disk, intent: disk.marker } }
        : facts;
    }),
  },
  {
    name: "another volume than the roster's is new",
    breaks: [3, 7],
    profile: "disks",
    rules: believing((facts) =>
      facts.disk.kind === "blank"
        ? withRecord(facts, (record) => ({
            ...record,
            joined: record.joined.filter(
              (name) =>
                name !== facts.self.member ||
                record.roster.find((entry) => entry.name === name)?.volumeId ===
                  facts.self.volumeId,
            ),
            roster: record.roster.map((entry) =>
              entry.name === facts.self.member
                ? { ...entry, volumeId: facts.self.volumeId }
                : entry,
            ),
          }))
        : facts,
    ),
  },
  {
    name: "a copy of the volume is taken for the volume",
    breaks: [3, 7],
    profile: "any",
    rules: believing((facts) =>
      withRecord(
        withData(facts, (data) => ({
          ...data,
          marker: { ...data.marker, volumeId: facts.self.volumeId },
        })),
        (record) => ({
          ...record,
          roster: record.roster.map((entry) =>
            entry.name === facts.self.member ? { ...entry, volumeId: facts.self.volumeId } : entry,
          ),
        }),
      ),
    ),
  },
  {
    name: "data of an older generation is started",
    breaks: [1, 2, 3, 7],
    profile: "any",
    rules: believing((facts) =>
      withData(facts, (data) => ({
        ...data,
        marker: {
          ...data.marker,
          generation:
            facts.record.kind === "present"
              ? facts.record.record.generation
              : data.marker.generation,
        },
      })),
    ),
  },
  {
    name: "comes back under the same id, without data",
    breaks: [3, 6, 7],
    rules: order({ rejoinAs: "sameId" }),
  },
  {
    name: "a volume is formatted whatever is on it",
    breaks: [4],
    rules: order({ formatOnlyBlank: false }),
  },
  {
    name: "data is deleted instead of set aside",
    breaks: [4],
    rules: order({ keepSetAside: false }),
  },
  {
    name: "a volume that entered the roster counts as used",
    breaks: [7],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        withEntered: (record, member) => {
          const entered = realRules.transitions.withEntered(record, member);
          return { ...entered, roster: entered.roster.map((each) => ({ ...each, used: true })) };
        },
      },
    },
  },

  // The record.
  {
    name: "puts do not depend on the version that was read",
    breaks: [1, 5],
    rules: order({ conditional: false }),
  },
  {
    name: "formed is never set",
    breaks: [6],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        withJoined: (record, member) => ({
          ...realRules.transitions.withJoined(record, member),
          formed: false,
        }),
      },
    },
  },
  {
    name: "formed is set only by the put after the one that makes a quorum",
    breaks: [6],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        withJoined: (record, member) => ({
          ...realRules.transitions.withJoined(record, member),
          formed: record.formed || record.joined.length * 2 > record.initial.length,
        }),
      },
    },
  },
  {
    name: "the next generation keeps its predecessor's token",
    breaks: [2, 3, 6],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        nextGeneration: (record, attestations, source) => ({
          ...realRules.transitions.nextGeneration(record, attestations, source),
          token: record.token,
        }),
      },
    },
  },
  {
    name: "the next generation keeps the recorded volumes, not the attested ones",
    breaks: [7],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        nextGeneration: (record, attestations, source) => ({
          ...realRules.transitions.nextGeneration(record, attestations, source),
          roster: record.roster.filter(({ leaving }) => leaving !== true),
        }),
      },
    },
  },
  {
    name: "who has joined is carried into the next generation",
    breaks: [7],
    rules: {
      ...realRules,
      transitions: {
        ...realRules.transitions,
        nextGeneration: (record, attestations, source) => ({
          ...realRules.transitions.nextGeneration(record, attestations, source),
          joined: record.joined,
        }),
      },
    },
  },
  {
    name: "the record is not made by a first member whose volume is gone",
    breaks: [7],
    rules: deciding((action, { disk }) =>
      action.kind === "createRecord" && disk.kind === "gone"
        ? { kind: "wait", name: "record", needs: "the cluster record" }
        : action,
    ),
  },
  {
    name: "a removal that only the own log knows is not believed",
    breaks: [7],
    profile: "resize",
    rules: believing((facts) =>
      facts.live.removed && !facts.live.quorum
        ? { ...facts, live: { ...facts.live, removed: false } }
        : facts,
    ),
  },
];
