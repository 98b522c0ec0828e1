import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { secondsOf, wishOf } from "../../lab/cli/fault.ts";
import { Damage, damageFile } from "../../lab/cli/fault/damage.ts";
import { kinds, usage } from "../../lab/cli/fault/kinds.ts";
import { select, type Member } from "../../lab/cli/fault/members.ts";
import { Refusals } from "../../lab/daemon/refusals.ts";
import type { RawRequest } from "../../lab/front/call.ts";
import { renderDrops } from "../../lab/network/drops.ts";

const members: Member[] = ["m1", "m2", "m3"].map((name, index) => ({
  name,
  zone: `eu-central-1${"abc".charAt(index)}`,
  address: `10.42.0.${index + 1}`,
  groupName: name,
  machine: undefined,
}));

const chosen = (wish: string, leader?: string): string[] =>
  select(wish, members, leader).map(({ name }) => name);

test("MEMBER= is names, everybody, or whoever has the role now", () => {
  assert.deepEqual(chosen("m2"), ["m2"]);
  assert.deepEqual(chosen("m3, m1"), ["m3", "m1"]);
  assert.deepEqual(chosen("all"), ["m1", "m2", "m3"]);
  assert.deepEqual(chosen("leader", "m2"), ["m2"]);
  assert.deepEqual(chosen("follower", "m1"), ["m2"]);
  assert.deepEqual(chosen("followers", "m2"), ["m1", "m3"]);
});

test("a MEMBER= that is nobody is refused with who there is", () => {
  assert.throws(() => chosen("m9"), /there is no member m9; there are m1, m2, m3, leader/);
  assert.throws(() => chosen("leader"), /no member leads at the moment/);
});

test("what is not given is not a wish, and seconds are seconds", () => {
  assert.deepEqual(wishOf({ KIND: "zone", MEMBER: "", HOW: "refuse" }), {
    kind: "zone",
    member: undefined,
    seconds: undefined,
    how: "refuse",
  });
  assert.equal(secondsOf(undefined), 60);
  assert.equal(secondsOf("600"), 600);
  for (const wrong of ["0", "-1", "1.5", "1m"]) assert.throws(() => secondsOf(wrong), /SECONDS=/);
});

test("the help names every kind", () => {
  for (const kind of Object.keys(kinds)) assert.match(usage(), new RegExp(`^  ${kind} `, "m"));
});

test("drops: one transaction, each direction apart, before connection tracking", () => {
  const drops = new Map([
    ["gate", [{ from: ["10.42.0.1"], to: ["10.42.0.2", "10.42.0.3", "10.42.0.2"] }]],
  ]);
  const rule = "    ip saddr { 10.42.0.1 } ip daddr { 10.42.0.2, 10.42.0.3 } counter drop";
  assert.equal(
    renderDrops(drops),
    [
      "table inet lab_drops {}",
      "delete table inet lab_drops",
      "table inet lab_drops {",
      "  chain arriving {",
      "    type filter hook prerouting priority -360; policy accept;",
      rule,
      "  }",
      "  chain leaving {",
      "    type filter hook output priority -360; policy accept;",
      rule,
      "  }",
      "}",
      "",
    ].join("\n"),
  );
  assert.equal(
    renderDrops(new Map()),
    "table inet lab_drops {}\ndelete table inet lab_drops\n",
    "nothing is left when nothing is dropped",
  );
});

test("drops: nothing but addresses gets into the rules", () => {
  for (const from of [[], ["0.0.0.0/0"], ["10.0.0.1 } accept"]]) {
    assert.throws(() => renderDrops(new Map([["x", [{ from, to: ["10.0.0.1"] }]]])), /IPv4/);
  }
});

function request(service: string, more: Partial<RawRequest> = {}): RawRequest {
  const scope = `ASIAX/20260101/eu-central-1/${service}/aws4_request`;
  return {
    method: "GET",
    target: "/",
    headers: {
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
      "x-amz-date": "20260101T000000Z",
    },
    body: Buffer.alloc(0),
    fromMachine: true,
    sourceAddress: "10.42.0.1",
    ...more,
  };
}

test("S3 refuses whom it is told to, in its own words, and nobody else", () => {
  const refusals = new Refusals();
  assert.equal(refusals.answer(request("s3")), undefined);
  refusals.set(["10.42.0.1"]);
  const refused = refusals.answer(request("s3"));
  assert.equal(refused?.status, 503);
  assert.match(refused.body.toString(), /<Code>ServiceUnavailable<\/Code>/);
  assert.equal(refusals.answer(request("ec2")), undefined);
  assert.equal(refusals.answer(request("s3", { sourceAddress: "10.42.0.2" })), undefined);
  refusals.set("all");
  assert.equal(refusals.answer(request("s3", { sourceAddress: "10.42.0.2" }))?.status, 503);
  assert.equal(refusals.answer(request("s3", { fromMachine: false })), undefined);
  refusals.set([]);
  assert.equal(refusals.answer(request("s3")), undefined);
});

const value = `written:faults/a/0/00000001:${"n".repeat(32)}`;

/** A data directory with a log of which 1000 bytes are used, and a database with two copies of a value of the writer. */
function dataDirectory(): string {
  const folder = mkdtempSync(join(tmpdir(), "etcd-damage-"));
  for (const part of ["wal", "snap"]) mkdirSync(join(folder, "member", part), { recursive: true });
  const log = Buffer.alloc(3 << 20);
  log.fill(0xaa, 0, 1000);
  writeFileSync(
    join(folder, "member/wal/0000000000000000-0000000000000000.wal"),
    Buffer.alloc(9, 1),
  );
  writeFileSync(join(folder, "member/wal/0000000000000001-0000000000000100.wal"), log);
  writeFileSync(
    join(folder, "member/snap/db"),
    `${"x".repeat(5000)}${value} and${value}${"x".repeat(99)}`,
  );
  return folder;
}

test("damage: half of the used log is cut off, or one byte of it changed; older files stay", () => {
  const folder = dataDirectory();
  const newest = join(folder, "member/wal/0000000000000001-0000000000000100.wal");
  try {
    assert.match(damageFile(folder, Damage.WalFlipped), /changed byte 500 of 1000/);
    const flipped = readFileSync(newest);
    assert.deepEqual([flipped[499], flipped[500], flipped[501]], [0xaa, 0xab, 0xaa]);
    assert.match(damageFile(folder, Damage.WalTruncated), /at 500 of 1000 bytes/);
    assert.equal(readFileSync(newest).length, 500);
    const older = readFileSync(join(folder, "member/wal/0000000000000000-0000000000000000.wal"));
    assert.deepEqual(older, Buffer.alloc(9, 1));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("damage: the database changes inside one value only, in every copy of it", () => {
  const folder = dataDirectory();
  const database = join(folder, "member/snap/db");
  try {
    const before = readFileSync(database);
    damageFile(folder, Damage.DbFlipped);
    const changed = [...readFileSync(database).entries()].filter(
      ([index, byte]) => byte !== before[index],
    );
    const last = 5000 + value.length - 1;
    const other = "n".charCodeAt(0) ^ 1;
    assert.deepEqual(changed, [
      [last, other],
      [last + " and".length + value.length, other],
    ]);
    writeFileSync(database, "nothing of ours");
    assert.throws(() => damageFile(folder, Damage.DbFlipped), /no value of the writer/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
