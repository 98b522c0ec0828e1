import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";

import { MalformedDatabase } from "../../../scripts/agent/bolt";
import { readDatabase } from "../../../scripts/agent/database";
import { readLog } from "../../../scripts/agent/wal";
import { cases, expectedOf, minors, Scratch, withoutReserve } from "./walFixture";

jest.setTimeout(60_000);

const scratch = new Scratch();
afterAll(() => {
  scratch.remove();
});

const databaseOf = (minor: string, name: string): string =>
  join(scratch.fixture(minor, name), "member", "snap", "db");

describe.each(minors)("a database of etcd %s", (minor) => {
  test.each(cases)("%s: the facts are those that etcd's own tool prints", async (name) => {
    const { database } = expectedOf(minor, name);
    const facts = await readDatabase(databaseOf(minor, name));
    expect(facts).toMatchObject({
      term: BigInt(database.term),
      consistentIndex: BigInt(database.consistent_index),
      revision: BigInt(database.revision),
      storageVersion: database.storageVersion,
      damagedMeta: undefined,
    });
  });

  test.each(cases)("%s: it has applied nothing that is not in the log", async (name) => {
    const data = scratch.fixture(minor, name);
    const { consistentIndex, conf } = await readDatabase(join(data, "member", "snap", "db"));
    const log = await readLog(data);
    expect(consistentIndex <= log.index).toBe(true);
    expect(conf).toEqual({ voters: log.votersAtLast, learners: log.learnersAtLast });
  });
});

describe("a file that is not a whole database", () => {
  const pageSize = 4096;
  // bbolt makes its file larger than it needs.
  const used = withoutReserve(readFileSync(databaseOf("3.6", "voter")));
  const original = Buffer.alloc(Math.ceil(used.length / pageSize) * pageSize);
  used.copy(original);
  const read = async (bytes: Buffer): ReturnType<typeof readDatabase> => {
    const file = scratch.place();
    writeFileSync(file, bytes);
    return readDatabase(file);
  };
  const flipped = (place: number, mask = 1): Buffer => {
    const bytes = Buffer.from(original);
    bytes[place] = (bytes[place] ?? 0) ^ mask;
    return bytes;
  };

  test.each([
    ["nothing", Buffer.alloc(0), "the file is too short"],
    ["zeroes", Buffer.alloc(65536), "no meta page of bbolt"],
    ["text", Buffer.from("database ".repeat(10000)), "no meta page of bbolt"],
    ["half of it", original.subarray(0, original.length / 2), "the file is shorter than it says"],
  ])("%s is refused", async (_, bytes, reason) => {
    await expect(read(bytes)).rejects.toThrow(new MalformedDatabase(reason));
  });

  test("a snapshot has a hash behind it, which is no part of it", async () => {
    const snapshot = Buffer.concat([original, Buffer.alloc(32, 1)]);
    expect(await read(snapshot)).toEqual(await read(original));
  });

  test("any flipped byte of a meta page is noticed, and the other page is used", async () => {
    const whole = await read(original);
    for (const page of [0, 1]) {
      // Behind the page's header, which bbolt does not look at.
      for (let place = 16; place < 80; place += 1) {
        const facts = await read(flipped(page * pageSize + place, 0x41));
        expect(facts.damagedMeta).toMatch(/a meta page has a wrong checksum|no meta page of bbolt/);
        expect(facts.consistentIndex <= whole.consistentIndex).toBe(true);
      }
    }
  });

  test("both meta pages damaged is refused", async () => {
    const bytes = flipped(20);
    bytes[pageSize + 40] = (bytes[pageSize + 40] ?? 0) ^ 1;
    await expect(read(bytes)).rejects.toThrow(MalformedDatabase);
  });

  test("whatever is in the pages, the answer is facts or a refusal, and soon", async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: original.length - 64 }), bytes, async (place, garbage) => {
        const changed = Buffer.from(original);
        changed.set(garbage, place);
        await read(changed).catch((error: unknown) => {
          expect(error).toBeInstanceOf(MalformedDatabase);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("a tree that leads back to itself ends", async () => {
    const bytes = Buffer.from(original);
    for (let page = 2 * pageSize; page < bytes.length; page += pageSize) {
      // Every page a branch with one child: itself.
      bytes.writeUInt16LE(1, page + 8);
      bytes.writeUInt16LE(1, page + 10);
      bytes.writeUInt32LE(16, page + 16);
      bytes.writeUInt32LE(0, page + 20);
      bytes.writeBigUInt64LE(BigInt(page / pageSize), page + 24);
      bytes.writeBigUInt64LE(BigInt(page / pageSize), page);
      bytes.writeUInt32LE(0, page + 12);
    }
    await expect(read(bytes)).rejects.toThrow("a tree of pages that does not end");
  });
});
