import {
  budgetAction,
  stillFull,
  type BudgetFacts,
  type BudgetMember,
} from "../../../scripts/agent/budget";

const megabyte = 1_000_000;
const now = 10_000_000;

function member(name: string, changes: Partial<BudgetMember> = {}): BudgetMember {
  return {
    name,
    id: name,
    isLeader: name === "m1",
    isLearner: false,
    healthy: true,
    dbBytes: 200 * megabyte,
    inUseBytes: 110 * megabyte,
    ...changes,
  };
}

const idleMember = (name: string): BudgetMember => member(name, { inUseBytes: 200 * megabyte });

function facts(changes: Partial<BudgetFacts> = {}): BudgetFacts {
  return {
    self: "m1",
    members: [member("m1"), member("m2"), member("m3")],
    expected: 3,
    alarms: [],
    defragmentedAt: {},
    curedAt: undefined,
    now,
    ...changes,
  };
}

const noSpace = { memberId: "m2", kind: "Nospace" };

describe("defragmentation", () => {
  it("takes the followers first, by name", () => {
    expect(budgetAction(facts())).toEqual({ kind: "defragment", member: "m2" });
    const done = { defragmentedAt: { m2: now - 1 } };
    expect(budgetAction(facts(done))).toEqual({ kind: "defragment", member: "m3" });
  });

  it("lets the leader hand over before its own turn, which is the last", () => {
    const done = { defragmentedAt: { m2: now - 1, m3: now - 1 } };
    expect(budgetAction(facts(done))).toEqual({ kind: "handOver", to: "m2" });
  });

  it("takes the only member as it is", () => {
    expect(budgetAction(facts({ members: [member("m1")], expected: 1 }))).toEqual({
      kind: "defragment",
      member: "m1",
    });
  });

  it("counts m10 behind m2", () => {
    const members = [member("m1"), member("m10"), member("m2")];
    expect(budgetAction(facts({ members }))).toEqual({ kind: "defragment", member: "m2" });
  });

  it.each<[string, Partial<BudgetMember>, boolean]>([
    ["at 45 % free", { inUseBytes: 110 * megabyte }, true],
    ["below that", { inUseBytes: 110 * megabyte + 1 }, false],
    ["at 100 MB", { dbBytes: 100 * megabyte, inUseBytes: 0 }, true],
    ["below that", { dbBytes: 100 * megabyte - 1, inUseBytes: 0 }, false],
  ])("is worth it %s", (_, changes, worth) => {
    const members = [idleMember("m1"), member("m2", changes), idleMember("m3")];
    expect(budgetAction(facts({ members })).kind).toBe(worth ? "defragment" : "idle");
  });

  it.each<[string, Partial<BudgetFacts>, RegExp]>([
    ["on a follower", { self: "m2" }, /another member leads/],
    ["where its own etcd does not answer", { self: "m9" }, /another member leads/],
    [
      "while a member is away",
      { members: [member("m1"), member("m2")] },
      /not all members are well/,
    ],
    [
      "while a member has no quorum",
      { members: [member("m1"), member("m2"), member("m3", { healthy: false })] },
      /not all members are well/,
    ],
    [
      "while a learner catches up",
      { members: [member("m1"), member("m2"), member("m3", { isLearner: true })] },
      /learner/,
    ],
    ["while CORRUPT is raised", { alarms: [{ memberId: "m3", kind: "Corrupt" }] }, /CORRUPT/],
    [
      "of a member that had its turn within the hour",
      { defragmentedAt: { m1: now - 3_599_999, m2: now, m3: now - 1 } },
      /nothing is worth it/,
    ],
  ])("does not happen %s", (_, changes, reason) => {
    expect(budgetAction(facts(changes))).toEqual({
      kind: "idle",
      reason: expect.stringMatching(reason) as string,
    });
  });

  it("happens again after an hour, and when the clock went back", () => {
    const members = [idleMember("m1"), member("m2"), idleMember("m3")];
    for (const at of [now - 3_600_000, now + 1]) {
      expect(budgetAction(facts({ members, defragmentedAt: { m2: at } })).kind).toBe("defragment");
    }
  });
});

describe("NOSPACE", () => {
  it("is cured by all, the leader last", () => {
    const members = [idleMember("m1"), idleMember("m3"), idleMember("m2")];
    expect(budgetAction(facts({ members, alarms: [noSpace] }))).toEqual({
      kind: "cure",
      members: ["m2", "m3", "m1"],
    });
  });

  it("does not wait for a member that is away", () => {
    const members = [member("m1"), member("m2", { healthy: false }), member("m3")];
    expect(budgetAction(facts({ members, alarms: [noSpace] }))).toEqual({
      kind: "cure",
      members: ["m3", "m1"],
    });
  });

  it.each<[string, Partial<BudgetFacts>]>([
    ["by a follower", { self: "m2" }],
    ["while CORRUPT is raised as well", { alarms: [noSpace, { memberId: "m1", kind: "Corrupt" }] }],
    ["again at once when that did not help", { curedAt: now - 299_999 }],
  ])("is not cured %s", (_, changes) => {
    expect(budgetAction(facts({ alarms: [noSpace], ...changes })).kind).toBe("idle");
  });

  it("is tried again after a while", () => {
    expect(budgetAction(facts({ alarms: [noSpace], curedAt: now - 300_000 })).kind).toBe("cure");
  });

  it("is over only when there is room on every member that was asked", () => {
    const sizes = [
      { name: "m1", dbBytes: 950 },
      { name: "m2", dbBytes: 949 },
    ];
    expect(stillFull(sizes, 1000)).toEqual(["m1"]);
    expect(stillFull([], 1000)).toEqual([]);
  });
});
