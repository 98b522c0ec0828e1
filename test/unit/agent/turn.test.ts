import fc from "fast-check";

import type { ClusterRecord } from "../../../scripts/agent/record";
import {
  closeEnough,
  turn,
  type Change,
  type Turn,
  type TurnFacts,
  type Voice,
} from "../../../scripts/agent/turn";

const names = ["m1", "m2", "m3"];

function recordOf(members: readonly string[]): ClusterRecord {
  return {
    clusterUid: "5b0e0c0e-1f0a-4a8e-9d2c-0d9d3c1f2a3b",
    generation: 2,
    token: "etcd-2",
    epoch: 5,
    phase: "open",
    initial: [...members],
    roster: members.map((name) => ({
      name,
      address: `10.42.0.1${name.slice(1)}`,
      volumeId: `vol-0000000${name.slice(1)}`,
      used: true,
    })),
    joined: [...members],
    formed: true,
    source: { kind: "new" },
    earlierSources: [],
    nonce: "0f8fad5b-d9cb-469f-a165-70867728950e",
  };
}

const idOf = (name: string): string => `a${name.slice(1)}`;

function voiceOf(name: string, version = "3.6.14"): Voice {
  return {
    id: idOf(name),
    clusterId: "c1",
    version,
    leader: "a2",
    isLearner: false,
    committed: 9000n,
    applied: 9000n,
    alarms: [],
  };
}

const change: Change = {
  restart: true,
  version: { from: "3.6.14", to: "3.6.14" },
  moreQuota: false,
  grows: false,
  certificates: false,
};

/** Everybody is well, and m1 is to restart. */
function facts(over: Partial<TurnFacts> = {}, members: readonly string[] = names): TurnFacts {
  return {
    member: "m1",
    change,
    running: true,
    record: recordOf(members),
    generation: 2,
    list: members.map((name) => ({ id: idOf(name), name, isLearner: false })),
    voices: new Map(members.map((name) => [name, voiceOf(name)])),
    cluster: undefined,
    ...over,
  };
}

function voicesWith(name: string, over: Partial<Voice> | { failure: string }): TurnFacts["voices"] {
  const voices = new Map<string, Voice | { failure: string }>(
    names.map((each) => [each, voiceOf(each)]),
  );
  voices.set(name, "failure" in over ? over : { ...voiceOf(name), ...over });
  return voices;
}

const words = (decision: Turn): string =>
  decision.kind === "refuse"
    ? `refuse: ${decision.reason}`
    : decision.kind === "wait"
      ? `wait: ${decision.needs}`
      : decision.kind;

test.each<[string, Partial<Change>]>([
  ["another agent", {}],
  ["a larger volume", { grows: true }],
])("%s stops nothing, and waits for everybody to be well all the same", (_, over) => {
  const quiet = { ...change, restart: false, ...over };
  const sick = voicesWith("m3", { failure: "refused" });
  const alarmed = voicesWith("m2", { alarms: [{ memberId: "a3", kind: "Corrupt" }] });
  const learner = names.map((name) => ({ id: idOf(name), name, isLearner: name === "m3" }));
  expect(turn(facts({ change: quiet })).kind).toBe("apply");
  expect(words(turn(facts({ change: quiet, voices: sick })))).toMatch(/^wait: m3, which is not/);
  expect(words(turn(facts({ change: quiet, voices: alarmed })))).toMatch(/^refuse: the alarm CORR/);
  expect(words(turn(facts({ change: quiet, list: learner })))).toMatch(/^wait: m3, a learner/);
  const alone = { voices: new Map([["m1", { ...voiceOf("m1"), leader: "a1" }]]) };
  expect(turn(facts({ ...alone, change: quiet }, ["m1"]))).toEqual({
    kind: "apply",
    outage: false,
  });
});

test("all are well: it is its turn", () => {
  expect(turn(facts())).toEqual({ kind: "apply", outage: false });
});

test("the only member restarts, and nobody is served meanwhile", () => {
  const alone = facts({ voices: new Map([["m1", { ...voiceOf("m1"), leader: "a1" }]]) }, ["m1"]);
  expect(turn(alone)).toEqual({ kind: "apply", outage: true });
});

test.each<[string, Partial<TurnFacts>, string]>([
  [
    "roll call",
    { record: { ...recordOf(names), phase: "rollCall" } },
    "refuse: the roll is called",
  ],
  ["not formed", { record: { ...recordOf(names), formed: false } }, "refuse: generation 2 has not"],
  ["an older generation's data", { generation: 1 }, "refuse: the data of m1 is of generation 1"],
  [
    "a removal is under way",
    {
      record: {
        ...recordOf(names),
        roster: recordOf(names).roster.map((each) =>
          each.name === "m3" ? { ...each, leaving: true } : each,
        ),
      },
    },
    "refuse: m3 is being removed",
  ],
  ["no quorum", { list: { failure: "deadline" } }, "wait: a quorum that confirms"],
  [
    "another is down",
    { voices: voicesWith("m3", { failure: "refused" }) },
    "wait: m3, which is not healthy: refused",
  ],
  [
    "an alarm",
    { voices: voicesWith("m2", { alarms: [{ memberId: "a3", kind: "Corrupt" }] }) },
    "refuse: the alarm CORRUPT of member a3 is raised",
  ],
  [
    "a learner",
    { list: names.map((name) => ({ id: idOf(name), name, isLearner: name === "m3" })) },
    "wait: m3, a learner",
  ],
  [
    "a member that the roster does not know",
    {
      list: [
        ...names.map((name) => ({ id: idOf(name), name, isLearner: false })),
        { id: "a9", isLearner: false },
      ],
    },
    "refuse: etcd has a member a9",
  ],
  [
    "a member that etcd's list does not have",
    { list: names.slice(0, 2).map((name) => ({ id: idOf(name), name, isLearner: false })) },
    "wait: m3 to be once in etcd's member list, where it is 0 times",
  ],
  ["an older id", { voices: voicesWith("m3", { id: "b3" }) }, "wait: m3 to take part under the id"],
  [
    "another cluster",
    { voices: voicesWith("m2", { clusterId: "c2" }) },
    "refuse: m2 answers for the cluster c2, not c1",
  ],
  ["no leader", { voices: voicesWith("m3", { leader: undefined }) }, "wait: m3 and m1 to agree"],
  [
    "one is behind",
    { voices: voicesWith("m3", { applied: 9000n - closeEnough - 1n }) },
    "wait: m3 to catch up: it is 5001 entries behind",
  ],
  [
    "itself does not answer",
    { voices: voicesWith("m1", { failure: "deadline" }) },
    "wait: m1 itself to answer: deadline",
  ],
])("%s", (_, over, expected) => {
  expect(words(turn(facts(over)))).toContain(expected);
});

test("behind by no more than a moment's writes is close enough", () => {
  const voices = voicesWith("m3", { applied: 9000n - closeEnough });
  expect(turn(facts({ voices })).kind).toBe("apply");
});

describe("what is no turn", () => {
  const broken: Partial<TurnFacts> = {
    voices: voicesWith("m3", { failure: "refused" }),
    record: { ...recordOf(names), phase: "rollCall" },
  };

  const certificates = { ...change, restart: false, certificates: true };

  test("certificates alone: nobody else matters", () => {
    expect(turn(facts({ ...broken, change: certificates })).kind).toBe("apply");
  });

  test.each<[string, Partial<Change>]>([
    ["with another setting, version or root", { restart: true }],
    ["with another machine", { machine: "image" }],
  ])("certificates %s are a change like any other", (_, over) => {
    expect(turn(facts({ ...broken, change: { ...certificates, ...over } })).kind).toBe("refuse");
  });

  test("another machine is a restart", () => {
    const replaced = { ...change, restart: false, machine: "instance type" };
    expect(turn(facts({ ...broken, change: replaced })).kind).toBe("refuse");
  });

  test("its own etcd is down: at once, but never over a minor", () => {
    const down = { ...broken, running: false };
    expect(turn(facts(down)).kind).toBe("apply");
    const skip = { ...change, version: { from: "3.5.35", to: "3.7.3" } };
    expect(words(turn(facts({ ...down, change: skip })))).toMatch(/^refuse: it runs etcd 3.5.35/);
  });

  test("its own etcd is down, and the cluster is of a newer minor: not down to an older one by itself", () => {
    const down = { ...change, version: { from: "3.7.3", to: "3.6.14" } };
    const at = (...versions: string[]) =>
      new Map<string, Voice | { failure: string }>([
        ["m1", { failure: "refused" }],
        ...versions.map((version, index) => {
          const name = `m${index + 2}`;
          return [name, voiceOf(name, version)] as const;
        }),
      ]);
    const decide = (...versions: string[]): string =>
      words(turn(facts({ running: false, change: down, voices: at(...versions) })));
    expect(decide("3.7.3", "3.7.3")).toMatch(/^refuse: m1 is down, and the others run 3\.7\.3/);
    expect(decide("3.7.3", "3.6.14")).toBe("apply");
    expect(decide()).toBe("apply");
  });

  test("a larger quota is the cure of NOSPACE, and of nothing else", () => {
    const cure = { ...change, moreQuota: true };
    const full = voicesWith("m2", { alarms: [{ memberId: "a2", kind: "Nospace" }] });
    const corrupt = voicesWith("m2", { alarms: [{ memberId: "a2", kind: "Corrupt" }] });
    expect(turn(facts({ voices: full })).kind).toBe("refuse");
    expect(turn(facts({ voices: full, change: cure })).kind).toBe("apply");
    expect(turn(facts({ voices: corrupt, change: cure })).kind).toBe("refuse");
  });
});

describe("versions", () => {
  const going = (from: string, to: string, over: Partial<TurnFacts> = {}): Turn =>
    turn(
      facts({
        change: { ...change, version: { from, to } },
        voices: new Map(names.map((name) => [name, voiceOf(name, from)])),
        ...over,
      }),
    );

  test("up by one minor, when the cluster is of this one", () => {
    const cluster = { version: "3.6.0", storage: "3.6.0" };
    expect(going("3.6.14", "3.7.3", { cluster })).toEqual({ kind: "apply", outage: false });
  });

  test("what runs counts: one member is older than the desired states say", () => {
    const voices = voicesWith("m3", { version: "3.5.35" });
    const cluster = { version: "3.5.0" };
    expect(words(going("3.6.14", "3.7.3", { cluster, voices }))).toMatch(
      /^refuse: m3 runs etcd 3\.5\.35: etcd changes its minor one at a time/,
    );
  });

  test("an older patch than the next minor can take over from", () => {
    const cluster = { version: "3.6.0" };
    const voices = voicesWith("m2", { version: "3.6.10" });
    expect(words(going("3.6.14", "3.7.3", { cluster, voices }))).toMatch(/m2 runs etcd 3\.6\.10/);
  });

  test("all run 3.6, and etcd has not said so yet", () => {
    expect(words(going("3.6.14", "3.7.3", { cluster: { version: "3.5.0" } }))).toBe(
      "wait: the cluster to be more than 3.5.0, now that all its members are",
    );
  });

  test("nobody knows which version the cluster has", () => {
    expect(words(going("3.6.14", "3.7.3"))).toMatch(/^wait: etcd to say which version/);
  });

  test("down: etcd is told first, then waited for, then it goes", () => {
    const told = going("3.7.3", "3.6.14", { cluster: { version: "3.7.0", storage: "3.7.0" } });
    expect(told).toMatchObject({ kind: "apply", first: { kind: "enableDowngrade", to: "3.6" } });
    expect(
      words(
        going("3.7.3", "3.6.14", {
          cluster: { version: "3.7.0", storage: "3.7.0", downgrade: "3.6" },
        }),
      ),
    ).toBe("wait: etcd to bring the cluster down from 3.7.0 to 3.6");
    expect(
      words(
        going("3.7.3", "3.6.14", {
          cluster: { version: "3.6.0", storage: "3.7.0", downgrade: "3.6" },
        }),
      ),
    ).toBe("wait: etcd to bring its database down from 3.7.0 to 3.6");
    expect(
      going("3.7.3", "3.6.14", {
        cluster: { version: "3.6.0", storage: "3.6.0", downgrade: "3.6" },
      }),
    ).toEqual({ kind: "apply", outage: false });
  });

  test("back from an upgrade that is not complete: free", () => {
    const voices = voicesWith("m1", { version: "3.7.3" });
    expect(
      going("3.7.3", "3.6.14", { cluster: { version: "3.6.0", storage: "3.6.0" }, voices }),
    ).toEqual({ kind: "apply", outage: false });
  });

  test("up again while it goes down: that is taken back first", () => {
    const cluster = { version: "3.6.0", storage: "3.6.0", downgrade: "3.6" };
    expect(going("3.6.14", "3.7.3", { cluster })).toMatchObject({
      first: { kind: "cancelDowngrade", from: "3.6" },
    });
  });
});

test("whatever the facts: nobody restarts when a quorum of others is not proven well", () => {
  const anyVoice = (name: string) =>
    fc.oneof(
      fc.constant({ failure: "refused" }),
      fc.record({
        id: fc.constantFrom(idOf(name), "b1"),
        clusterId: fc.constantFrom("c1", "c1", "c2"),
        version: fc.constantFrom("3.5.35", "3.6.14", "3.7.3"),
        leader: fc.constantFrom("a1", "a2", undefined),
        isLearner: fc.constant(false),
        committed: fc.bigInt({ min: 0n, max: 20_000n }),
        applied: fc.bigInt({ min: 0n, max: 20_000n }),
        alarms: fc.constantFrom([], [], [{ memberId: "a1", kind: "Corrupt" }]),
      }),
    );
  const some = fc.record({
    size: fc.constantFrom(1, 3, 5),
    voices: fc.tuple(...["m1", "m2", "m3", "m4", "m5"].map(anyVoice)),
    learner: fc.integer({ min: 0, max: 9 }),
    missing: fc.integer({ min: 0, max: 9 }),
    phase: fc.constantFrom("open" as const, "rollCall" as const),
    to: fc.constantFrom("3.5.35", "3.6.14", "3.7.3"),
  });
  let applied = 0;
  fc.assert(
    fc.property(some, ({ size, voices, learner, missing, phase, to }) => {
      const members = ["m1", "m2", "m3", "m4", "m5"].slice(0, size);
      const given = facts(
        {
          record: { ...recordOf(members), phase },
          voices: new Map(members.map((name, at) => [name, voices[at] ?? { failure: "none" }])),
          list: members
            .map((name, at) => ({ id: idOf(name), name, isLearner: at === learner }))
            .filter((_, at) => at !== missing),
          change: { ...change, version: { from: "3.6.14", to } },
          cluster: { version: "3.6.0", storage: "3.6.0" },
        },
        members,
      );
      const decision = turn(given);
      if (decision.kind !== "apply") return;
      applied += 1;
      const voicesOf = members.map((name) => given.voices.get(name) ?? { failure: "none" });
      const answers = voicesOf.flatMap((voice) => ("failure" in voice ? [] : [voice]));
      expect(phase).toBe("open");
      expect(answers).toHaveLength(size);
      expect(new Set(answers.map(({ clusterId }) => clusterId)).size).toBe(1);
      expect(new Set(answers.map(({ leader }) => leader)).size).toBe(1);
      expect(answers.flatMap(({ alarms }) => alarms)).toEqual([]);
      expect(learner >= size && missing >= size).toBe(true);
    }),
    { numRuns: 3000 },
  );
  expect(applied).toBeGreaterThan(20);
});
