import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { backupDue, type BackupSituation } from "../../../scripts/agent/backup";
import {
  backupKey,
  expendable,
  newestFirst,
  parseBackupKey,
  type Backup,
} from "../../../scripts/agent/backupKey";
import { roomProblem, sealedHash } from "../../../scripts/agent/backupSnapshot";
import { markExpendable, newestBackup, newestRestorable } from "../../../scripts/agent/backupStore";
import { WrongContent, type Bucket } from "../../../scripts/agent/bucket";

const minute = 60_000;
const noon = Date.UTC(2026, 0, 2, 12, 0, 0);

function backup(changes: Partial<Omit<Backup, "key">> = {}): Backup {
  const parts = {
    member: "m1",
    rank: { generation: 1, term: 2, index: 42 },
    revision: 17,
    takenAt: noon,
    sha256: "a".repeat(64),
    ...changes,
  };
  return { key: backupKey(parts), ...parts };
}

describe("the key of a backup", () => {
  const good = `backups/m1/g000001-t0000000002-i0000000000000042-r0000000000000017-20260102T120000Z-${"a".repeat(64)}.db`;

  it("says everything, and is read back to the letter", () => {
    expect(backup().key).toBe(good);
    expect(parseBackupKey(good)).toEqual(backup());
  });

  it.each([
    ["another prefix", good.replace("backups/", "backup/")],
    ["something before it", `x${good}`],
    ["something behind it", `${good}x`],
    ["a line behind it", `${good}\n`],
    ["a member that cannot be", good.replace("m1", "m0")],
    ["a folder of another", good.replace("m1/", "m1/../m2/")],
    ["generation 0", good.replace("g000001", "g000000")],
    ["a day that does not exist", good.replace("20260102", "20260231")],
    ["a month that does not exist", good.replace("20260102", "20261302")],
    ["an hour that does not exist", good.replace("T120000", "T250000")],
    ["a number that is not exact", good.replace("i0000000000000042", "i9999999999999999")],
    ["too few digits", good.replace("g000001", "g1")],
    ["a hash in capitals", good.replace("a".repeat(64), "A".repeat(64))],
    ["half a hash", good.replace("a".repeat(64), "a".repeat(32))],
    ["another kind of file", good.replace(".db", ".gz")],
    ["nothing", ""],
  ])("with %s is none", (_, key) => {
    expect(parseBackupKey(key)).toBeUndefined();
  });

  it.each([
    ["a generation of seven digits", { rank: { generation: 1_000_000, term: 1, index: 1 } }],
    ["a negative index", { rank: { generation: 1, term: 1, index: -1 } }],
    ["half a revision", { revision: 0.5 }],
  ])("is not made of %s", (_, changes) => {
    expect(() => backup(changes)).toThrow(/does not fit/);
  });

  it("sorts as text in the order of what a member's backups hold", () => {
    const ranks = [
      { generation: 1, term: 2, index: 9 },
      { generation: 1, term: 2, index: 10 },
      { generation: 1, term: 10, index: 1 },
      { generation: 2, term: 1, index: 1 },
    ];
    const keys = ranks.map((rank) => backup({ rank }).key);
    expect([...keys].sort()).toEqual(keys);
  });
});

describe("the order of backups", () => {
  it("is that of generation, term and index, whatever the clocks and revisions say", () => {
    const inOrder = [
      backup({ rank: { generation: 2, term: 1, index: 1 }, takenAt: 0, revision: 1 }),
      backup({ rank: { generation: 1, term: 3, index: 5 }, takenAt: noon, revision: 2 }),
      backup({ rank: { generation: 1, term: 2, index: 900 }, takenAt: noon + minute, revision: 3 }),
      backup({ rank: { generation: 1, term: 2, index: 7 }, takenAt: noon + 9, revision: 900 }),
    ];
    expect([...inOrder].reverse().sort(newestFirst)).toEqual(inOrder);
  });

  it("is by time among equals", () => {
    const early = backup();
    const late = backup({ takenAt: noon + minute });
    expect([early, late].sort(newestFirst)).toEqual([late, early]);
  });
});

describe("retention", () => {
  const all = Array.from({ length: 6 }, (_, at) =>
    backup({ member: at % 2 === 0 ? "m1" : "m2", rank: { generation: 1, term: 1, index: at + 1 } }),
  );

  it("keeps the newest of all, whoever took them, and leaves those of others alone", () => {
    expect(expendable(all, "m1", 3).map(({ rank }) => rank.index)).toEqual([1, 3]);
    expect(expendable(all, "m2", 3).map(({ rank }) => rank.index)).toEqual([2]);
    expect(expendable(all, "m1", 6)).toEqual([]);
  });

  it("marks each once, oldest first, and goes on where it stopped", async () => {
    const tagged: string[] = [];
    const bucket = {
      keys: () => Promise.resolve(all.map(({ key }) => key)),
      tag: (key: string, tag: object) => {
        expect(tag).toEqual({ key: "etcd-cluster:expire", value: "yes" });
        tagged.push(key);
        return Promise.resolve();
      },
    } as unknown as Bucket;
    const upTo = await markExpendable(bucket, "m1", 4, undefined);
    expect(tagged).toEqual([all[0]?.key]);
    expect(upTo).toBe(all[0]?.key);
    expect(await markExpendable(bucket, "m1", 2, upTo)).toBe(all[2]?.key);
    expect(tagged).toEqual([all[0]?.key, all[2]?.key]);
    expect(await markExpendable(bucket, "m1", 2, all[2]?.key)).toBe(all[2]?.key);
    expect(tagged).toHaveLength(2);
  });
});

describe("the newest backup", () => {
  it("is found among all members, and only what is new is asked for the next time", async () => {
    const asked: (string | undefined)[] = [];
    const inBucket = [backup({ rank: { generation: 1, term: 1, index: 3 } })];
    const bucket = {
      keys: (prefix: string, after?: string) => {
        asked.push(after);
        const keys = [...inBucket.map(({ key }) => key), `backups/m1/zzz`];
        return Promise.resolve(
          keys.filter((key) => key.startsWith(prefix) && (after === undefined || key > after)),
        );
      },
    } as unknown as Bucket;
    const seen = {};
    expect(await newestBackup(bucket, ["m1", "m2"], seen)).toEqual(inBucket[0]);
    inBucket.push(backup({ member: "m2", rank: { generation: 1, term: 2, index: 4 } }));
    expect(await newestBackup(bucket, ["m1", "m2"], seen)).toEqual(inBucket[1]);
    asked.length = 0;
    expect(await newestBackup(bucket, ["m1", "m2"], seen)).toEqual(inBucket[1]);
    expect(asked).toEqual([inBucket[0]?.key.slice(0, -1), inBucket[1]?.key.slice(0, -1)]);
    expect(await newestBackup(bucket, [], {})).toBeUndefined();
    // Somebody deletes the newest, and then the last.
    inBucket.pop();
    expect(await newestBackup(bucket, ["m1", "m2"], seen)).toEqual(inBucket[0]);
    inBucket.pop();
    expect(await newestBackup(bucket, ["m1", "m2"], seen)).toBeUndefined();
  });
});

describe("a restorable backup", () => {
  const [newest, older, oldest] = [3, 2, 1].map((index) =>
    backup({ rank: { generation: 1, term: 1, index } }),
  ) as [Backup, Backup, Backup];

  it("is the newest that passes; the others are reported", async () => {
    const result = await newestRestorable([newest, older, oldest], (each) =>
      each === newest ? Promise.reject(new WrongContent("other bytes")) : Promise.resolve("fine"),
    );
    expect(result).toEqual({
      found: { backup: older, result: "fine" },
      corrupt: [{ key: newest.key, reason: "other bytes" }],
    });
  });

  it("is not an older one because the bucket does not answer", async () => {
    const attempt = () => Promise.reject(new Error("503"));
    await expect(newestRestorable([newest, older], attempt)).rejects.toThrow("503");
  });

  it("is none when none passes, and not all of a long list are tried", async () => {
    let tries = 0;
    const many = Array.from({ length: 20 }, () => newest);
    const result = await newestRestorable(many, () => {
      tries += 1;
      return Promise.reject(new WrongContent("bad"));
    });
    expect(result.found).toBeUndefined();
    expect(tries).toBe(5);
  });
});

describe("a backup is due", () => {
  const leader: BackupSituation = {
    status: { id: "a", leader: "a", isLearner: false },
    generation: 1,
    corrupt: false,
    newest: backup(),
    everyMinutes: 15,
    now: noon + 15 * minute,
  };

  it.each<[string, Partial<BackupSituation>, "formed" | "scheduled" | undefined]>([
    ["when the last one is old enough", {}, "scheduled"],
    ["half a minute early rather than late", { now: noon + 14.5 * minute }, "scheduled"],
    ["not a moment before", { now: noon + 14.5 * minute - 1 }, undefined],
    ["right after formation", { newest: undefined, now: 0 }, "formed"],
    ["right after the next generation began", { generation: 2, now: noon }, "formed"],
    ["when the last one is from a far future", { now: noon - 6 * minute }, "scheduled"],
    ["not when a clock is a little late", { now: noon - 4 * minute }, undefined],
    ["not on a follower", { status: { id: "b", leader: "a", isLearner: false } }, undefined],
    [
      "not without a leader",
      { status: { id: "a", leader: undefined, isLearner: false } },
      undefined,
    ],
    ["not on a learner", { status: { id: "a", leader: "a", isLearner: true } }, undefined],
    ["not when etcd does not answer", { status: undefined }, undefined],
    ["not while the roll is called", { generation: undefined, newest: undefined }, undefined],
    ["not from a member that is named corrupt", { corrupt: true, newest: undefined }, undefined],
  ])("%s", (_, changes, expected) => {
    expect(backupDue({ ...leader, ...changes })).toBe(expected);
  });
});

describe("a snapshot's seal", () => {
  const folder = mkdtempSync(join(tmpdir(), "etcd-seal-"));
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });
  const sha256 = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
  const file = (name: string, bytes: Buffer): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };

  // Around the size of the pieces in which it is read.
  it.each([
    0,
    1,
    31,
    32,
    2 ** 20 - 33,
    2 ** 20 - 32,
    2 ** 20 - 1,
    2 ** 20,
    2 ** 20 + 16,
    3 * 2 ** 20,
  ])("holds for %i bytes, and for no others", async (size) => {
    const content = Buffer.alloc(size, "etcd");
    const whole = Buffer.concat([content, sha256(content)]);
    expect(await sealedHash(file("good", whole))).toBe(sha256(whole).toString("hex"));
    for (const at of [0, size >> 1, whole.length - 1]) {
      const bad = Buffer.from(whole);
      bad[at] = (bad[at] ?? 0) ^ 1;
      await expect(sealedHash(file("bad", bad))).rejects.toThrow(/does not have the hash/);
    }
    await expect(sealedHash(file("cut", whole.subarray(0, -1)))).rejects.toThrow(
      /does not have the hash/,
    );
  });
});

describe("room for copies", () => {
  const gib = 2 ** 30;

  it("leaves what etcd may still grow, and its log", () => {
    const room = { dbBytes: gib, quotaBytes: 2 * gib, copies: 1 };
    const enough = gib + gib + 512 * 2 ** 20;
    expect(roomProblem({ ...room, freeBytes: enough })).toBeUndefined();
    expect(roomProblem({ ...room, freeBytes: enough - 1 })).toBe(
      "the data volume has 2560 MiB free, and 2560 MiB are needed: 1 x the database, and what etcd may still grow",
    );
  });

  it("counts a database beyond its quota as it is", () => {
    const room = { dbBytes: 3 * gib, quotaBytes: 2 * gib, copies: 2 };
    expect(roomProblem({ ...room, freeBytes: 6.5 * gib })).toBeUndefined();
    expect(roomProblem({ ...room, freeBytes: 6.5 * gib - 1 })).toBeDefined();
  });
});
