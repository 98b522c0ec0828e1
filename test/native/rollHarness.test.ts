import assert from "node:assert/strict";
import { test } from "node:test";
import type { Line, Voters } from "../faults/writer/lines.ts";
import { figuresOf, tooFewUp } from "../rolls/harness/figures.ts";
import { changesOf, disagreement } from "../rolls/harness/preview.ts";

/** What every roll rests on: each rule sees its violation here. */

const urn = (type: string, name: string): string =>
  `urn:pulumi:rolls::etcd-cluster::etcd-cluster:index:EtcdCluster$${type}::${name}`;

const command = "command:remote:Command";

function digest(steps: readonly (readonly [string, string, string])[]): string {
  return JSON.stringify({
    steps: steps.map(([op, type, name]) => ({ op, urn: urn(type, name) })),
  });
}

test("a preview's changes: each resource once, nothing of what stays", () => {
  const text = digest([
    ["same", command, "etcd-m1-wait"],
    ["read", "aws:ec2/vpc:Vpc", "v"],
    ["create-replacement", command, "etcd-m1-bootstrap"],
    ["replace", command, "etcd-m1-bootstrap"],
    ["delete-replaced", command, "etcd-m1-bootstrap"],
    ["update", "aws:cloudwatch/dashboard:Dashboard", "d"],
  ]);
  assert.deepEqual(changesOf(text), [
    { op: "replace", resource: `${command} etcd-m1-bootstrap` },
    { op: "update", resource: "aws:cloudwatch/dashboard:Dashboard d" },
  ]);
});

test("a preview without steps changes nothing; an unknown step is an error", () => {
  assert.deepEqual(changesOf("{}"), []);
  assert.throws(
    () => changesOf(digest([["import", command, "x"]])),
    /a step "import" of .* is not/,
  );
});

test("what is not meant and what is missing are told apart", () => {
  const changes = [
    { op: "replace", resource: `${command} etcd-m1-bootstrap` },
    { op: "delete", resource: "aws:ebs/volume:Volume etcd-m1" },
  ] as const;
  assert.deepEqual(
    disagreement(changes, [
      { op: "replace", resource: /etcd-m\d-bootstrap$/, count: 3 },
      { op: "update", resource: /Dashboard/ },
    ]),
    [
      "not meant: delete aws:ebs/volume:Volume etcd-m1",
      "missing: replace etcd-m\\d-bootstrap$: 1, not 3",
      "missing: update Dashboard: 0, not at least one",
    ],
  );
});

test("the same resource with another operation is not what was meant", () => {
  const resource = "aws:autoscaling/group:Group etcd-m1";
  assert.deepEqual(
    disagreement([{ op: "replace", resource }], [{ op: "update", resource: /Group/ }]),
    [`not meant: replace ${resource}`, "missing: update Group: 0, not at least one"],
  );
});

function look(at: number, up: string, term: number, voters = "m1 m2 m3"): Voters {
  return {
    ...{ kind: "voters", since: at - 1, at, learners: [], leader: "m1", term, why: "m9: gone" },
    ...{ voters: voters.split(" "), up: up.split(" "), late: [] },
  };
}

function request(
  kind: "served" | "failed",
  client: "retrying" | "once",
  at: number,
  attempts = 1,
): Line {
  const common = { client, what: "write", attempts, sentAt: at - 7, at } as const;
  return kind === "served" ? { kind, ...common } : { kind, why: "late", ...common };
}

function acknowledged(at: number): Line {
  return {
    ...{ kind: "ack", key: String(at), value: "v", revision: String(at), clusterId: "c" },
    ...{ endpoint: 0, sentAt: at - 1, at },
  };
}

test("figures: requests by client, the longest gap, terms, voters down; nothing from before", () => {
  const lines = [
    request("failed", "retrying", 50),
    look(60, "m1", 1),
    acknowledged(90),
    request("served", "retrying", 110, 3),
    request("served", "retrying", 120),
    request("failed", "once", 130),
    look(140, "m1 m2 m3", 4),
    acknowledged(150),
    look(160, "m1 m3", 6),
    acknowledged(500),
  ];
  assert.deepEqual(figuresOf(lines, 100), {
    requests: { retrying: 2, once: 1 },
    failed: { retrying: 0, once: 1 },
    repeated: 1,
    slowestMs: 7,
    writeGapMs: 350,
    leaderChanges: 2,
    mostDown: 1,
    looks: 2,
  });
});

test("a look that nobody answered says nothing of terms, and that all are down", () => {
  const silent = { ...look(120, "m1", 0), up: [] };
  const { leaderChanges, mostDown } = figuresOf([look(110, "m1 m2 m3", 4), silent], 100);
  assert.deepEqual({ leaderChanges, mostDown }, { leaderChanges: 0, mostDown: 3 });
});

test("who is late is not down when a write is confirmed meanwhile that needed them; who refuses is", () => {
  const slow: Voters = { ...look(200, "m9", 2), since: 100, up: [], late: ["m2", "m3"] };
  const write = acknowledged(150);
  assert.equal(figuresOf([slow], 0).mostDown, 3);
  assert.equal(figuresOf([slow, write], 0).mostDown, 1);
  assert.deepEqual(tooFewUp([slow, write], 0, 1), []);
  assert.equal(tooFewUp([slow], 0, 1).length, 1);
  // Confirmed before the look began, or all refused, or a quorum answered: it proves nothing of the others.
  assert.equal(figuresOf([slow, acknowledged(100)], 0).mostDown, 3);
  assert.equal(figuresOf([{ ...slow, late: [] }, write], 0).mostDown, 3);
  const two: Voters = { ...slow, up: ["m1", "m2"], late: ["m3"] };
  assert.equal(figuresOf([two, write], 0).mostDown, 1);
});

test("looks with too few voters up are told, whatever the size is at that moment", () => {
  const lines = [
    look(110, "m1 m2 m3", 2, "m1 m2 m3 m4"),
    look(2600, "m1 m2 m3", 2, "m1 m2 m3 m4 m5"),
  ];
  assert.deepEqual(tooFewUp(lines, 100, 1), ["+2.5 s: m1 m2 m3 of m1 m2 m3 m4 m5 (m9: gone)"]);
});
