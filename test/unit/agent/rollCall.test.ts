import type { Attestation, Holding } from "../../../scripts/agent/attestation";
import { isIntact } from "../../../scripts/agent/attestation";
import type { BackupFact, Facts } from "../../../scripts/agent/facts";
import { plan } from "../../../scripts/agent/plan";
import { compareRanks } from "../../../scripts/agent/rank";
import type { ClusterRecord } from "../../../scripts/agent/record";
import { judgeRoll } from "../../../scripts/agent/rollCall";
import {
  attestation,
  facts,
  holding,
  ids,
  live,
  marker,
  present,
  record,
  report,
  roll,
  volumes,
  word,
} from "./facts";

const members = ["m1", "m2", "m3"] as const;
type Member = (typeof members)[number];

const alone = { ...live, running: true, withoutQuorumSeconds: 200 };
const sha = (digit: string): string => digit.repeat(64);
const backup = (digit: string, rank: BackupFact["rank"]): BackupFact => ({
  key: `backups/m1/${digit}.db`,
  sha256: sha(digit),
  rank,
});
const named = (digit: string, rank: BackupFact["rank"]) => ({
  key: `control/sources/${sha(digit)}`,
  sha256: sha(digit),
  rank,
});

/** What m1 does without a quorum, while the record is open. */
function open(changes: Partial<Facts["roll"]>, recordChanges: Partial<ClusterRecord> = {}) {
  return plan(
    facts({ live: alone, roll: { ...roll, ...changes }, record: present(recordChanges) }),
  );
}

/** What a member does that has attested, in the roll call of epoch 2. */
function rolled(
  member: Member,
  attestations: readonly Attestation[],
  changes: Partial<Facts["roll"]> = {},
  recordChanges: Partial<ClusterRecord> = {},
  selfChanges: Partial<Facts["self"]> = {},
) {
  const blank = attestations.find((each) => each.member === member)?.data === undefined;
  return plan(
    facts({
      self: { ...facts().self, member, volumeId: volumes[member], ...selfChanges },
      disk: blank
        ? { kind: "blank", formatted: true, setAside: [] }
        : { kind: "data", marker: marker({ member, volumeId: volumes[member] }), held: 2 },
      record: present({ phase: "rollCall", epoch: 2, ...recordChanges }),
      roll: { ...roll, attestations, ...changes },
    }),
  );
}

const all = (make: (member: Member) => Holding | undefined): Attestation[] =>
  members.map((member) => attestation(member, make(member)));
const survivor = (member: Member, changes: Partial<Holding> = {}): Attestation[] =>
  all((each) => (each === member ? holding(each, changes) : undefined));

describe("before the roll is called", () => {
  it("nobody does it while one is silent, in another epoch, or has taken it back", () => {
    const two = [report("m1"), report("m2")];
    expect(open({ reports: two })).toMatchObject({
      name: "quorum",
      needs: expect.stringContaining("for m3 to say") as unknown,
    });
    for (const third of [report("m3", "withdrawn"), report("m3", "data", { epoch: 2 })]) {
      expect(word(open({ reports: [...two, third] }))).toBe("wait:quorum");
    }
  });

  it("it is called when all have said so, or are blank, or damaged", () => {
    for (const holds of ["data", "blank", "damaged"] as const) {
      const reports = [report("m1"), report("m2"), report("m3", holds)];
      expect(open({ reports })).toEqual({ kind: "callRoll", record: record() });
    }
  });

  it.each([
    ["another machine", { instanceId: "i-0000000f" }],
    ["another volume", { volumeId: volumes.m2 }],
    ["blank then", { holds: "blank" as const }],
    ["another epoch", { epoch: 3 }],
    ["another cluster", { clusterUid: "00000000-6d7c-4d55-9a55-0d3c3a1f7b11" }],
  ])("a report of this member, but of %s, is made anew", (_, changes) => {
    const reports = [report("m1", "data", changes), report("m2"), report("m3")];
    expect(word(open({ reports }))).toBe("report");
  });

  it("a source that cannot be read is part of the report", () => {
    const source = {
      ...named("5", { generation: 1, term: 2, index: 3 }),
      kind: "snapshot",
      bump: 1,
    } as const;
    const reports = members.map((member) => report(member));
    expect(word(open({ reports, unreadable: [sha("5")] }, { source }))).toBe("report");
    const told = [report("m1", "data", { unreadable: sha("5") }), ...reports.slice(1)];
    expect(word(open({ reports: told, unreadable: [sha("5")] }, { source }))).toBe("callRoll");
    expect(word(open({ reports: told }, { source }))).toBe("report");
  });

  it("a network fault is not asked about twice, until a machine, a volume or a disk changes", () => {
    const reports = members.map((member) => report(member));
    const previous = all(holding);
    expect(word(open({ reports, previous }))).toBe("wait:network");
    expect(word(open({ reports, previous: previous.slice(1) }))).toBe("callRoll");
    for (const changes of [{ instanceId: "i-0000000f" }, { volumeId: "vol-0000000f" }]) {
      const other = [...reports.slice(0, 2), report("m3", "data", changes)];
      expect(word(open({ reports: other, previous }))).toBe("callRoll");
    }
    const blank = [...reports.slice(0, 2), report("m3", "blank")];
    expect(word(open({ reports: blank, previous }))).toBe("callRoll");
    const damaged = [...previous.slice(0, 2), attestation("m3", holding("m3", { damage: "d" }))];
    expect(word(open({ reports, previous: damaged }))).toBe("callRoll");
  });

  it("but when something was committed since: there was a quorum, and members may have changed", () => {
    const previous = all((member) => holding(member, { commit: 90 }));
    const after = (commit: number) => members.map((member) => report(member, "data", { commit }));
    expect(word(open({ reports: after(90), previous }))).toBe("wait:network");
    expect(word(open({ reports: after(91), previous }))).toBe("callRoll");
  });

  it("nor with one that is as blank, or as damaged, as it was; but when the last one could not go on", () => {
    const reports = [report("m1"), report("m2"), report("m3", "blank")];
    const previous = all((member) => (member === "m3" ? undefined : holding(member)));
    expect(word(open({ reports, previous }))).toBe("wait:network");
    const damaged = all((member) => holding(member, member === "m3" ? { damage: "d" } : {}));
    expect(word(open({ reports, previous: damaged }))).toBe("callRoll");
    const told = [...reports.slice(0, 2), report("m3", "damaged")];
    expect(word(open({ reports: told, previous: damaged }))).toBe("wait:network");
    const four = [...Object.values(ids), "a4", "a5"];
    const few = all((member) => holding(member, { votersAtCommit: four, votersAtLast: four }));
    expect(
      word(open({ reports: few.map(({ member }) => report(member as Member)), previous: few })),
    ).toBe("wait:network");
    const fewer = few.map((each) => ({
      ...each,
      data: { ...holding("m1"), id: ids.m1, votersAtCommit: four, votersAtLast: four },
    }));
    expect(
      word(open({ reports: fewer.map(({ member }) => report(member as Member)), previous: fewer })),
    ).toBe("callRoll");
  });
});

describe("who goes on with the same generation", () => {
  const verdict = (attestations: Attestation[]): string =>
    judgeRoll(record(), { ...roll, attestations }).kind;

  it("a majority of the voters, whatever the third has", () => {
    const third = [undefined, holding("m3", { damage: "d" }), holding("m3", { generation: 1 })];
    for (const data of third) {
      expect(verdict(all((member) => (member === "m3" ? data : holding(member))))).toBe("reopen");
    }
  });

  it("not a minority, a damaged majority, or one of an older generation", () => {
    expect(verdict(survivor("m1"))).toBe("source");
    expect(verdict(all((member) => holding(member, { damage: "d" })))).toBe("source");
    const older = all((member) => holding(member));
    expect(judgeRoll(record({ generation: 2 }), { ...roll, attestations: older }).kind).toBe(
      "source",
    );
  });

  it("ids count, not names: a learner and a member that came back under another id have no vote", () => {
    const learner = all((member) =>
      member === "m1"
        ? undefined
        : holding(member, {
            id: member === "m2" ? ids.m2 : "b3",
            votersAtCommit: [ids.m1, ids.m2, "a3"],
            votersAtLast: [ids.m1, ids.m2, "a3"],
          }),
    );
    expect(verdict(learner)).toBe("source");
  });

  it("of both configurations, the one at the commit index and the one at the last entry", () => {
    const four = [...Object.values(ids), "a4", "a5"];
    const two = (changes: Partial<Holding>): Attestation[] =>
      all((member) => (member === "m3" ? undefined : holding(member, changes)));
    expect(verdict(two({}))).toBe("reopen");
    expect(verdict(two({ votersAtLast: four }))).toBe("source");
    expect(verdict(two({ votersAtCommit: four }))).toBe("source");
    expect(verdict(two({ votersAtLast: [], votersAtCommit: [] }))).toBe("source");
  });

  it("only with somebody whose log is not older than those of the voters that he needs", () => {
    // m1 knows that m2 was removed, and runs alone; m2 does not run any more, and knows nobody else.
    const gone = holding("m2", {
      removed: true,
      votersAtCommit: [ids.m1],
      votersAtLast: [ids.m1],
    });
    const stays = (changes: Partial<Holding>): Attestation[] =>
      all((member) =>
        member === "m3" ? undefined : member === "m2" ? gone : holding("m1", changes),
      );
    const two = [ids.m1, ids.m2];
    expect(verdict(stays({ votersAtCommit: two, votersAtLast: [ids.m1] }))).toBe("source");
    expect(verdict(stays({ votersAtCommit: [ids.m1], votersAtLast: [ids.m1] }))).toBe("reopen");
    expect(verdict(stays({ votersAtCommit: two, votersAtLast: two }))).toBe("source");
    const newer = all((member) =>
      member === "m3" ? undefined : holding(member, { index: member === "m2" ? 101 : 100 }),
    );
    expect(verdict(newer)).toBe("reopen");
    const learnerIsNewer = newer.map((each) =>
      each.member === "m2" && each.data !== undefined
        ? { ...each, data: { ...each.data, votersAtCommit: [ids.m1, ids.m3] } }
        : each,
    );
    expect(verdict(learnerIsNewer)).toBe("source");
  });

  it("and then each closes the roll call", () => {
    for (const member of members) {
      expect(rolled(member, all(holding))).toMatchObject({ kind: "closeRoll" });
    }
  });
});

describe("the choice of the source", () => {
  const choose = (
    attestations: Attestation[],
    changes: Partial<Facts["roll"]> = {},
    recordChanges: Partial<ClusterRecord> = {},
  ) => {
    const verdict = judgeRoll(record(recordChanges), { ...roll, attestations, ...changes });
    return verdict.kind === "source" && verdict.copy !== "new"
      ? [verdict.copy.holder, verdict.copy.source.kind]
      : verdict.kind === "source"
        ? "new"
        : verdict.kind;
  };
  const old = { generation: 1, term: 2, index: 500 };
  const equal = { generation: 1, term: 3, index: 100 };
  const newer = { generation: 1, term: 3, index: 101 };

  it("goes by generation, then term, then index", () => {
    expect(choose(survivor("m2"), { backups: [backup("1", old)] })).toEqual(["m2", "own"]);
    expect(choose(survivor("m2"), { backups: [backup("1", newer)] })).toEqual([
      undefined,
      "backup",
    ]);
    const next = { generation: 2, term: 1, index: 1 };
    expect(choose(survivor("m2"), { backups: [backup("1", next)] }, { generation: 2 })).toEqual([
      undefined,
      "backup",
    ]);
  });

  it("prefers a survivor to a backup that is as new", () => {
    expect(choose(survivor("m2"), { backups: [backup("1", equal)] })).toEqual(["m2", "own"]);
  });

  it("of survivors with the same log takes one that is sound, and a voter's", () => {
    const same = (changes: Partial<Record<Member, Partial<Holding>>>) =>
      all((member) => (member === "m3" ? undefined : holding(member, changes[member])));
    const few = { votersAtCommit: Object.values(ids), votersAtLast: [ids.m2] };
    expect(choose(same({ m1: { damage: "d" }, m2: { removed: true } }))).toEqual(["m2", "own"]);
    const left = { m1: { ...few, removed: true }, m2: { ...few, damage: "d", index: 99 } };
    expect(choose(same(left))).toEqual(["m1", "own"]);
    expect(
      choose(
        same({
          m1: { ...few, removed: true },
          m2: { votersAtLast: [ids.m2], votersAtCommit: [ids.m1, ids.m2] },
        }),
      ),
    ).toEqual(["m2", "own"]);
  });

  it("counts data that was set aside, and damaged data", () => {
    const folder = "set-aside-1-2026";
    const aside = members.map((member) =>
      attestation(member, undefined, {
        setAside: member === "m3" ? [holding("m3", { setAside: folder })] : [],
      }),
    );
    expect(choose(aside, { backups: [backup("1", old)] })).toEqual(["m3", "own"]);
    expect(rolled("m3", aside)).toMatchObject({ kind: "propose", source: { folder } });
    expect(
      choose(survivor("m1", { damage: "d", index: 101 }), { backups: [backup("1", equal)] }),
    ).toEqual(["m1", "own"]);
  });

  it("a learner that had received nothing is no copy", () => {
    const empty = survivor("m2", { term: 0, index: 0, votersAtCommit: [], votersAtLast: [] });
    expect(choose(empty)).toBe("nothing");
    const source = { ...named("5", old), kind: "snapshot", bump: 1 } as const;
    expect(choose(empty, {}, { source })).toEqual([undefined, "named"]);
  });

  it("leaves out what cannot be read, here or elsewhere", () => {
    const one = { backups: [backup("1", newer), backup("2", old)] };
    expect(
      choose(
        all(() => undefined),
        { ...one, unreadable: [sha("1")] },
      ),
    ).toEqual([undefined, "backup"]);
    expect(
      choose(
        all(() => undefined),
        { backups: [backup("1", old)], unreadable: [sha("1")] },
      ),
    ).toBe("nothing");
    const told = members.map((member) =>
      attestation(member, undefined, member === "m2" ? { unreadable: sha("1") } : {}),
    );
    expect(choose(told, { backups: [backup("1", old)] })).toBe("nothing");
  });

  it("the generation's own source is older than anything of the generation, and newer than all before", () => {
    const source = { ...named("5", old), kind: "snapshot", bump: 1 } as const;
    const second = { generation: 2, source, earlierSources: [named("4", newer)] };
    const blank = all(() => undefined);
    expect(choose(blank, { backups: [backup("1", newer)] }, second)).toEqual([undefined, "named"]);
    const ofTwo = backup("2", { generation: 2, term: 1, index: 3 });
    expect(choose(blank, { backups: [ofTwo] }, second)).toEqual([undefined, "backup"]);
    const unreadable = { backups: [backup("1", old)], unreadable: [sha("5")] };
    expect(
      judgeRoll(record(second), { ...roll, attestations: blank, ...unreadable }),
    ).toMatchObject({ copy: { source: { sha256: sha("4") } } });
  });

  it("all blank and no copy anywhere: new, unless the generation may have acknowledged a write", () => {
    const blank = all(() => undefined);
    expect(choose(blank, {}, { formed: false })).toBe("new");
    const source = { ...named("5", old), kind: "snapshot", bump: 1 } as const;
    expect(choose(blank, { unreadable: [sha("5")] }, { source, formed: false })).toBe("nothing");
    expect(choose(blank)).toBe("nothing");
    expect(rolled("m1", blank, {}, { formed: false })).toMatchObject({ source: { kind: "new" } });
    expect(word(rolled("m1", blank))).toBe("wait:noSource");
  });
});

describe("a member that has attested", () => {
  it("waits for those that have not, by name, and closes a roll call in which nothing moves", () => {
    const two = survivor("m1").slice(0, 2);
    expect(rolled("m1", two)).toMatchObject({
      name: "rollCall",
      needs: expect.stringMatching(/^m3 to say/) as unknown,
    });
    expect(word(rolled("m1", two, { stalledSeconds: 600 }))).toBe("wait:rollCall");
    expect(word(rolled("m1", two, { stalledSeconds: 601 }))).toBe("closeRoll");
  });

  it("hands over its copy, or waits for who has it", () => {
    expect(rolled("m2", survivor("m2"))).toMatchObject({
      kind: "propose",
      source: { kind: "own", rank: { generation: 1, term: 3, index: 100 } },
    });
    expect(word(rolled("m1", survivor("m2")))).toBe("wait:rollCall");
    expect(word(rolled("m1", survivor("m2"), { stalledSeconds: 601 }))).toBe("closeRoll");
  });

  it("says when its copy cannot be used, and gives up later", () => {
    const reason = { notRecoverable: "it is a learner's" };
    expect(word(rolled("m2", survivor("m2"), reason))).toBe("wait:survivor");
    expect(word(rolled("m2", survivor("m2"), { ...reason, stalledSeconds: 601 }))).toBe(
      "closeRoll",
    );
  });

  it("closes the roll call when it no longer has what it attested", () => {
    const stale = [attestation("m1", holding("m1")), ...all(() => undefined).slice(1)];
    const blank = facts({
      disk: { kind: "blank", formatted: true, setAside: [] },
      record: present({ phase: "rollCall", epoch: 2 }),
      roll: { ...roll, attestations: stale },
    });
    expect(word(plan(blank))).toBe("closeRoll");
    const volumeId = "vol-0000000f";
    const other = { self: { ...blank.self, volumeId }, roll: { ...roll, attestations: stale } };
    expect(word(plan({ ...blank, ...other }))).toBe("closeRoll");
  });

  it("leaves the next generation to a person when recovery is manual, but not going on as before", () => {
    const manual = { recovery: "manual" } as const;
    expect(word(rolled("m2", survivor("m2"), {}, {}, manual))).toBe("wait:operator");
    expect(word(rolled("m2", all(holding), {}, {}, manual))).toBe("closeRoll");
  });
});

describe("ranks and intactness", () => {
  it("compare generation, term, index, in this order", () => {
    const ascending = [
      { generation: 1, term: 1, index: 9 },
      { generation: 1, term: 2, index: 3 },
      { generation: 1, term: 2, index: 4 },
      { generation: 2, term: 0, index: 0 },
    ];
    const shuffled = [2, 0, 3, 1].flatMap((at) => ascending[at] ?? []);
    expect(shuffled.sort(compareRanks)).toEqual(ascending);
  });

  it("a copy is intact in its generation only, undamaged, and with an id", () => {
    expect(isIntact(holding("m1"), 1)).toBe(true);
    expect(isIntact(holding("m1"), 2)).toBe(false);
    expect(isIntact(holding("m1", { damage: "d" }), 1)).toBe(false);
    expect(isIntact({ ...holding("m1"), id: undefined }, 1)).toBe(false);
    expect(isIntact(undefined, 1)).toBe(false);
  });
});
