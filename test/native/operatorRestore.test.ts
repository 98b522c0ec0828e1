import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { adopted, adoptions } from "../../scripts/operator/adopt-volumes.ts";
import { judgeFencing, type FencingFacts } from "../../scripts/operator/lib/fencing.ts";
import { describe as inWords, type Answer } from "../../scripts/operator/restore.ts";

describe("a member is fenced only when AWS says all of it", () => {
  const off: FencingFacts = {
    ...{ wanted: 0, machines: [], attached: [] },
    instances: [{ id: "i-01", state: "terminated" }],
  };
  test("group at zero, machines terminated, volume detached", () => {
    assert.equal(judgeFencing(off), undefined);
    assert.equal(judgeFencing({ ...off, instances: [] }), undefined);
  });
  const alive: [string, Partial<FencingFacts>, RegExp][] = [
    ["a group that wants a machine", { wanted: 1 }, /set that to 0/],
    ["a group that has one", { machines: ["i-02"] }, /still has i-02/],
    [
      "a machine that is only stopping",
      { instances: [...off.instances, { id: "i-03", state: "shutting-down" }] },
      /i-03 is shutting-down/,
    ],
    ["a stopped machine", { instances: [{ id: "i-04", state: "stopped" }] }, /i-04 is stopped/],
    ["a volume", { attached: [{ id: "vol-01", to: "i-05" }] }, /vol-01 is still attached to i-05/],
  ];
  for (const [what, changes, reason] of alive) {
    test(`${what} is not`, () => {
      assert.match(judgeFencing({ ...off, ...changes }) ?? "", reason);
    });
  }
});

test("what can be restored, in words", () => {
  const answer: Answer = {
    ...{ cluster: "etcd-dev", generation: 2, phase: "rollCall", epoch: 5 },
    attested: [
      { member: "m1", setAside: [{ generation: 1, term: 2, index: 9 }] },
      {
        member: "m2",
        data: { generation: 2, term: 3, index: 17, damage: "a record's checksum is wrong" },
        setAside: [],
      },
    ],
    unaccounted: ["m3"],
    candidates: [
      {
        name: "m2",
        rank: { generation: 2, term: 3, index: 17 },
        holder: "m2",
        damage: "a record's checksum is wrong",
      },
      { name: "backups/m1/x.db", rank: { generation: 2, term: 3, index: 4 } },
    ],
    chosen: { name: "m2", holder: "m2" },
  };
  assert.deepEqual(inWords(answer).split("\n"), [
    "cluster etcd-dev, generation 2, rollCall, epoch 5",
    "",
    "MEMBER  TERM/INDEX  DATA                          SET ASIDE",
    "m1      blank       -                             1",
    "m2      3/17        a record's checksum is wrong  0",
    "",
    "    GENERATION  TERM  INDEX  COPY             DAMAGE",
    "->  2           3     17     m2               a record's checksum is wrong",
    "    2           3     4      backups/m1/x.db",
    "",
    "m3: not sworn yet, or must be fenced",
  ]);
  assert.match(inWords({ ...answer, candidates: [], chosen: undefined }), /there is no copy/);
});

test("only a volume that a member uses instead of the state's one is adopted, and nothing else changes", () => {
  const volume = (member: string, id: string) => ({
    urn: `urn:pulumi:dev::etcd-cluster::etcd-cluster:index:EtcdCluster$aws:ebs/volume:Volume::dev-${member}`,
    type: "aws:ebs/volume:Volume",
    id,
    outputs: { id, size: 10 },
    more: "kept",
  });
  const other = { urn: "urn:x::other-m1", type: "aws:ec2/eip:Eip", id: "eip-1" };
  const checkpoint = {
    version: 3,
    deployment: { resources: [other, volume("m1", "vol-00000001"), volume("m2", "vol-00000002")] },
  };
  const used = new Map([
    ["m1", "vol-00000001"],
    ["m2", "vol-0000000f"],
  ]);
  const changes = adoptions(checkpoint, used);
  assert.deepEqual(
    changes.map(({ member, lost, used: now }) => [member, lost, now]),
    [["m2", "vol-00000002", "vol-0000000f"]],
  );
  assert.deepEqual(adopted(checkpoint, changes), {
    version: 3,
    deployment: { resources: [other, volume("m1", "vol-00000001"), volume("m2", "vol-0000000f")] },
  });
});
