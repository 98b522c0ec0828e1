import type { Action, Facts } from "../../../scripts/agent/facts";
import type { Disk, SetAside } from "../../../scripts/agent/marker";
import { plan } from "../../../scripts/agent/plan";
import {
  absent,
  attestation,
  clusterUid,
  facts,
  holding,
  live,
  marker,
  present,
  record,
  report,
  roll,
  unreachable,
  volumes,
  word,
} from "./facts";

const intent = { clusterUid, member: "m1", volumeId: volumes.m1, generation: 1 };
const otherUid = "00000000-6d7c-4d55-9a55-0d3c3a1f7b11";
const otherMachine = { ...facts().self, instanceId: "i-0000000f" };

type Blank = Extract<Disk, { kind: "blank" }>;
type Data = Extract<Disk, { kind: "data" }>;

function blankWith(changes: Partial<Blank> = {}): Blank {
  return { kind: "blank", formatted: true, setAside: [], ...changes };
}
function dataWith(changes: Partial<Data> = {}): Data {
  return { kind: "data", marker: marker(), ...changes };
}

const blank = blankWith();
const raw = blankWith({ formatted: false });
const lost = blankWith({ marker: marker() });
const snapshot = {
  kind: "snapshot",
  key: `control/sources/${"5".repeat(64)}`,
  sha256: "5".repeat(64),
  rank: { generation: 1, term: 2, index: 50 },
  bump: 1000,
} as const;

const decide = (changes: Partial<Facts>): string => word(plan(facts(changes)));
const running = { ...live, running: true, quorum: true };
const alone = { ...live, running: true, withoutQuorumSeconds: 181 };

describe("a volume that cannot be had or is not ours", () => {
  const strange: Disk = { kind: "unknown", reason: "xfs" };
  it.each([present(), present({ joined: [] }), absent, unreachable])(
    "waits for the one and refuses the other, whatever the record says (%#)",
    (view) => {
      const disk: Disk = { kind: "notAttachable", reason: "still attached to i-1" };
      expect(decide({ disk, record: view })).toBe("wait:volume");
      expect(decide({ disk: strange, record: view })).toBe("refuse");
    },
  );

  it("creates another in place of one that is gone, but only for a member of the roster", () => {
    const disk: Disk = { kind: "gone" };
    expect(decide({ disk })).toBe("createVolume");
    expect(decide({ disk, record: unreachable })).toBe("wait:record");
    expect(decide({ disk, record: present({ roster: record().roster.slice(1) }) })).toBe(
      "wait:roster",
    );
  });

  it("makes the record although its volume is gone: nobody else might", () => {
    const disk: Disk = { kind: "gone" };
    expect(decide({ disk, record: absent })).toBe("createRecord");
    const answers = { ...live, someoneAnswers: true };
    expect(decide({ disk, record: absent, live: answers })).toBe("wait:etcdWithoutRecord");
    const self = { ...facts().self, firstMember: false };
    expect(decide({ disk, record: absent, self })).toBe("wait:firstMembers");
  });

  it.each([
    ["another member's", marker({ member: "m2" })],
    ["a copy of ours on another volume", marker({ volumeId: volumes.m2 })],
  ])("refuses %s data with any record", (_, foreign) => {
    for (const view of [present(), absent, unreachable]) {
      expect(decide({ disk: dataWith({ marker: foreign }), record: view })).toBe("refuse");
      expect(decide({ disk: dataWith({ marker: foreign }), record: view, live: running })).toBe(
        "refuse",
      );
    }
    expect(decide({ disk: blankWith({ marker: foreign }) })).toBe("refuse");
  });

  it("refuses another cluster's data, and a volume that was about to join another cluster", () => {
    expect(decide({ disk: dataWith({ marker: marker({ clusterUid: otherUid }) }) })).toBe("refuse");
    expect(decide({ disk: blankWith({ marker: marker({ clusterUid: otherUid }) }) })).toBe(
      "refuse",
    );
    const disk = blankWith({ intent: { ...intent, clusterUid: otherUid } });
    expect(decide({ disk, record: present({ joined: [] }) })).toBe("refuse");
  });

  it("refuses data of a generation that the record does not know", () => {
    expect(decide({ disk: dataWith({ marker: marker({ generation: 2 }) }) })).toBe("refuse");
  });

  it("refuses when the roster knows the member with another volume", () => {
    const roster = record().roster.map((entry) => ({ ...entry, volumeId: "vol-0000000f" }));
    expect(decide({ record: present({ roster }) })).toBe("refuse");
  });
});

describe("data of ours, and the record is open", () => {
  it("starts, on this machine or on the one that replaced it, in joined already or not", () => {
    for (const self of [facts().self, otherMachine]) {
      for (const joined of [["m1", "m2"], ["m2"]]) {
        const action = plan(facts({ self, record: present({ joined }) }));
        expect(action).toEqual({ kind: "start", marker: marker(), record: record({ joined }) });
      }
    }
  });

  it.each([
    [1, 1, "wait:rollCall"],
    [2, 1, "wait:rollCall"],
    [1, 2, "start"],
  ])("held for epoch %i, reading epoch %i: %s", (held, epoch, expected) => {
    expect(decide({ disk: dataWith({ held }), record: present({ epoch }) })).toBe(expected);
  });

  it("held for a roll call that is over starts anew although it runs: held, it would not come back", () => {
    const disk = dataWith({ held: 1 });
    expect(decide({ disk, record: present({ epoch: 2 }), live: running })).toBe("start");
  });

  it("waits for a place in the roster", () => {
    const view = present({ roster: record().roster.slice(1) });
    expect(decide({ record: view })).toBe("wait:roster");
    expect(decide({ record: view, live: running })).toBe("wait:roster");
  });

  it("runs on with a quorum, and asks for its vote as a learner unless it leaves", () => {
    expect(decide({ live: running })).toBe("idle");
    const learner = { ...running, learner: true };
    expect(decide({ live: learner })).toBe("promote");
    const roster = record().roster.map((entry) => ({ ...entry, leaving: true }));
    expect(decide({ live: learner, record: present({ roster }) })).toBe("idle");
  });

  it("waits a while without a quorum, then says so, and takes it back when there is one again", () => {
    expect(decide({ live: { ...alone, withoutQuorumSeconds: 179 } })).toBe("wait:quorum");
    expect(plan(facts({ live: alone }))).toEqual({
      kind: "report",
      record: record(),
      holds: "data",
    });
    const reported = { ...roll, reports: [report("m1")] };
    expect(decide({ live: alone, roll: reported })).toBe("wait:quorum");
    expect(plan(facts({ live: running, roll: reported }))).toEqual({
      kind: "report",
      record: record(),
      holds: "withdrawn",
    });
    const withdrawn = { ...roll, reports: [report("m1", "withdrawn")] };
    expect(decide({ live: running, roll: withdrawn })).toBe("idle");
  });

  it("is set aside when etcd removed it for good", () => {
    expect(decide({ live: { ...live, running: true, removed: true } })).toBe("setAside");
    expect(decide({ live: { ...live, removed: true }, disk: dataWith({ held: 1 }) })).toBe(
      "wait:rollCall",
    );
  });
});

describe("damaged data", () => {
  const disk = dataWith({ damage: "the write-ahead log does not decode" });
  it("is never started", () => {
    for (const view of [present(), unreachable, absent]) {
      expect(decide({ disk, record: view })).not.toBe("start");
    }
    expect(decide({ disk, record: unreachable })).toBe("wait:record");
  });

  it("is given up only when the others are a healthy quorum and agree", () => {
    expect(decide({ disk, live: { ...live, quorum: true, othersAgree: true } })).toBe("setAside");
    expect(decide({ disk, live: { ...live, quorum: true } })).toBe("wait:damaged");
  });

  it("without a quorum is reported, and counts in a roll call", () => {
    expect(plan(facts({ disk }))).toMatchObject({ kind: "report", holds: "damaged" });
    expect(decide({ disk: { ...disk, held: 2 }, record: rolled() })).toBe("attest");
  });
});

describe("data of ours, and the record cannot be read", () => {
  it("starts only on the machine that the marker names", () => {
    for (const view of [unreachable, absent]) {
      expect(decide({ record: view })).toBe("start");
      expect(decide({ record: view, self: otherMachine })).toBe("wait:record");
    }
  });

  it("does not start while it is held", () => {
    for (const view of [unreachable, absent]) {
      expect(decide({ record: view, disk: dataWith({ held: 1 }) })).toBe("wait:record");
    }
  });

  it("changes nothing for a member that runs", () => {
    for (const view of [unreachable, absent]) {
      for (const each of [running, alone, { ...running, learner: true }]) {
        expect(decide({ record: view, live: each })).toBe("idle");
      }
    }
  });
});

function rolled(changes: Parameters<typeof present>[0] = {}) {
  return present({ phase: "rollCall", epoch: 2, ...changes });
}

describe("data of an older generation", () => {
  it("is set aside in every phase, running or not, and never started", () => {
    for (const phase of ["open", "rollCall"] as const) {
      for (const each of [live, running, alone]) {
        const action = plan(
          facts({ record: present({ generation: 2, epoch: 3, phase }), live: each }),
        );
        expect(action).toMatchObject({ kind: "setAside", generation: 1 });
      }
    }
  });

  it("of a member that the new generation left out is stopped and kept", () => {
    const view = present({ generation: 2, roster: record().roster.slice(1) });
    expect(decide({ record: view, live: running })).toBe("setAside");
    expect(decide({ record: view })).toBe("wait:roster");
  });
});

describe("a roll call", () => {
  it("holds a running member, and one that was held for an earlier one", () => {
    expect(plan(facts({ record: rolled(), live: alone }))).toEqual({ kind: "hold", epoch: 2 });
    expect(decide({ record: rolled() })).toBe("hold");
    expect(decide({ record: rolled(), disk: dataWith({ held: 1 }) })).toBe("hold");
    expect(decide({ record: rolled(), disk: dataWith({ held: 2 }), live: alone })).toBe("hold");
  });

  it("is closed by a member that sees a quorum", () => {
    expect(decide({ record: rolled(), live: running })).toBe("closeRoll");
    expect(decide({ record: rolled(), disk: blank, live: { ...live, quorum: true } })).toBe(
      "closeRoll",
    );
  });

  it("is not gone back to from a later one", () => {
    expect(decide({ record: rolled(), disk: dataWith({ held: 3 }) })).toBe("wait:rollCall");
  });

  it("hears a held member and a blank one, once", () => {
    const mine = { ...roll, attestations: [attestation("m1", holding("m1"))] };
    expect(decide({ record: rolled(), disk: dataWith({ held: 2 }) })).toBe("attest");
    expect(decide({ record: rolled(), disk: dataWith({ held: 2 }), roll: mine })).toBe(
      "wait:rollCall",
    );
    for (const disk of [blank, raw, lost, blankWith({ intent })]) {
      expect(decide({ record: rolled(), disk })).toBe("attest");
      const blanks = { ...roll, attestations: [attestation("m1")] };
      expect(decide({ record: rolled(), disk, roll: blanks })).toBe("wait:rollCall");
    }
  });
});

describe("a blank volume without a record to go by", () => {
  it("waits while it cannot be read", () => {
    for (const disk of [blank, raw, lost]) {
      expect(decide({ disk, record: unreachable })).toBe("wait:record");
      expect(decide({ disk, record: unreachable, live: { ...live, quorum: true } })).toBe(
        "wait:record",
      );
    }
  });

  it("creates it only as a first member, when there never was one and nobody answers", () => {
    expect(decide({ disk: blank, record: absent })).toBe("createRecord");
    expect(decide({ disk: raw, record: absent })).toBe("createRecord");
    const answers = { ...live, someoneAnswers: true };
    expect(decide({ disk: blank, record: absent, live: answers })).toBe("wait:etcdWithoutRecord");
    const self = { ...facts().self, firstMember: false };
    expect(decide({ disk: blank, record: absent, self })).toBe("wait:firstMembers");
  });

  it("that was in use forms nothing", () => {
    const setAside: SetAside[] = [{ folder: "set-aside-1-x", generation: 1 }];
    for (const disk of [lost, blankWith({ intent }), blankWith({ setAside })]) {
      expect(decide({ disk, record: absent })).toBe("wait:record");
    }
  });
});

describe("a blank volume in an open generation", () => {
  const quorum = { ...live, quorum: true };

  it("forms as one of initial, once; afterwards it has lost its data", () => {
    for (const joined of [[], ["m2"], ["m2", "m3"]]) {
      const view = present({ joined, formed: false });
      expect(decide({ disk: blank, record: view })).toBe("formFirst");
      expect(decide({ disk: raw, record: view })).toBe("formFirst");
    }
    expect(decide({ disk: blank, record: present({ joined: ["m1"], formed: false }) })).toBe(
      "report",
    );
  });

  it("goes on with a start that was interrupted before etcd ever ran on this volume", () => {
    expect(decide({ disk: blankWith({ intent }), record: present({ joined: ["m1"] }) })).toBe(
      "formFirst",
    );
    // The marker comes right after the put; etcd still has not run while the intent is there.
    const disk = blankWith({ intent, marker: marker() });
    expect(decide({ disk, record: present({ joined: ["m1"] }) })).toBe("formFirst");
  });

  it.each([
    ["another volume", { ...intent, volumeId: volumes.m2 }],
    ["another member", { ...intent, member: "m2" }],
  ])("takes an intent of %s for nothing", (_, other) => {
    expect(decide({ disk: blankWith({ intent: other }) })).toBe("report");
  });

  it("with what an older generation left is cleared first", () => {
    const view = present({ generation: 2, joined: [] });
    expect(decide({ disk: blankWith({ intent }), record: view })).toBe("setAside");
    expect(decide({ disk: lost, record: view })).toBe("setAside");
  });

  it("with data of this generation set aside never forms or restores", () => {
    const disk = blankWith({ setAside: [{ folder: "set-aside-1-x", generation: 1 }] });
    expect(decide({ disk, record: present({ joined: [] }) })).toBe("report");
    const older = present({ generation: 2, joined: [] });
    expect(decide({ disk, record: older })).toBe("formFirst");
  });

  it("whose marker has no log never forms: it re-joins, or takes part in a roll call", () => {
    for (const disk of [lost, blank]) {
      expect(decide({ disk, live: quorum })).toBe("rejoin");
      expect(decide({ disk })).toBe("report");
    }
    expect(decide({ disk: lost, record: present({ joined: [] }) })).toBe("report");
  });

  it("restores where the generation began with a source, unless that cannot be read", () => {
    const view = present({ joined: [], source: snapshot, formed: false });
    expect(decide({ disk: blank, record: view })).toBe("restore");
    expect(decide({ disk: blankWith({ intent }), record: view })).toBe("restore");
    expect(decide({ disk: lost, record: view })).toBe("report");
    const unreadable = { ...roll, unreadable: [snapshot.sha256] };
    expect(decide({ disk: blank, record: view, roll: unreadable })).toBe("report");
    expect(decide({ disk: blank, record: view, roll: unreadable, live: quorum })).toBe("rejoin");
  });

  it("of a member that is not in initial never forms", () => {
    const view = present({ initial: ["m2", "m3"], joined: ["m2", "m3"] });
    expect(decide({ disk: blank, record: view })).toBe("report");
    expect(decide({ disk: blank, record: view, live: quorum })).toBe("rejoin");
  });

  it("takes its report back before it re-joins", () => {
    const reported = { ...roll, reports: [report("m1", "blank")] };
    expect(decide({ disk: blank, live: quorum, roll: reported })).toBe("report");
  });

  it("of a leaving member does not re-join", () => {
    const roster = record().roster.map((entry) => ({ ...entry, leaving: true }));
    expect(decide({ disk: blank, record: present({ roster }), live: quorum })).toBe("wait:leaving");
  });

  it("is never formatted under an id that the member has put to use; another volume is", () => {
    const used = record().roster.map((entry) => ({ ...entry, used: true }));
    for (const joined of [[], ["m1"]]) {
      expect(decide({ disk: raw, record: present({ roster: used, joined }), live: quorum })).toBe(
        "refuse",
      );
      expect(decide({ disk: blank, record: present({ roster: used }), live: quorum })).toBe(
        "rejoin",
      );
    }
    const other = used.map((entry) => ({ ...entry, volumeId: "vol-0000000f" }));
    expect(decide({ disk: raw, record: present({ roster: other }), live: quorum })).toBe("rejoin");
    // A member that entered the roster is in joined, and its volume is new.
    expect(decide({ disk: raw, record: present(), live: quorum })).toBe("rejoin");
  });

  it("of a later generation is refused: an old record was put back", () => {
    for (const disk of [
      blankWith({ intent: { ...intent, generation: 2 } }),
      blankWith({ marker: marker({ generation: 2 }) }),
    ]) {
      expect(decide({ disk, record: present({ joined: [] }), live: quorum })).toBe("refuse");
    }
  });

  it("on which etcd was started is left alone until there is a log, but for a roll call", () => {
    const starting = { ...live, running: true };
    expect(decide({ disk: blankWith({ intent }), live: starting })).toBe("wait:starting");
    expect(decide({ disk: lost, live: { ...starting, quorum: true } })).toBe("wait:starting");
    expect(decide({ disk: lost, live: starting, record: rolled() })).toBe("attest");
    expect(
      decide({ disk: lost, live: starting, record: present({ generation: 2, joined: [] }) }),
    ).toBe("setAside");
  });

  it("on another volume than the recorded one counts as joined", () => {
    const roster = record().roster.map((entry) => ({ ...entry, volumeId: "vol-0000000f" }));
    expect(decide({ disk: raw, record: present({ roster, joined: [] }) })).toBe("report");
    expect(decide({ disk: blankWith({ intent }), record: present({ roster }), live: quorum })).toBe(
      "rejoin",
    );
  });
});

describe("invariants over all combinations", () => {
  const aside: SetAside[] = [{ folder: "set-aside-1-x", generation: 1 }];
  const disks: Disk[] = [
    { kind: "notAttachable", reason: "r" },
    { kind: "gone" },
    { kind: "unknown", reason: "r" },
    ...[true, false].flatMap((formatted) =>
      [[], aside].flatMap((setAside) =>
        [{}, { intent }, { marker: marker() }, { marker: marker(), intent }].map((more) =>
          blankWith({ formatted, setAside, ...more }),
        ),
      ),
    ),
    ...[1, 2].flatMap((generation) =>
      [{}, { held: 1 }, { held: 2 }, { damage: "d" }, { held: 2, damage: "d" }].map((more) =>
        dataWith({ marker: marker({ generation }), ...more }),
      ),
    ),
    dataWith({ marker: marker({ instanceId: "i-0000000f" }) }),
    dataWith({ marker: marker({ clusterUid: otherUid }) }),
    dataWith({ marker: marker({ volumeId: volumes.m2 }) }),
  ];
  const records = [
    absent,
    unreachable,
    ...(["open", "rollCall"] as const).flatMap((phase) =>
      [1, 2].flatMap((generation) =>
        [[], ["m1"], ["m2", "m3"]].flatMap((joined) =>
          [{ kind: "new" } as const, snapshot].flatMap((source) =>
            [record().roster, record().roster.slice(1), leaving()].map((roster) =>
              present({ phase, generation, joined, source, roster, epoch: generation }),
            ),
          ),
        ),
      ),
    ),
  ];
  const lives = [true, false].flatMap((isRunning) =>
    [true, false].flatMap((quorum) => [
      { ...live, running: isRunning, quorum, withoutQuorumSeconds: quorum ? 0 : 200 },
      { ...live, running: isRunning, quorum, removed: true },
      { ...live, running: isRunning, quorum, othersAgree: quorum, someoneAnswers: quorum },
    ]),
  );
  const blanks = (["m1", "m2", "m3"] as const).map((member) => attestation(member));
  const intact = (["m1", "m2", "m3"] as const).map((m) => attestation(m, holding(m)));
  const rolls = [
    roll,
    { ...roll, reports: (["m1", "m2", "m3"] as const).map((member) => report(member)) },
    { ...roll, reports: (["m1", "m2", "m3"] as const).map((member) => report(member, "blank")) },
    ...[
      blanks,
      intact,
      intact.slice(1),
      [attestation("m1", holding("m1")), ...blanks.slice(1)],
    ].map((attestations) => ({ ...roll, attestations })),
    { ...roll, attestations: blanks.slice(0, 1), stalledSeconds: 601 },
  ];
  const all: [Facts, Action][] = disks.flatMap((disk) =>
    records.flatMap((view) =>
      lives.flatMap((each) =>
        rolls.map((said): [Facts, Action] => {
          const combination = facts({ disk, record: view, live: each, roll: said });
          return [combination, plan(combination)];
        }),
      ),
    ),
  );
  /** The combinations that lead to an action of one of these kinds. */
  const leadingTo = (...kinds: Action["kind"][]) =>
    all.filter(([, { kind }]) => kinds.includes(kind));

  function leaving() {
    return record().roster.map((entry) => ({ ...entry, leaving: true }));
  }

  it("covers enough to mean something: every action there is, all its names", () => {
    expect(all.length).toBeGreaterThan(150_000);
    expect([...new Set(all.map(([, { kind }]) => kind))].sort()).toEqual(
      [
        ...["attest", "callRoll", "closeRoll", "createRecord", "createVolume", "formFirst", "hold"],
        ...[
          "idle",
          "propose",
          "refuse",
          "rejoin",
          "report",
          "restore",
          "setAside",
          "start",
          "wait",
        ],
      ].sort(),
    );
  });

  it("never forms or restores on a volume that was used, nor without an open record in which this is the first start", () => {
    for (const [{ disk, record: view, self }, { kind }] of leadingTo(
      ...(["formFirst", "restore", "createRecord"] as const),
    )) {
      expect(kind === "createRecord" ? ["blank", "gone"] : ["blank"]).toContain(disk.kind);
      if (disk.kind === "blank" && kind === "createRecord") {
        expect([disk.marker, disk.intent, disk.setAside]).toEqual([undefined, undefined, []]);
        expect(view.kind).toBe("absent");
      }
      if (disk.kind === "blank" && view.kind === "present") {
        const { phase, joined, generation, roster } = view.record;
        expect(phase).toBe("open");
        expect(disk.setAside.every((each) => each.generation < generation)).toBe(true);
        expect(disk.marker !== undefined && disk.intent === undefined).toBe(false);
        expect(!joined.includes("m1") || disk.intent?.generation === generation).toBe(true);
        expect(roster.find(({ name }) => name === self.member)?.volumeId).toBe(self.volumeId);
      }
    }
  });

  it("never starts what is damaged, of another generation, held for an epoch that has not passed, or in a roll call", () => {
    for (const [{ disk, record: view, self }] of leadingTo("start")) {
      expect(disk).toMatchObject({ kind: "data", marker: { volumeId: volumes.m1 } });
      expect(disk).not.toHaveProperty("damage");
      const held = disk.kind === "data" ? disk.held : undefined;
      if (view.kind === "present") {
        const { phase, generation, epoch } = view.record;
        expect([phase, disk.kind === "data" && disk.marker.generation]).toEqual([
          "open",
          generation,
        ]);
        expect(disk).toMatchObject({ marker: { clusterUid: view.record.clusterUid } });
        expect(held ?? 0).toBeLessThan(epoch);
      } else {
        expect(held).toBeUndefined();
        expect(disk).toMatchObject({ marker: { instanceId: self.instanceId } });
      }
    }
  });

  it("changes nothing for a running member while the record cannot be read", () => {
    for (const [{ disk, record: view, live: now }, { kind }] of all) {
      if (view.kind !== "present" && disk.kind === "data" && now.running) {
        expect(["idle", "refuse"]).toContain(kind);
      }
    }
  });

  it("calls the roll or proposes only when every member of the roster is accounted for", () => {
    for (const [{ record: view, roll: said }, { kind }] of leadingTo("callRoll", "propose")) {
      const roster = view.kind === "present" ? view.record.roster : [];
      const heard = kind === "callRoll" ? said.reports : said.attestations;
      expect(roster.every(({ name }) => heard.some(({ member }) => member === name))).toBe(true);
    }
  });

  it("attests and proposes only what is held, or blank, with etcd stopped", () => {
    for (const [{ disk, record: view, live: now }] of leadingTo("attest", "propose")) {
      expect(view).toMatchObject({ record: { phase: "rollCall" } });
      if (disk.kind === "data" && view.kind === "present") {
        expect([disk.held, now.running]).toEqual([view.record.epoch, false]);
      }
    }
  });

  it("gives up data of this generation only when etcd removed it, or it is damaged and the others agree", () => {
    for (const [{ disk, record: view, live: now }] of leadingTo("setAside")) {
      if (
        view.kind === "present" &&
        disk.kind === "data" &&
        disk.marker.generation === view.record.generation
      ) {
        expect(now.removed || (disk.damage !== undefined && now.othersAgree)).toBe(true);
      }
    }
  });

  it("says in every wait what would end it, and in every refusal why", () => {
    for (const [, action] of leadingTo("wait", "refuse")) {
      const text =
        action.kind === "wait" ? action.needs : action.kind === "refuse" && action.reason;
      expect(String(text).length).toBeGreaterThanOrEqual(8);
    }
  });
});
