import { clusterRecordSchema } from "../../../scripts/agent/record";
import {
  firstRecord,
  nextGeneration,
  quorumOf,
  revisionBump,
  withJoined,
  withRollCalled,
  withRollClosed,
} from "../../../scripts/agent/transitions";
import { config } from "./config";
import { attestation, record, volumes } from "./facts";

const nonce = record().nonce;
const source = {
  key: `control/sources/${"5".repeat(64)}`,
  sha256: "5".repeat(64),
  rank: { generation: 1, term: 2, index: 50 },
};

it.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
])("of %i members %i are a quorum", (members, quorum) => {
  expect(quorumOf(members)).toBe(quorum);
});

it("the first record has nobody in it that has started, and its own token", () => {
  const first = firstRecord(config());
  expect(first).toMatchObject({
    generation: 1,
    epoch: 1,
    phase: "open",
    joined: [],
    formed: false,
  });
  expect(first.token).toContain(first.clusterUid);
  expect(() => clusterRecordSchema.parse({ ...first, nonce })).not.toThrow();
});

it("joining is noted once, with the volume, and forms with a quorum of initial", () => {
  const empty = record({ joined: [], formed: false });
  const one = withJoined(empty, { name: "m2", volumeId: "vol-0000000f" });
  expect([one.joined, one.formed]).toEqual([["m2"], false]);
  expect(one.roster.map(({ volumeId }) => volumeId)).toEqual([
    volumes.m1,
    "vol-0000000f",
    volumes.m3,
  ]);
  const again = withJoined({ ...one, nonce }, { name: "m2", volumeId: "vol-0000000f" });
  expect(again).toEqual({ ...one, nonce });
  expect(withJoined({ ...one, nonce }, { name: "m1", volumeId: volumes.m1 }).formed).toBe(true);
});

it("members that came later do not count for formed, and formed never becomes false", () => {
  const grown = record({ joined: ["m1"], initial: ["m1", "m2"], formed: false });
  expect(withJoined(grown, { name: "m3", volumeId: volumes.m3 }).formed).toBe(false);
  const formed = record({ joined: [], formed: true });
  expect(withJoined(formed, { name: "m3", volumeId: volumes.m3 }).formed).toBe(true);
});

it("a roll call is one epoch, closing it another, and nothing else changes", () => {
  const called = withRollCalled(record());
  expect(called).toEqual({ ...record(), phase: "rollCall", epoch: 2 });
  expect(withRollClosed({ ...called, nonce })).toEqual({ ...record(), epoch: 3 });
});

describe("the next generation", () => {
  const called = record({ phase: "rollCall", epoch: 4 });
  it("begins without anybody, from its source, under another token", () => {
    const next = nextGeneration(called, [], source);
    expect(next).toMatchObject({
      generation: 2,
      epoch: 5,
      phase: "open",
      initial: ["m1", "m2", "m3"],
      joined: [],
      formed: false,
      source: { kind: "snapshot", ...source, bump: revisionBump },
      earlierSources: [],
    });
    expect(next.token).not.toBe(called.token);
    expect(() => clusterRecordSchema.parse({ ...next, nonce })).not.toThrow();
    expect(nextGeneration(called, [], "new").source).toEqual({ kind: "new" });
  });

  it("is far beyond every revision that any generation since the copy can have shown to a watcher", () => {
    const bumps = [2, 3, 4].map((generation) => {
      const { source: next } = nextGeneration({ ...called, generation }, [], source);
      return next.kind === "snapshot" ? next.bump : 0;
    });
    expect(source.rank.generation).toBe(1);
    expect(bumps).toEqual([2 * revisionBump, 3 * revisionBump, 4 * revisionBump]);
  });

  it("is without those that were leaving, and has the volumes that were attested", () => {
    const roster = called.roster.map((entry) =>
      entry.name === "m3" ? { ...entry, leaving: true } : entry,
    );
    const attested = attestation("m2", undefined, { volumeId: "vol-0000000f" });
    const next = nextGeneration({ ...called, roster }, [attested], source);
    expect(next.initial).toEqual(["m1", "m2"]);
    expect(next.roster.map(({ name, volumeId }) => [name, volumeId])).toEqual([
      ["m1", volumes.m1],
      ["m2", "vol-0000000f"],
    ]);
  });

  it("remembers every source that was named", () => {
    const second = { ...nextGeneration(called, [], source), nonce };
    const other = { ...source, sha256: "6".repeat(64) };
    const third = nextGeneration(second, [], other);
    expect(third.earlierSources).toEqual([source]);
    expect(nextGeneration({ ...third, nonce }, [], "new").earlierSources).toEqual([source, other]);
  });
});
