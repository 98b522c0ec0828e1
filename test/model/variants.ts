import {
  believing,
  deciding,
  hearing,
  order,
  phaseOf,
  reported,
  resizing,
  withData,
  withHoldings,
  withRecord,
} from "./broken";
import { realRules, type Rules } from "./rules";
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
  /** A seed with which it is known to show: looked at first. */
  readonly near?: number;
}

export const variants: readonly Variant[] = [
  // What decides which copy is the newest.
  {
    name: "rank by index instead of (generation, term, index)",
    breaks: [6],
    near: 16,
    rules: believing((facts) => withHoldings(facts, (holding) => ({ ...holding, term: 2 }))),
  },
  {
    name: "rank without the generation",
    breaks: [6],
    near: 776,
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
    near: 23,
    rules: believing((facts) => ({ ...facts, roll: { ...facts.roll, backups: [] } })),
  },
  {
    name: "set-aside data is not sworn to",
    breaks: [6, 7],
    near: 528,
    profile: "disks",
    rules: order({ attestSetAside: false }),
  },
  {
    name: "commit not raised in the copy of a survivor",
    breaks: [6],
    near: 26,
    rules: order({ raiseCommit: false }),
  },
  {
    name: "a source is named before it was verified",
    breaks: [7],
    near: 54,
    rules: order({ verifySource: false }),
  },

  // Who goes on with the same generation.
  {
    name: "learner counted as a voter",
    breaks: [7],
    near: 3,
    rules: believing((facts) =>
      withHoldings(facts, (holding) => {
        const ids = facts.roll.attestations.flatMap(({ data }) => data?.id ?? []);
        return { ...holding, votersAtCommit: ids, votersAtLast: ids };
      }),
    ),
  },
  {
    name: "reopen by the configuration at the last entry only",
    breaks: [7],
    near: 239,
    profile: "resize",
    rules: believing((facts) =>
      withHoldings(facts, (holding) => ({ ...holding, votersAtCommit: holding.votersAtLast })),
    ),
  },
  {
    name: "a member whose own log says that it was removed is counted, and goes on",
    breaks: [7],
    near: 411,
    profile: "resize",
    rules: believing((facts) => {
      const changed = withHoldings(facts, (holding) => ({ ...holding, removed: false }));
      return facts.live.removed && !facts.live.quorum
        ? { ...changed, live: { ...facts.live, removed: false } }
        : changed;
    }),
  },
  {
    name: "a generation that never formed is followed by an empty one, whatever it began with",
    breaks: [6],
    near: 60,
    profile: "sources",
    rules: deciding((action, { record, roll, disk }) =>
      action.kind === "wait" &&
      action.name === "noSource" &&
      record.kind === "present" &&
      !record.record.formed &&
      roll.attestations.every(({ data }) => data === undefined) &&
      disk.kind === "blank"
        ? { kind: "propose", record: record.record, source: { kind: "new" } }
        : action,
    ),
  },
  {
    name: "damaged data counts as intact",
    breaks: [7],
    near: 73,
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
    near: 5,
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
    near: 3,
    rules: believing(hearing),
  },
  {
    name: "roll called while one is silent",
    breaks: [5],
    near: 3,
    rules: believing(reported),
  },
  {
    name: "attestations of an earlier epoch count",
    breaks: [1, 5, 6],
    near: 7,
    rules: order({ epochs: false }),
  },
  {
    name: "an operator's restore without fencing",
    breaks: [1],
    near: 8,
    profile: "cut",
    rules: order({ fence: false }),
  },
  {
    name: "recovery: manual is not heeded",
    breaks: [5],
    near: 18,
    rules: believing((facts) => ({ ...facts, self: { ...facts.self, recovery: "automatic" } })),
  },
  {
    name: "a name leaves the roster before etcd has removed it",
    breaks: [5, 7],
    near: 2,
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
    near: 463,
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

  // Held.
  {
    name: "held not checked",
    breaks: [1],
    near: 69,
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
    near: 69,
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
    near: 59,
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
    name: "starts without the record on a machine that did not read it open",
    breaks: [1],
    near: 8,
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

  // Identities, volumes and first starts.
  {
    name: "joined after start instead of before",
    breaks: [3, 6],
    near: 29,
    profile: "any",
    rules: order({ joinFirst: false }),
  },
  {
    name: "no intent before joined",
    breaks: [7],
    near: 6,
    rules: order({ intent: false }),
  },
  {
    name: "marker without log treated as new",
    breaks: [3],
    near: 41,
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
    near: 2,
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
    near: 8,
    rules: order({ rejoinAs: "sameId" }),
  },
  {
    name: "a joining etcd asks members that have left who it is",
    breaks: [3, 6],
    near: 408,
    profile: "resize",
    rules: order({ peers: "anyone" }),
  },
  {
    name: "a volume is formatted whatever is on it",
    breaks: [4],
    near: 3,
    rules: order({ formatOnlyBlank: false }),
  },
  {
    name: "data is deleted instead of set aside",
    breaks: [4],
    near: 3,
    rules: order({ keepSetAside: false }),
  },
  {
    name: "a volume that entered the roster counts as used",
    breaks: [7],
    near: 8,
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
    near: 11,
    rules: order({ conditional: false }),
  },
  {
    name: "formed is never set",
    breaks: [6],
    near: 56,
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
    near: 56,
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
    near: 3,
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
    near: 3,
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
    near: 3,
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
    near: 18,
    rules: deciding((action, { disk }) =>
      action.kind === "createRecord" && disk.kind === "gone"
        ? { kind: "wait", name: "record", needs: "the cluster record" }
        : action,
    ),
  },
];
