import { believing, deciding, hearing, order, reported, resizing, withHoldings } from "./broken";
import { realRules } from "./rules";
import type { Variant } from "./variants";

/** Broken: which copy is the newest, who goes on, and who must be accounted for. */
export const variantsOfRolls: readonly Variant[] = [
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
];
