import type { ResizeFacts, View } from "../../../scripts/agent/resize";
import { resizeStep } from "../../../scripts/agent/resize";
import { withDropped, withEntered, withLeaving } from "../../../scripts/agent/transitions";
import { ids, record, volumes } from "./facts";

const desired = record().roster.map(({ name, address, volumeId }) => ({ name, address, volumeId }));
const m4 = { name: "m4", address: "10.42.3.10", volumeId: "vol-0000000d" };
const members = (["m1", "m2", "m3"] as const).map((name) => ({
  id: ids[name],
  name,
  isLearner: false,
}));
const seen = (list: readonly { readonly id: string }[]): View => ({
  clusterId: "c1",
  ids: list.map(({ id }) => id),
});
const leaving = { ...withLeaving(record(), "m3"), nonce: record().nonce };
const without3 = members.slice(0, 2);

function step(changes: Partial<ResizeFacts> = {}) {
  const list = changes.members ?? members;
  return resizeStep({
    record: record(),
    generation: 1,
    desired,
    clusterId: "c1",
    leader: ids.m1,
    members: list,
    views: new Map(list.map(({ name }) => [name ?? "", seen(list)])),
    unhealthy: new Map(),
    ...changes,
  });
}

it("has nothing to do when roster, voters and wishes agree", () => {
  expect(step()).toEqual({ kind: "done" });
});

describe("refuses", () => {
  const sick = new Map([["m2", "alarm NOSPACE"]]);
  it.each<[string, Partial<ResizeFacts>, string]>([
    ["while the roll is called", { record: record({ phase: "rollCall" }) }, "rollCall"],
    ["before the generation has formed", { record: record({ formed: false }) }, "notFormed"],
    ["through an etcd of another generation", { generation: 2 }, "otherGeneration"],
    ["to have no members", { desired: [] }, "tooFew"],
    [
      "to grow while a voter is not well",
      { desired: [...desired, m4], unhealthy: sick },
      "unhealthy",
    ],
    [
      "to shrink while another voter is not well",
      { desired: desired.slice(0, 1), unhealthy: new Map([["m1", "alarm CORRUPT"]]) },
      "unhealthy",
    ],
    [
      "to remove while another voter is not well",
      { record: leaving, desired: desired.slice(0, 2), unhealthy: sick },
      "unhealthy",
    ],
    [
      "to move a member",
      { desired: desired.map((each) => ({ ...each, address: "10.42.9.9" })) },
      "inconsistent",
    ],
    [
      "beside a voter that nobody accounts for",
      { members: [...members, { id: "b9", isLearner: false }] },
      "inconsistent",
    ],
    [
      "to believe another cluster",
      {
        record: leaving,
        members: without3,
        views: new Map([["m1", { clusterId: "c2", ids: [] }]]),
      },
      "inconsistent",
    ],
  ])("%s", (_, changes, name) => {
    expect(step(changes)).toMatchObject({ kind: "refuse", name });
  });

  it("to hand over when nobody else can lead", () => {
    const one = members.slice(2);
    expect(
      step({ record: leaving, desired: desired.slice(0, 2), members: one, leader: ids.m3 }),
    ).toMatchObject({ kind: "refuse", name: "tooFew" });
  });
});

describe("growing", () => {
  const grown = { ...withEntered(record(), m4), nonce: record().nonce };
  it("enters the roster first, together with all others in joined, and is not used yet", () => {
    expect(step({ desired: [...desired, m4] })).toEqual({ kind: "enter", member: m4 });
    expect(grown.joined).toEqual(["m1", "m2", "m3", "m4"]);
    expect(grown.roster.at(-1)).toEqual(m4);
    const late = withEntered(record({ joined: ["m1", "m2"] }), m4);
    expect(late.joined).toEqual(["m1", "m2", "m3", "m4"]);
  });

  it("then waits until etcd has given it a vote", () => {
    const learner = { id: "a4", name: "m4", isLearner: true };
    for (const list of [members, [...members, learner]]) {
      expect(step({ record: grown, desired: [...desired, m4], members: list })).toEqual({
        kind: "wait",
        needs: "m4 to become a voter",
      });
    }
    const voters = [...members, { ...learner, isLearner: false }];
    expect(step({ record: grown, desired: [...desired, m4], members: voters }).kind).toBe("done");
  });

  it("comes before shrinking, one name at a time", () => {
    const m5 = { ...m4, name: "m5", address: "10.42.4.10" };
    expect(step({ desired: [...desired.slice(0, 2), m4, m5] })).toEqual({
      kind: "enter",
      member: m4,
    });
  });
});

describe("shrinking", () => {
  const wish = { record: leaving, desired: desired.slice(0, 2) };
  it("says so first; an unwell member may go itself", () => {
    expect(step({ desired: desired.slice(0, 2) })).toEqual({ kind: "leave", name: "m3" });
    expect(
      step({ desired: desired.slice(0, 2), unhealthy: new Map([["m3", "does not answer"]]) }),
    ).toEqual({ kind: "leave", name: "m3" });
    expect(leaving.roster.map((entry) => entry.leaving)).toEqual([undefined, undefined, true]);
  });

  it("hands leadership over, to a voter that stays, then removes", () => {
    expect(step({ ...wish, leader: ids.m3 })).toEqual({
      kind: "handOver",
      from: ids.m3,
      to: ids.m1,
    });
    expect(step(wish)).toEqual({ kind: "remove", id: ids.m3, name: "m3" });
  });

  it("drops the name only when every remaining voter has shown that it is gone", () => {
    const views = (m2: View | undefined) =>
      new Map([["m1", seen(without3)], ...(m2 === undefined ? [] : [["m2", m2] as const])]);
    const after = { ...wish, members: without3 };
    expect(step({ ...after, views: views(undefined) }).kind).toBe("wait");
    expect(step({ ...after, views: views({ failure: "deadline" }) })).toEqual({
      kind: "wait",
      needs: "m2 to confirm: deadline",
    });
    expect(step({ ...after, views: views(seen(members)) })).toEqual({
      kind: "wait",
      needs: "m2 to have applied the removal of m3",
    });
    expect(step({ ...after, views: views(seen(without3)) })).toEqual({ kind: "drop", name: "m3" });
    expect(withDropped(leaving, "m3")).toMatchObject({
      roster: [{ name: "m1" }, { name: "m2" }],
      joined: ["m1", "m2"],
    });
  });

  it("finishes what was begun, even if it is not wanted any more", () => {
    expect(step({ ...wish, desired })).toMatchObject({ kind: "remove" });
  });

  it("takes out a learner whose name has left the roster", () => {
    const record2 = { ...withDropped(leaving, "m3"), nonce: record().nonce };
    for (const name of [{ name: "m3" }, {}]) {
      const list = [...without3, { id: "a9", isLearner: true, ...name }];
      expect(step({ record: record2, desired: desired.slice(0, 2), members: list })).toEqual({
        kind: "remove",
        id: "a9",
      });
    }
  });
});

it("knows a volume that a member put to use from one that only entered the roster", () => {
  expect(desired[0]?.volumeId).toBe(volumes.m1);
  expect(withEntered(record(), m4).roster.at(-1)?.used).toBeUndefined();
});

describe("who goes and who leads", () => {
  const five = [...desired, m4, { name: "m5", address: "10.42.1.11", volumeId: "vol-0000000e" }];
  const roster = [five[3], five[0], five[4], five[1], five[2]].flatMap((each) =>
    each === undefined ? [] : [each],
  );
  const voters = [
    ...members,
    { id: "d4", name: "m4", isLearner: false },
    { id: "e5", name: "m5", isLearner: false },
  ];

  it("the newest name leaves first, wherever it is in the roster", () => {
    const facts = { record: record({ roster }), members: voters };
    expect(step(facts)).toEqual({ kind: "leave", name: "m5" });
    const ten = [...roster, { name: "m10", address: "10.42.1.12", volumeId: "vol-0000000f" }];
    expect(step({ ...facts, record: record({ roster: ten }) })).toEqual({
      kind: "leave",
      name: "m10",
    });
  });

  it("a leader that leaves hands over to one that stays, not to one that leaves next", () => {
    const listed = [voters[3], voters[4], ...members].flatMap((each) =>
      each === undefined ? [] : [each],
    );
    const changed = { ...withLeaving(record({ roster }), "m5"), nonce: record().nonce };
    expect(step({ record: changed, members: listed, leader: "e5" })).toEqual({
      kind: "handOver",
      from: "e5",
      to: ids.m1,
    });
  });
});
