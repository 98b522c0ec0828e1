import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { raiseCommit, readLog, type LogFacts } from "../../../scripts/agent/wal";
import { copyLog } from "../../../scripts/agent/walCopy";
import { frameBytes } from "../../../scripts/agent/walFrame";
import { parseEntry, recordTypes } from "../../../scripts/agent/walProto";
import { walkRecords } from "../../../scripts/agent/walRecords";
import {
  cases,
  expectedOf,
  minors,
  Scratch,
  segmentsOf,
  varint,
  withoutReserve,
} from "./walFixture";

jest.setTimeout(60_000);

const scratch = new Scratch();
afterAll(() => {
  scratch.remove();
});

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
