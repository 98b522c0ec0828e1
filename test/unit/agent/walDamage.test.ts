import { join } from "node:path";

import * as fc from "fast-check";

import { raiseCommit, readLog, type LogFacts } from "../../../scripts/agent/wal";
import { frameBytes } from "../../../scripts/agent/walFrame";
import { recordTypes } from "../../../scripts/agent/walProto";
import { walkRecords } from "../../../scripts/agent/walRecords";
import { Scratch, segmentsOf, varint, withoutReserve } from "./walFixture";

jest.setTimeout(60_000);

const scratch = new Scratch();
afterAll(() => {
  scratch.remove();
});

const first = "0000000000000000-0000000000000000.wal";

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
      { numRuns: 250 },
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
      { numRuns: 800 },
    );
    // Padding is all that does not matter, and only lengths of the last records can look like a torn write.
    expect(outcomes.damaged).toBeGreaterThan(500);
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
    // The last record has nothing behind it; that the file goes on in reserved space shows that it was not cut off there.
    const last = [...prefixes.keys()].at(-2) ?? 0;
    const lastLonger = (rest: Buffer): Buffer => {
      const changed = Buffer.concat([bytes, rest]);
      changed.writeUInt32LE(bytes.readUInt32LE(last) + 2 ** 30, last);
      return changed;
    };
    expect((await read(lastLonger(reserve))).damage).toMatch(beyond);
    expect(await read(lastLonger(Buffer.alloc(0)))).toEqual({
      ...prefixes.get(last),
      tornTail: true,
    });
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
    // One that is of another term than the own entry there replaces the own entries, raft's own rule.
    const [earlier, own] = [facts.index - 1n, facts.term] as const;
    const disagreeing = Buffer.from([
      0x08,
      ...varint(earlier),
      0x10,
      ...varint(term),
      0x1a,
      6,
      ...conf,
    ]);
    const replacing = frameBytes(recordTypes.snapshot, disagreeing, crc);
    const behind = await read(Buffer.concat([bytes, replacing.bytes]));
    expect(behind).toMatchObject({ index: earlier, term, votersAtLast: ["7", "9"] });
    const agreeing = Buffer.from([
      0x08,
      ...varint(earlier),
      0x10,
      ...varint(own),
      0x1a,
      6,
      ...conf,
    ]);
    const covering = frameBytes(recordTypes.snapshot, agreeing, crc);
    const same = await read(Buffer.concat([bytes, covering.bytes]));
    expect(same).toMatchObject({ index: facts.index, term: own, votersAtLast: ["7", "9"] });
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
