import type { Disk } from "../../../scripts/agent/marker";
import { plan, type Action, type Facts } from "../../../scripts/agent/plan";
import { absent, clusterUid, facts, marker, present, record, unreachable, volumes } from "./facts";

const blank: Disk = { kind: "blank", formatted: true, used: false };
const raw: Disk = { kind: "blank", formatted: false, used: false };
const used: Disk = { kind: "blank", formatted: true, used: true };
const intent = { clusterUid, member: "m1", volumeId: volumes.m1, generation: 1 };
const otherUid = "00000000-6d7c-4d55-9a55-0d3c3a1f7b11";

/** One word for an action: its kind, and the name of a wait. */
function word(action: Action): string {
  return action.kind === "wait" ? `wait:${action.name}` : action.kind;
}

const decide = (changes: Partial<Facts>): string => word(plan(facts(changes)));

describe("the table of the boot", () => {
  describe("a volume that cannot be had or is not ours", () => {
    const volume: Disk = { kind: "notAttachable", reason: "still attached to i-1" };
    const strange: Disk = { kind: "unknown", reason: "xfs" };
    it.each([present(), present({ joined: [] }), absent, unreachable])(
      "waits for the one and refuses the other, whatever the record says (%#)",
      (view) => {
        expect(decide({ disk: volume, record: view })).toBe("wait:volume");
        expect(decide({ disk: strange, record: view })).toBe("refuse");
      },
    );

    it.each([
      ["another member's", marker({ member: "m2" })],
      ["a copy of ours on another volume", marker({ volumeId: volumes.m2 })],
    ])("refuses %s data with any record", (_, foreign) => {
      for (const view of [present(), absent, unreachable]) {
        expect(decide({ disk: { kind: "data", marker: foreign }, record: view })).toBe("refuse");
      }
    });

    it("refuses another cluster's data", () => {
      const disk: Disk = { kind: "data", marker: marker({ clusterUid: otherUid }) };
      expect(decide({ disk })).toBe("refuse");
    });

    it("refuses data of a generation that the record does not know", () => {
      expect(decide({ disk: { kind: "data", marker: marker({ generation: 2 }) } })).toBe("refuse");
    });

    it("refuses when the roster knows the member with another volume", () => {
      const other = record().roster.map((entry) =>
        entry.name === "m1" ? { ...entry, volumeId: "vol-0000000f" } : entry,
      );
      expect(decide({ record: present({ roster: other }) })).toBe("refuse");
    });
  });

  describe("data of ours", () => {
    it("starts with an open record, on this machine or on the one that replaced it", () => {
      for (const instanceId of ["i-0000000a", "i-0000000b"]) {
        expect(decide({ self: { ...facts().self, instanceId } })).toBe("start");
      }
    });

    it("starts when its name is not in joined yet: starting puts it there", () => {
      expect(decide({ record: present({ joined: ["m2"] }) })).toBe("start");
    });

    it("starts without the record only on the machine that the marker names", () => {
      for (const view of [unreachable, absent]) {
        expect(decide({ record: view })).toBe("start");
        expect(decide({ record: view, self: { ...facts().self, instanceId: "i-0000000b" } })).toBe(
          "wait:record",
        );
      }
    });

    it("does not start without the record while it is held", () => {
      const disk: Disk = { kind: "data", marker: marker(), held: 1 };
      expect(decide({ disk, record: unreachable })).toBe("wait:record");
      expect(decide({ disk, record: absent })).toBe("wait:record");
    });

    it("takes part in a roll call instead of starting", () => {
      expect(decide({ record: present({ phase: "rollCall", epoch: 2 }) })).toBe("wait:rollCall");
    });

    it.each([
      [1, 1, "wait:rollCall"],
      [2, 1, "wait:rollCall"],
      [1, 2, "start"],
    ])("held for epoch %i, reading epoch %i: %s", (held, epoch, expected) => {
      const disk: Disk = { kind: "data", marker: marker(), held };
      expect(decide({ disk, record: present({ epoch }) })).toBe(expected);
    });

    it("never starts data of an older generation", () => {
      for (const phase of ["open", "rollCall"] as const) {
        expect(decide({ record: present({ generation: 2, phase }) })).toBe("wait:olderGeneration");
      }
    });

    it("waits for a place in the roster", () => {
      const roster = record().roster.filter(({ name }) => name !== "m1");
      expect(decide({ record: present({ roster }) })).toBe("wait:roster");
    });
  });

  describe("a blank volume", () => {
    it("waits while the record cannot be read", () => {
      expect(decide({ disk: blank, record: unreachable })).toBe("wait:record");
      expect(decide({ disk: blank, record: unreachable, quorumAnswers: true })).toBe("wait:record");
    });

    it("creates the record only as a first member, when there never was one and nobody answers", () => {
      expect(decide({ disk: blank, record: absent })).toBe("createRecord");
      expect(decide({ disk: blank, record: absent, someoneAnswers: true })).toBe(
        "wait:etcdWithoutRecord",
      );
      expect(
        decide({ disk: blank, record: absent, self: { ...facts().self, firstMember: false } }),
      ).toBe("wait:firstMembers");
    });

    it("that was in use forms nothing without a record", () => {
      expect(decide({ disk: used, record: absent })).toBe("wait:record");
      expect(decide({ disk: { ...blank, intent }, record: absent })).toBe("wait:record");
    });

    it("forms as one of initial, once", () => {
      for (const joined of [[], ["m2"], ["m2", "m3"]]) {
        expect(decide({ disk: blank, record: present({ joined, formed: false }) })).toBe(
          "formFirst",
        );
      }
      expect(decide({ disk: blank, record: present({ joined: ["m1"], formed: false }) })).toBe(
        "wait:quorum",
      );
    });

    it("goes on with a start that was interrupted before etcd ever ran on this volume", () => {
      const disk: Disk = { kind: "blank", formatted: true, used: false, intent };
      expect(decide({ disk, record: present({ joined: ["m1"] }) })).toBe("formFirst");
    });

    it.each([
      ["another volume", { ...intent, volumeId: volumes.m2 }],
      ["another member", { ...intent, member: "m2" }],
      ["an older generation", { ...intent, generation: 0 }],
    ])("takes an intent of %s for nothing", (_, other) => {
      const disk: Disk = { kind: "blank", formatted: true, used: false, intent: other };
      expect(decide({ disk, record: present() })).toBe("wait:quorum");
    });

    it("refuses an intent for another cluster", () => {
      const disk: Disk = {
        kind: "blank",
        formatted: true,
        used: false,
        intent: { ...intent, clusterUid: otherUid },
      };
      expect(decide({ disk, record: present({ joined: [] }) })).toBe("refuse");
    });

    it("that was used, or whose member started before, never forms: it re-joins or waits", () => {
      for (const disk of [used, blank]) {
        expect(decide({ disk, record: present(), quorumAnswers: true })).toBe("rejoin");
        expect(decide({ disk, record: present() })).toBe("wait:quorum");
      }
      expect(decide({ disk: used, record: present({ joined: [] }) })).toBe("wait:quorum");
    });

    it("is never formatted under an id that is recorded as in use; another volume is", () => {
      const roster = record().roster.map((entry) =>
        entry.name === "m1" ? { ...entry, volumeId: "vol-0000000f" } : entry,
      );
      expect(decide({ disk: raw, record: present(), quorumAnswers: true })).toBe("refuse");
      expect(decide({ disk: raw, record: present({ roster }), quorumAnswers: true })).toBe(
        "rejoin",
      );
      expect(decide({ disk: raw, record: present({ roster, joined: [] }) })).toBe("formFirst");
    });

    it("that has an intent, but is not the recorded volume of a member that joined, re-joins", () => {
      const roster = record().roster.map((entry) =>
        entry.name === "m1" ? { ...entry, volumeId: "vol-0000000f" } : entry,
      );
      const disk: Disk = { kind: "blank", formatted: true, used: false, intent };
      expect(decide({ disk, record: present({ roster }), quorumAnswers: true })).toBe("rejoin");
    });

    it("of a leaving member does not re-join", () => {
      const roster = record().roster.map((entry) => ({ ...entry, leaving: true }));
      expect(decide({ disk: used, record: present({ roster }), quorumAnswers: true })).toBe(
        "wait:leaving",
      );
    });

    it("of a member that is not in initial never forms", () => {
      expect(
        decide({ disk: blank, record: present({ initial: ["m2", "m3"], joined: ["m2", "m3"] }) }),
      ).toBe("wait:quorum");
    });

    it("waits in a roll call, and for a restore", () => {
      expect(decide({ disk: blank, record: present({ phase: "rollCall", joined: [] }) })).toBe(
        "wait:rollCall",
      );
      const source = { kind: "snapshot", key: "k", sha256: "0".repeat(64), bump: 1 } as const;
      expect(decide({ disk: blank, record: present({ joined: [], source }) })).toBe("wait:restore");
    });
  });
});

describe("invariants over all combinations", () => {
  const disks: Disk[] = [
    { kind: "notAttachable", reason: "r" },
    { kind: "unknown", reason: "r" },
    blank,
    raw,
    used,
    { kind: "blank", formatted: true, used: false, intent },
    { kind: "blank", formatted: true, used: true, intent },
    ...[0, 1].flatMap((generation): Disk[] => [
      { kind: "data", marker: marker({ generation: generation + 1 }) },
      { kind: "data", marker: marker({ generation: generation + 1 }), held: 1 },
    ]),
    { kind: "data", marker: marker({ instanceId: "i-0000000f" }) },
    { kind: "data", marker: marker({ clusterUid: otherUid }) },
  ];
  const records = [
    absent,
    unreachable,
    ...(["open", "rollCall"] as const).flatMap((phase) =>
      [1, 2].flatMap((generation) =>
        [[], ["m1"], ["m2", "m3"], ["m1", "m2", "m3"]].map((joined) =>
          present({ phase, generation, joined, epoch: generation }),
        ),
      ),
    ),
  ];
  const all = disks.flatMap((disk) =>
    records.flatMap((view) =>
      [true, false].flatMap((someoneAnswers) =>
        [true, false].map((quorumAnswers) =>
          facts({ disk, record: view, someoneAnswers, quorumAnswers }),
        ),
      ),
    ),
  );

  it("covers enough to mean something", () => {
    expect(all.length).toBeGreaterThan(800);
    expect(new Set(all.map((each) => plan(each).kind)).size).toBe(6);
  });

  it("never forms anything on a volume that was used, nor without an open record that this generation is new in", () => {
    for (const each of all) {
      const action = plan(each);
      if (action.kind === "formFirst" || action.kind === "createRecord") {
        expect(each.disk).toMatchObject({ kind: "blank", used: false });
      }
      if (action.kind === "formFirst") {
        expect(each.record).toMatchObject({ kind: "present", record: { phase: "open" } });
      }
    }
  });

  it("never starts during a roll call, in another generation, or held for an epoch that has not passed", () => {
    for (const each of all) {
      if (plan(each).kind === "start" && each.record.kind === "present") {
        const { phase, generation, epoch } = each.record.record;
        expect(phase).toBe("open");
        expect(each.disk).toMatchObject({ kind: "data", marker: { generation, clusterUid } });
        expect(each.disk.kind === "data" ? (each.disk.held ?? 0) : 0).toBeLessThan(epoch);
      }
    }
  });

  it("says in every wait what would end it, and in every refusal why", () => {
    for (const each of all) {
      const action = plan(each);
      if (action.kind === "wait") {
        expect(action.needs.length).toBeGreaterThan(10);
      }
      if (action.kind === "refuse") {
        expect(action.reason.length).toBeGreaterThan(10);
      }
    }
  });
});
