import { storage } from "../../../components/plan/storage";
import type { Report } from "../../../scripts/agent/attestation";
import { readReport } from "../../../scripts/agent/bulletin";
import type { Context } from "../../../scripts/agent/context";
import { Memory } from "../../../scripts/agent/memory";
import { olderThanReached, ReachKeeper } from "../../../scripts/agent/reached";
import { report } from "../../../scripts/agent/report";
import { clusterUid, facts, instances, record, report as reported, volumes } from "./facts";
import { FakeStore } from "./fakeStore";

// Its exception filters need a proto file that a unit test does not have.
jest.mock("etcd3", () => ({}));

const reached = { id: "a1", index: 100 };

describe("an older copy of the volume", () => {
  it.each<[string, { memberId: string | undefined; index: bigint }, boolean]>([
    ["ends before what the member had come to", { memberId: "a1", index: 99n }, true],
    ["a log that has it all is none", { memberId: "a1", index: 100n }, false],
    ["nor is one that has more", { memberId: "a1", index: 200n }, false],
    ["nor another id's, which began anew", { memberId: "a9", index: 0n }, false],
    ["nor one that says nobody's", { memberId: undefined, index: 0n }, false],
  ])("%s", (_, log, older) => {
    expect(olderThanReached(log, reached) !== undefined).toBe(older);
  });

  it("cannot be told when nothing was ever said", () => {
    expect(olderThanReached({ memberId: "a1", index: 1n }, undefined)).toBeUndefined();
  });
});

describe("how far the log has come", () => {
  let store: FakeStore;
  let memory: Memory;
  let keeper: ReachKeeper;
  let now: number;
  let said: string;
  const self = { member: "m1", volumeId: volumes.m1, instanceId: instances.m1 };
  const note = async (index: number, id = "a1"): Promise<void> =>
    keeper.note({ self, record: record(), reached: { id, index } });
  const stored = async (): Promise<Report | undefined> => readReport(store, "m1", clusterUid);

  beforeEach(() => {
    store = new FakeStore();
    memory = new Memory();
    keeper = new ReachKeeper(store, memory);
    now = 1000;
    said = "";
    jest.spyOn(performance, "now").mockImplementation(() => now);
    jest.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it("is said once a minute, when there is more to say", async () => {
    await note(100);
    expect(await stored()).toEqual(reported("m1", "withdrawn", { reached }));
    now += 59_000;
    await note(200);
    expect((await stored())?.reached?.index).toBe(100);
    now += 1000;
    await note(200);
    expect((await stored())?.reached?.index).toBe(200);
    now += 60_000;
    await note(200);
    now += 60_000;
    await note(150);
    expect(store.puts).toBe(2);
  });

  it("begins anew with another id, whose log is shorter", async () => {
    await note(100);
    now += 60_000;
    await note(7, "a9");
    expect((await stored())?.reached).toEqual({ id: "a9", index: 7 });
  });

  it("is known to the next process", async () => {
    await note(100);
    keeper = new ReachKeeper(store, new Memory());
    await note(100);
    expect(store.puts).toBe(1);
  });

  it("does not hold anything up when S3 is away, and is said a minute later", async () => {
    store.before = () => {
      throw new Error("503 SlowDown");
    };
    await note(100);
    expect(said).toContain("how far the log has come is not said in the bucket: 503 SlowDown");
    store.before = undefined;
    now += 60_000;
    await note(100);
    expect((await stored())?.reached).toEqual(reached);
  });

  it.each(["data", "damaged", "blank", "withdrawn"] as const)(
    "is not forgotten by a report of %s, not even by another process",
    async (holds) => {
      await note(100);
      const context = {
        facts: facts(),
        memory: new Memory(),
        machine: { bucket: store },
        status: undefined,
      } as unknown as Context;
      await report(context, record(), holds);
      expect(await stored()).toEqual(reported("m1", holds, { reached }));
      expect(await store.get(storage.report("m1"))).toBeDefined();
    },
  );
});
