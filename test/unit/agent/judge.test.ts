import type { MemberStatus } from "../../../scripts/agent/etcd";
import { judge, type Observation } from "../../../scripts/agent/judge";

const roster = ["m1", "m2", "m3"].map((name, at) => ({ name, address: `10.42.${at}.10` }));

function status(id: string, changes: Partial<MemberStatus> = {}): MemberStatus {
  return {
    id,
    clusterId: "c1",
    version: "3.6.14",
    leader: "a1",
    isLearner: false,
    raftTerm: 2n,
    raftIndex: 5000n,
    raftAppliedIndex: 5000n,
    revision: 10n,
    dbSizeBytes: 20480,
    dbInUseBytes: 16384,
    errors: [],
    ...changes,
  };
}

function healthy(): Observation {
  return {
    member: "m1",
    roster,
    members: roster.map(({ name, address }, at) => ({
      id: `a${at + 1}`,
      name,
      peerUrls: [`https://${address}:2380`],
      isLearner: false,
    })),
    alarms: [],
    statuses: new Map([
      ["m1", status("a1")],
      ["m2", status("a2")],
      ["m3", status("a3")],
    ]),
    hashes: new Map(
      ["m1", "m2", "m3"].map((name) => [name, { hash: "7", compactRevision: "1" }] as const),
    ),
  };
}

/** A healthy cluster with one thing replaced. */
const with_ = (changes: Partial<Observation>): Observation => ({ ...healthy(), ...changes });
const withStatus = (name: string, value: MemberStatus | { failure: string }): Observation =>
  with_({ statuses: new Map([...healthy().statuses, [name, value]]) });

it("finds nothing wrong with a healthy cluster", () => {
  expect(judge(healthy())).toEqual([]);
});

it.each<[string, Observation, RegExp]>([
  ["silence", withStatus("m2", { failure: "deadline exceeded" }), /^m2: .*not answer.*deadline/],
  ["another cluster", withStatus("m3", status("a3", { clusterId: "c2" })), /^m3: is in cluster c2/],
  ["no leader", withStatus("m2", status("a2", { leader: undefined })), /^m2: sees no leader/],
  ["two leaders", withStatus("m3", status("a3", { leader: "a2" })), /^m3: follows a2, m1 a1/],
  ["another identity", withStatus("m2", status("a9")), /^m2: answers as a9/],
  [
    "a member that lags",
    withStatus("m3", status("a3", { raftAppliedIndex: 3000n })),
    /^m3: is 2000 entries behind/,
  ],
  [
    "a missing member",
    with_({ members: healthy().members.slice(0, 2) }),
    /^m3: is not in etcd's member list/,
  ],
  [
    "an unknown member",
    with_({
      members: [
        ...healthy().members,
        { id: "a9", name: "", peerUrls: ["https://10.42.9.10:2380"], isLearner: false },
      ],
    }),
    /^a9: is in etcd's member list, but not in the roster/,
  ],
  [
    "a learner",
    with_({
      members: healthy().members.map((each) =>
        each.name === "m2" ? { ...each, isLearner: true } : each,
      ),
    }),
    /^m2: is a learner/,
  ],
  [
    "an address that moved",
    with_({
      members: healthy().members.map((each) =>
        each.name === "m2" ? { ...each, peerUrls: ["https://10.42.1.99:2380"] } : each,
      ),
    }),
    /^m2: etcd knows it at https:\/\/10\.42\.1\.99:2380/,
  ],
  ["an alarm", with_({ alarms: [{ memberId: "a2", kind: "Nospace" }] }), /^m2: alarm Nospace/],
  [
    "an alarm of a stranger",
    with_({ alarms: [{ memberId: "b1", kind: "Corrupt" }] }),
    /^b1: alarm Corrupt/,
  ],
  [
    "different data",
    with_({ hashes: new Map([...healthy().hashes, ["m3", { hash: "8", compactRevision: "1" }]]) }),
    /^m3: holds other data than m1/,
  ],
  [
    "keys that cannot be hashed",
    with_({ hashes: new Map([...healthy().hashes, ["m1", { failure: "compacted" }]]) }),
    /^m1: its keys cannot be hashed/,
  ],
])("names %s", (_, observation, expected) => {
  expect(judge(observation)[0]).toMatch(expected);
});

it("does not compare hashes across different compactions", () => {
  const hashes = new Map([
    ...healthy().hashes,
    ["m3", { hash: "8", compactRevision: "2" }] as const,
  ]);
  expect(judge(with_({ hashes }))).toEqual([]);
});
