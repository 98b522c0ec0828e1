import { backupKey, type Backup } from "../../../scripts/agent/backupKey";
import type { Restored } from "../../../scripts/agent/drillEtcd";
import {
  compareRestored,
  drillDue,
  drillMemberOf,
  drillOk,
  parseDrillResult,
  recordedExpectation,
  type DrillCandidate,
  type DrillResult,
  type DrillSituation,
  type Expectation,
} from "../../../scripts/agent/drillResult";

const hour = 3_600_000;
const noon = Date.UTC(2026, 0, 2, 12);

function backup(generation: number, index: number): Backup {
  const parts = {
    member: "m1",
    rank: { generation, term: 2, index },
    revision: 17,
    takenAt: noon,
    sha256: "a".repeat(64),
  };
  return { key: backupKey(parts), ...parts };
}

const restored: Restored = { keys: 3, hash: "77", compactRevision: "5" };
const same: Expectation = { keys: 3, hash: "77", compactRevision: "5" };

describe("what was restored", () => {
  it.each<[string, Expectation | undefined, Expectation | undefined, object]>([
    ["is right by the live cluster", same, undefined, { against: "live" }],
    [
      "is right by the live cluster, whatever was recorded",
      same,
      { ...same, keys: 9 },
      { against: "live" },
    ],
    ["is right by what was recorded", undefined, same, { against: "recorded" }],
    [
      "is compared with what was recorded when the live cluster has compacted since",
      { ...same, hash: "1", compactRevision: "6" },
      same,
      { against: "recorded" },
    ],
    [
      "is right by its revision alone when nothing can be compared",
      { ...same, compactRevision: "6" },
      { ...same, compactRevision: "4" },
      { against: "revision" },
    ],
    [
      "has lost keys",
      { ...same, keys: 4 },
      undefined,
      { against: "live", problem: "restored, it has 3 keys instead of 4" },
    ],
    [
      "has other values",
      undefined,
      { ...same, hash: "78" },
      { against: "recorded", problem: "restored, its keys have the hash 77 instead of 78" },
    ],
    [
      "is not saved by a recorded hash when the live cluster says otherwise",
      { ...same, hash: "78" },
      same,
      { against: "live", problem: "restored, its keys have the hash 77 instead of 78" },
    ],
  ])("%s", (_, live, recorded, expected) => {
    expect(
      compareRestored(restored, [
        ["live", live],
        ["recorded", recorded],
      ]),
    ).toEqual(expected);
  });

  it("is compared with a record only if that is whole", () => {
    const common = {
      "etcd-version": "3.6.14",
      "cluster-uid": "11111111-2222-4333-8444-555555555555",
      reason: "asked",
    };
    const whole = { ...common, keys: 3, hash: "77", "compact-revision": "5" };
    expect(recordedExpectation(whole)).toEqual(same);
    expect(recordedExpectation({ ...common, keys: 3, hash: "77" })).toBeUndefined();
    expect(recordedExpectation(undefined)).toBeUndefined();
  });
});

const candidate = (name: string, changes: Partial<DrillCandidate> = {}): DrillCandidate => ({
  name,
  isLeader: name === "m1",
  isLearner: false,
  healthy: true,
  ...changes,
});
const three = ["m1", "m2", "m3"].map((name) => candidate(name));

describe("who holds the drill", () => {
  it.each<[string, readonly DrillCandidate[], string | undefined]>([
    ["the last follower", three, "m3"],
    ["the last by number", [...three, candidate("m10")], "m10"],
    [
      "not the leader",
      [candidate("m1", { isLeader: false }), candidate("m2", { isLeader: true })],
      "m1",
    ],
    ["not one that is not well", [...three.slice(0, 2), candidate("m3", { healthy: false })], "m2"],
    ["not a learner", [...three.slice(0, 2), candidate("m3", { isLearner: true })], "m2"],
    [
      "nobody while only the leader of several is well",
      [three[0] as DrillCandidate, candidate("m2", { healthy: false })],
      undefined,
    ],
    ["the leader when it is alone", three.slice(0, 1), "m1"],
    ["nobody without members", [], undefined],
  ])("is %s", (_, members, expected) => {
    expect(drillMemberOf(members)).toBe(expected);
  });
});

describe("a drill is due", () => {
  const newest = backup(1, 42);
  const last: DrillResult = {
    schema: 1,
    at: noon,
    seconds: 3,
    by: "m3",
    generation: 1,
    newest: newest.key,
    proven: newest.key,
    against: "live",
    provenAt: noon,
    corrupt: [],
  };
  const situation: DrillSituation = {
    self: "m3",
    members: three,
    generation: 1,
    newest,
    last,
    everyHours: 24,
    now: noon + 24 * hour,
  };
  const bad: DrillResult = { ...last };
  delete bad.proven;

  it.each<[string, Partial<DrillSituation>, boolean]>([
    ["once a day", {}, true],
    ["not a moment before", { now: noon + 24 * hour - 1 }, false],
    ["when the last one is from the future", { now: noon - 1 }, true],
    ["at once after the first backup", { last: undefined, now: noon }, true],
    ["not before the first backup", { last: undefined, newest: undefined }, false],
    ["not on another member", { self: "m2" }, false],
    ["not while the roll is called", { generation: undefined }, false],
    [
      "at once in a new generation, with its first backup",
      { generation: 2, newest: backup(2, 1), now: noon },
      true,
    ],
    ["not in a new generation before that", { generation: 2, now: noon }, false],
    [
      "an hour after a bad one, when there is another backup",
      { last: bad, newest: backup(1, 43), now: noon + hour },
      true,
    ],
    [
      "not earlier after a bad one",
      { last: bad, newest: backup(1, 43), now: noon + hour - 1 },
      false,
    ],
    ["not with the same bad one", { last: bad, now: noon + hour }, false],
  ])("%s", (_, changes, expected) => {
    expect(drillDue({ ...situation, ...changes })).toBe(expected);
  });

  it("is read back as it was written, and anything else is none", () => {
    expect(parseDrillResult(JSON.stringify(last))).toEqual(last);
    for (const text of [undefined, "", "null", "{", JSON.stringify({ ...last, more: 1 })]) {
      expect(parseDrillResult(text)).toBeUndefined();
    }
    expect(drillOk(last)).toBe(true);
    expect(drillOk(bad)).toBe(false);
    expect(drillOk({ ...last, newest: backup(1, 43).key })).toBe(false);
  });
});
