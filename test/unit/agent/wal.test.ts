import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import * as fc from "fast-check";

import { raiseCommit, readLog, type LogFacts } from "../../../scripts/agent/wal";
import { copyLog } from "../../../scripts/agent/walCopy";
import { frameBytes } from "../../../scripts/agent/walFrame";
import { parseEntry, recordTypes } from "../../../scripts/agent/walProto";
import { walkRecords } from "../../../scripts/agent/walRecords";
import { cases, expectedOf, minors, Scratch, segmentsOf, withoutReserve } from "./walFixture";

jest.setTimeout(60_000);

const scratch = new Scratch();
afterAll(() => {
  scratch.remove();
});

const first = "0000000000000000-0000000000000000.wal";

const varint = (value: bigint): number[] =>
  value < 128n ? [Number(value)] : [Number(value & 127n) | 128, Number(value >> 7n)];

/** Indexes of the entry records as they stand, replaced ones included. */
async function entryIndexes(data: string): Promise<bigint[]> {
  const indexes: bigint[] = [];
  await walkRecords(join(data, "member", "wal"), (record) => {
    if (record.type === recordTypes.entry) indexes.push(parseEntry(record.data).index);
  });
  return indexes;
}

describe.each(minors)("logs of etcd %s", (minor) => {
  test.each(cases)("%s: the facts are those that etcd's own tool prints", async (name) => {
    const { dump } = expectedOf(minor, name);
    expect(await readLog(scratch.fixture(minor, name))).toMatchObject({
      clusterId: dump.clusterID,
      memberId: dump.nodeID,
      vote: dump.vote,
      commit: BigInt(dump.commitIndex),
      index: BigInt(dump.lastIndex),
      term: BigInt(dump.lastTerm),
      snapshotIndex: BigInt(dump.snapshotIndex),
      tornTail: false,
    });
  });

  test.each(["voter", "replaced", "learner"])(
    "%s: the members are those that etcd lists",
    async (name) => {
      const { members } = expectedOf(minor, name);
      const ids = (isLearner: boolean): string[] =>
        members
          .filter((each) => each.isLearner === isLearner)
          .map(({ id }) => id)
          .sort();
      const facts = await readLog(scratch.fixture(minor, name));
      expect(facts.votersAtLast).toEqual(ids(false));
      expect(facts.learnersAtLast).toEqual(ids(true));
      expect(facts.votersAtCommit).toEqual(ids(false));
      expect(facts.learnersAtCommit).toEqual(ids(true));
    },
  );

  test("a removed member's log says so", async () => {
    const { dump } = expectedOf(minor, "removed");
    const facts = await readLog(scratch.fixture(minor, "removed"));
    expect(facts.votersAtLast).toHaveLength(3);
    expect(facts.votersAtLast).not.toContain(dump.nodeID);
    expect(facts.learnersAtLast).toEqual([]);
  });

  test("the log of the old leader really has entries that were replaced", async () => {
    const indexes = await entryIndexes(scratch.fixture(minor, "replaced"));
    expect(new Set(indexes).size).toBeLessThan(indexes.length);
  });

  test.each(cases)("%s: in a copy everything is committed, and else the same", async (name) => {
    const data = scratch.fixture(minor, name);
    const before = await readLog(data);
    await raiseCommit(data);
    const voters = { votersAtCommit: before.votersAtLast, learnersAtCommit: before.learnersAtLast };
    expect(await readLog(data)).toEqual({ ...before, ...voters, commit: before.index });
    // Again changes nothing.
    await raiseCommit(data);
    expect((await readLog(data)).commit).toBe(before.index);
  });

  test.each(cases)("%s: copied for another member, only the member differs", async (name) => {
    const data = scratch.fixture(minor, name);
    const before = await readLog(data);
    const copy = scratch.place();
    await copyLog(data, copy, 0xabcn);
    const after = await readLog(copy);
    expect(after).toMatchObject({
      clusterId: before.clusterId,
      memberId: "abc",
      index: before.index,
      term: before.term,
      commit: before.index,
      votersAtLast: before.votersAtLast,
    });
    expect(after.damage).toBeUndefined();
    expect(await entryIndexes(copy)).toEqual(await entryIndexes(data));
  });
});

describe("a log that is not whole", () => {
  const whole = (): Buffer => {
    const [segment] = Object.values(segmentsOf(scratch.fixture("3.6", "voter")));
    return withoutReserve(segment ?? Buffer.alloc(0));
  };
  let bytes: Buffer;
  let facts: LogFacts;
  /** Facts after each record, by where the record ends. */
  const prefixes = new Map<number, LogFacts>();
  beforeAll(async () => {
    bytes = whole();
    facts = await readLog(scratch.withLog({ [first]: bytes }));
    let offset = 0;
    while (offset < bytes.length) {
      const length = bytes.readUInt32LE(offset);
      offset += 8 + Math.ceil(length / 8) * 8;
      prefixes.set(offset, await readLog(scratch.withLog({ [first]: bytes.subarray(0, offset) })));
    }
  });
  const read = async (segment: Uint8Array): Promise<LogFacts> =>
    readLog(scratch.withLog({ [first]: segment }));
  const without = (result: LogFacts): object => ({
    ...result,
    tornTail: undefined,
    damage: undefined,
  });
  const reserve = Buffer.alloc(8192);

  test("cut off anywhere, it gives what was complete, and is torn exactly when a record was cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length }), fc.boolean(), async (cut, zeroed) => {
        const kept = bytes.subarray(0, cut);
        let same = cut;
        // Zeroes where there were zeroes anyway: the padding of a record that is complete.
        while (zeroed && same < bytes.length && bytes[same] === 0) same += 1;
        const end = Math.max(0, ...[...prefixes.keys()].filter((each) => each <= same));
        const rest = kept.subarray(end);
        const result = await read(zeroed ? Buffer.concat([kept, reserve]) : kept);
        if (end === 0) return;
        const prefix = prefixes.get(end);
        expect(without(result)).toEqual(without(prefix ?? result));
        if (!zeroed) {
          expect(result.damage).toBe(prefix?.damage);
          expect(result.tornTail).toBe(rest.some((byte) => byte !== 0));
        }
      }),
      { numRuns: 400 },
    );
  });

  test("cut off at a sector and zero from there, as after a power cut, it is torn and never damaged", async () => {
    for (let cut = 512; cut < bytes.length; cut += 512) {
      const end = Math.max(0, ...[...prefixes.keys()].filter((each) => each <= cut));
      const result = await read(Buffer.concat([bytes.subarray(0, cut), reserve]));
      expect({ cut, damage: result.damage }).toEqual({ cut, damage: prefixes.get(end)?.damage });
      expect(without(result)).toEqual(without(prefixes.get(end) ?? result));
    }
  });

  test("with a flipped byte it is damaged, or torn, or the byte did not matter; it is never other data", async () => {
    const outcomes = { damaged: 0, torn: 0, same: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (place, mask, reserved) => {
          const flipped = Buffer.concat([bytes, reserved ? reserve : Buffer.alloc(0)]);
          flipped[place] = (flipped[place] ?? 0) ^ mask;
          const result = await read(flipped);
          if (result.damage === undefined && !result.tornTail) {
            outcomes.same += 1;
            expect(result).toEqual(facts);
            return;
          }
          outcomes[result.damage === undefined ? "torn" : "damaged"] += 1;
          const end = Math.max(0, ...[...prefixes.keys()].filter((each) => each <= place));
          // What is reported is what stood before the byte.
          expect(without(result)).toEqual(without(prefixes.get(end) ?? result));
        },
      ),
      { numRuns: 1500 },
    );
    // Padding is all that does not matter, and only lengths of the last records can look like a torn write.
    expect(outcomes.damaged).toBeGreaterThan(1000);
    expect(outcomes.torn).toBeLessThan(100);
  });

  test("a length that claims more than is there swallows nothing: complete records behind it are noticed", async () => {
    const [, second = 0] = prefixes.keys();
    const longer = (size: number, rest: Buffer): Buffer => {
      const changed = Buffer.concat([bytes, rest]);
      changed.writeUInt32LE(size, second);
      return changed;
    };
    const word = bytes.readUInt32LE(second);
    const beyond = /longer than its segment at byte \d+ of segment/;
    // Beyond the file, with reserved space at its end, and where the file ends with the last record.
    expect((await read(longer(word + 2 ** 30, reserve))).damage).toMatch(beyond);
    expect((await read(longer(word + 2 ** 30, Buffer.alloc(0)))).damage).toMatch(beyond);
    // Within the file: over all the other records and some of the reserved space, which looks like sectors that were never written.
    const over = word + Math.ceil((bytes.length - second + 2048) / 8) * 8;
    expect((await read(longer(over, reserve))).damage).toMatch(/a record (cannot be read|has a)/);
    const wiped = Buffer.concat([bytes, reserve]).fill(0, second, second + 8);
    expect((await read(wiped)).damage).toMatch(/a record's length is zero/);
  });

  test("what cannot follow is damage, even with right checksums", async () => {
    const end = await walkRecords(
      join(scratch.withLog({ [first]: bytes }), "member", "wal"),
      () => undefined,
    );
    const entry = Buffer.from([0x08, 0, 0x10, 9, 0x18, 0xff, 0x7f]);
    const cases: [number, Buffer, RegExp][] = [
      [recordTypes.entry, entry, /entry 16383 of term 9 follows entry \d+/],
      [recordTypes.metadata, Buffer.from([0x08, 1, 0x10, 1]), /the log changes its owner/],
      [
        recordTypes.state,
        Buffer.from([0x08, 1, 0x10, 0, 0x18, 1]),
        /a hard state of term 1 follows/,
      ],
      [9, Buffer.alloc(3), /a record of the unknown type 9/],
    ];
    for (const [type, data, reason] of cases) {
      const { bytes: frame } = frameBytes(type, data, end.crc);
      const result = await read(Buffer.concat([bytes, frame]));
      expect(result.damage).toMatch(reason);
      expect(without(result)).toEqual(without(facts));
    }
    const ahead = Buffer.from([0x08, 9, 0x10, 0, 0x18, 0xff, 0x7f]);
    const { bytes: frame } = frameBytes(recordTypes.state, ahead, end.crc);
    expect((await read(Buffer.concat([bytes, frame]))).damage).toBe(
      `the log ends at entry ${facts.index}, but 16383 was committed`,
    );
  });

  test("an entry that replaces others takes their configuration changes back", async () => {
    const { crc } = await walkRecords(
      join(scratch.withLog({ [first]: bytes }), "member", "wal"),
      () => undefined,
    );
    const next = varint(facts.index + 1n);
    const learner = Buffer.from([0x08, 0, 0x10, 3, 0x18, 5, 0x22, 2, ...Buffer.from("{}")]);
    const change = (term: bigint, index: readonly number[], data: Buffer): Buffer =>
      Buffer.from([0x08, 1, 0x10, ...varint(term), 0x18, ...index, 0x22, data.length, ...data]);
    const added = frameBytes(recordTypes.entry, change(facts.term, next, learner), crc);
    const withLearner = await read(Buffer.concat([bytes, added.bytes]));
    expect(withLearner.learnersAtLast).toEqual([...facts.learnersAtLast, "5"].sort());
    expect(withLearner.learnersAtCommit).toEqual(facts.learnersAtCommit);
    const term = facts.term + 1n;
    const normal = Buffer.from([0x08, 0, 0x10, ...varint(term), 0x18, ...next]);
    const replaced = frameBytes(recordTypes.entry, normal, added.crc);
    expect(await read(Buffer.concat([bytes, added.bytes, replaced.bytes]))).toEqual({
      ...facts,
      index: facts.index + 1n,
      term,
    });
  });

  test("a snapshot from the leader stands for entries that are not here; without a commit etcd does not start from it", async () => {
    const { crc } = await walkRecords(
      join(scratch.withLog({ [first]: bytes }), "member", "wal"),
      () => undefined,
    );
    const [index, term] = [facts.index + 100n, facts.term + 1n];
    const conf = [0x08, 7, 0x08, 9, 0x10, 5];
    const snapshot = Buffer.from([0x08, ...varint(index), 0x10, ...varint(term), 0x1a, 6, ...conf]);
    const received = frameBytes(recordTypes.snapshot, snapshot, crc);
    const uncommitted = await read(Buffer.concat([bytes, received.bytes]));
    const last = { index, term, votersAtLast: ["7", "9"], learnersAtLast: ["5"] };
    expect(uncommitted).toEqual({ ...facts, ...last });
    const state = Buffer.from([0x08, ...varint(term), 0x10, 0, 0x18, ...varint(index)]);
    const committed = frameBytes(recordTypes.state, state, received.crc);
    expect(await read(Buffer.concat([bytes, received.bytes, committed.bytes]))).toEqual({
      ...{ ...facts, ...last, commit: index, vote: "0", snapshotIndex: index },
      ...{ votersAtCommit: ["7", "9"], learnersAtCommit: ["5"] },
    });
  });

  test("the commit of a damaged log is not raised, and its tail stays behind when it is torn", async () => {
    const torn = scratch.withLog({ [first]: Buffer.concat([bytes, bytes.subarray(80, 99)]) });
    await raiseCommit(torn);
    expect(await readLog(torn)).toMatchObject({
      index: facts.index,
      commit: facts.index,
      tornTail: false,
    });
    const damaged = Buffer.from(bytes);
    damaged[200] = (damaged[200] ?? 0) ^ 1;
    await expect(raiseCommit(scratch.withLog({ [first]: damaged }))).rejects.toThrow(
      /the commit of a damaged log is not raised: a record/,
    );
  });
});

describe("a log of several segments", () => {
  /** As etcd cuts a log: the next segment starts with the checksum so far, the metadata, and the hard state. */
  async function cut(): Promise<{
    names: [string, string];
    segments: [Buffer, Buffer];
    facts: LogFacts;
  }> {
    const data = scratch.fixture("3.6", "voter");
    const facts = await readLog(data);
    const [[name, segment] = ["", Buffer.alloc(0)]] = Object.entries(segmentsOf(data));
    let metadata = Buffer.alloc(0);
    let state = Buffer.alloc(0);
    const end = await walkRecords(join(data, "member", "wal"), (record) => {
      if (record.type === recordTypes.metadata) metadata = Buffer.from(record.data);
      if (record.type === recordTypes.state) state = Buffer.from(record.data);
    });
    const head = frameBytes(recordTypes.crc, Buffer.alloc(0), end.crc);
    const second = frameBytes(recordTypes.metadata, metadata, head.crc);
    const third = frameBytes(recordTypes.state, state, second.crc);
    const next = facts.index + 1n;
    const entry = Buffer.from([0x08, 0, 0x10, Number(facts.term), 0x18, ...varint(next)]);
    const fourth = frameBytes(recordTypes.entry, entry, third.crc);
    return {
      names: [name, `0000000000000001-${next.toString(16).padStart(16, "0")}.wal`],
      segments: [
        withoutReserve(segment),
        Buffer.concat([head, second, third, fourth].map((frame) => frame.bytes)),
      ],
      facts,
    };
  }
  test("goes on from one to the next, and without the first where it was released", async () => {
    const { names, segments, facts } = await cut();
    const both = scratch.withLog({ [names[0]]: segments[0], [names[1]]: segments[1] });
    expect(await readLog(both)).toEqual({ ...facts, index: facts.index + 1n });
    const released = await readLog(scratch.withLog({ [names[1]]: segments[1] }));
    expect(released).toMatchObject({
      index: facts.index + 1n,
      term: facts.term,
      commit: facts.commit,
    });
    expect(released.damage).toBeUndefined();
  });

  test("must not miss one, nor the end of one", async () => {
    const { names, segments, facts } = await cut();
    const later = names[1].replace("0000000000000001-", "0000000000000002-");
    const missing = await readLog(
      scratch.withLog({ [names[0]]: segments[0], [later]: segments[1] }),
    );
    expect(missing.damage).toBe(`the segment before ${later} is missing`);
    expect(missing.index).toBe(facts.index);
    const shorter = segments[0].subarray(0, segments[0].length - 40);
    const cutShort = await readLog(
      scratch.withLog({ [names[0]]: shorter, [names[1]]: segments[1] }),
    );
    expect(cutShort.damage).toBeDefined();
    expect(cutShort.tornTail).toBe(false);
  });

  test("is copied segment by segment", async () => {
    const { names, segments } = await cut();
    const both = scratch.withLog({ [names[0]]: segments[0], [names[1]]: segments[1] });
    writeFileSync(join(both, "member", "wal", "0.tmp"), "");
    const copy = scratch.place();
    await copyLog(both, copy, 7n);
    expect(readdirSync(join(copy, "member", "wal")).sort()).toEqual([...names]);
    const { damage, memberId } = await readLog(copy);
    expect({ damage, memberId }).toEqual({ damage: undefined, memberId: "7" });
    expect(readFileSync(join(both, "member", "wal", names[1])).equals(segments[1])).toBe(true);
  });
});

test("a folder without a log is an error, not an empty log", async () => {
  await expect(readLog(scratch.withLog({}))).rejects.toThrow(/there is no write-ahead log in/);
});
