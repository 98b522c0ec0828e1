import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import {
  copyBackup,
  decide,
  type Import,
  type ImportFacts,
} from "../../scripts/operator/import-backup.ts";
import { FakeS3 } from "./fakeS3.ts";

/** Another cluster's backup: what may be imported, and that what arrives is what its name says. */

const theirs = "11111111-1111-4111-8111-111111111111";
const ours = "22222222-2222-4222-8222-222222222222";
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

const rest = (term: number, index: number, text: string): string =>
  `t${String(term).padStart(10, "0")}-i${String(index).padStart(16, "0")}-r0000000000000017-20260102T030405Z-${sha256(text)}.db`;

const older = `backups/m1/g000002-${rest(9, 50, "older")}`;
const newest = `backups/m3/g000003-${rest(2, 40, "newest")}`;

const facts: ImportFacts = {
  uid: theirs,
  other: { clusterUid: theirs, generation: 3, source: { kind: "snapshot" } },
  own: { clusterUid: ours, generation: 1, source: { kind: "new" } },
  keys: [older, newest, "backups/m1/something-else"],
  key: undefined,
  members: [
    { name: "m1", alive: "its group is to have 1 machine" },
    { name: "m2", alive: undefined },
    { name: "m3", alive: undefined },
  ],
};

describe("what is imported", () => {
  it("is the newest backup, as one of generation 1", () => {
    assert.deepEqual(decide(facts), {
      key: newest,
      sha256: sha256("newest"),
      target: `backups/m1/g000001-${rest(2, 40, "newest")}`,
    });
  });

  it("is the one that was named", () => {
    assert.equal(decide({ ...facts, key: older }).key, older);
  });

  const [m1, m2, m3] = facts.members as [
    ImportFacts["members"][0],
    ImportFacts["members"][0],
    ImportFacts["members"][0],
  ];
  const refused: [string, Partial<ImportFacts>, RegExp][] = [
    ["of another cluster than was named", { uid: ours }, /is of the cluster 1111.*not 2222/],
    [
      "its own",
      { uid: theirs, own: { ...facts.own, clusterUid: theirs } },
      /this cluster itself.*restore\.ts --copy/,
    ],
    [
      "into a cluster that has begun anew before",
      { own: { ...facts.own, generation: 2 } },
      /of generation 2, from a new source.*make one/,
    ],
    [
      "into a cluster that has begun with something",
      { own: { ...facts.own, source: { kind: "snapshot" } } },
      /from a snapshot source/,
    ],
    [
      "while there may be a quorum",
      { members: [m1, { ...m2, alive: "i-02 is running" }, m3] },
      /1 of 3 members are fenced; 2 must be.*m2: i-02 is running/,
    ],
    ["when nobody is left", { members: [m2, m3] }, /one must be left/],
    ["into a cluster of one", { members: [m1] }, /a cluster of one cannot/],
    ["what is not there", { key: "backups/m1/none" }, /none is not among the 3 backups/],
    ["what is no backup", { key: "backups/m1/something-else" }, /not among/],
    ["nothing", { keys: [] }, /there is no backup/],
  ];
  for (const [what, changes, reason] of refused) {
    it(`is not ${what}`, () => {
      assert.throws(() => decide({ ...facts, ...changes }), reason);
    });
  }
});

describe("the copy", () => {
  const s3 = new FakeS3();
  const copy: Import = decide(facts);

  before(async () => s3.start());
  after(async () => s3.stop());

  it("is not put when it is something else than its name says", async () => {
    s3.objects.set(newest, Buffer.from("spoilt"));
    await assert.rejects(copyBackup(s3.client, "theirs", "ours", copy), /not the hash of its name/);
    assert.deepEqual(s3.puts, []);
  });

  it("is put once, as it was", async () => {
    s3.objects.set(newest, Buffer.from("newest"));
    await copyBackup(s3.client, "theirs", "ours", copy);
    await copyBackup(s3.client, "theirs", "ours", copy);
    assert.equal(s3.objects.get(copy.target)?.toString(), "newest");
    assert.deepEqual(s3.puts, [copy.target]);
  });
});
