import { believing, changing, deciding, order, phaseOf, withData, withRecord } from "./broken";
import { realRules } from "./rules";
import type { Variant } from "./variants";

/** Broken: who may start what, identities and volumes, and the record. */
export const variantsOfStarts: readonly Variant[] = [
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
    rules: changing({
      withEntered: (record, member) => {
        const entered = realRules.transitions.withEntered(record, member);
        return { ...entered, roster: entered.roster.map((each) => ({ ...each, used: true })) };
      },
    }),
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
    rules: changing({
      withJoined: (record, member) => ({
        ...realRules.transitions.withJoined(record, member),
        formed: false,
      }),
    }),
  },
  {
    name: "formed is set only by the put after the one that makes a quorum",
    breaks: [6],
    near: 56,
    rules: changing({
      withJoined: (record, member) => ({
        ...realRules.transitions.withJoined(record, member),
        formed: record.formed || record.joined.length * 2 > record.initial.length,
      }),
    }),
  },
  {
    name: "the next generation keeps its predecessor's token",
    breaks: [2, 3, 6],
    near: 3,
    rules: changing({
      nextGeneration: (record, attestations, source) => ({
        ...realRules.transitions.nextGeneration(record, attestations, source),
        token: record.token,
      }),
    }),
  },
  {
    name: "the next generation keeps the recorded volumes, not the attested ones",
    breaks: [7],
    near: 3,
    rules: changing({
      nextGeneration: (record, attestations, source) => ({
        ...realRules.transitions.nextGeneration(record, attestations, source),
        roster: record.roster.filter(({ leaving }) => leaving !== true),
      }),
    }),
  },
  {
    name: "who has joined is carried into the next generation",
    breaks: [7],
    near: 3,
    rules: changing({
      nextGeneration: (record, attestations, source) => ({
        ...realRules.transitions.nextGeneration(record, attestations, source),
        joined: record.joined,
      }),
    }),
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
