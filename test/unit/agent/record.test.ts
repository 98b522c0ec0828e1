import { storage } from "../../../components/plan/storage";
import {
  clusterRecordSchema,
  createRecord,
  join,
  readRecord,
  writeRecord,
  type ClusterRecord,
} from "../../../scripts/agent/record";
import { quorumOf } from "../../../scripts/agent/transitions";
import { config } from "./config";
import { record, volumes } from "./facts";
import { FakeStore } from "./fakeStore";

async function current(store: FakeStore): Promise<ClusterRecord> {
  const view = await readRecord(store);
  if (view.kind !== "present") {
    throw new Error(view.kind);
  }
  return view.record;
}

const starting = (name: keyof typeof volumes) => ({ name, volumeId: volumes[name] });

async function fresh(): Promise<FakeStore> {
  const store = new FakeStore();
  await createRecord(store, config());
  return store;
}

describe("reading the record", () => {
  it("is absent only when no version of it ever existed", async () => {
    const store = new FakeStore();
    expect(await readRecord(store)).toEqual({ kind: "absent" });
    await createRecord(store, config());
    store.delete(storage.record);
    expect(await readRecord(store)).toMatchObject({
      kind: "unreachable",
      reason: expect.stringContaining("deleted") as unknown,
    });
  });

  it("takes a refusal, a failed listing and an unknown field for unreachable, never for absent", async () => {
    const store = new FakeStore();
    for (const failing of ["get", "list"]) {
      store.before = (what) => {
        if (what === failing) {
          throw new Error("403 AccessDenied");
        }
      };
      expect((await readRecord(store)).kind).toBe("unreachable");
    }
    store.before = undefined;
    const text = JSON.stringify({ ...record(), fromTheFuture: 1 });
    await store.put(storage.record, text, { ifNoneMatch: "*" });
    expect((await readRecord(store)).kind).toBe("unreachable");
  });
});

describe("creating the record", () => {
  it("lets one of many win; all see the winner's", async () => {
    const store = new FakeStore();
    await Promise.all(["m1", "m2", "m3"].map(() => createRecord(store, config())));
    const created = await current(store);
    expect(created).toMatchObject({
      generation: 1,
      epoch: 1,
      phase: "open",
      initial: ["m1", "m2", "m3"],
      joined: [],
      formed: false,
      source: { kind: "new" },
      earlierSources: [],
    });
    await createRecord(store, config());
    expect(await current(store)).toEqual(created);
  });

  it("gives every cluster another uid and token", async () => {
    const [one, two] = await Promise.all([fresh().then(current), fresh().then(current)]);
    expect(one.clusterUid).not.toBe(two.clusterUid);
    expect(one.token).not.toBe(two.token);
    expect(() => clusterRecordSchema.parse(one)).not.toThrow();
  });

  it("does not come back after a deletion", async () => {
    const store = await fresh();
    store.delete(storage.record);
    // What S3 would allow, the plan must not ask for: a deleted record is not absent.
    expect((await readRecord(store)).kind).not.toBe("absent");
  });
});

describe("writing", () => {
  it("recognises its own put behind a lost answer by the nonce", async () => {
    const store = await fresh();
    const view = await readRecord(store);
    if (view.kind !== "present") {
      throw new Error(view.kind);
    }
    // The SDK's second attempt after a lost answer: the first was done, the second is refused.
    const put = store.put.bind(store);
    store.put = async (key, text, condition) => {
      await put(key, text, condition);
      return put(key, text, condition);
    };
    expect(await writeRecord(store, { ...view.record, formed: true }, { ifMatch: view.etag })).toBe(
      "done",
    );
  });

  it("takes somebody else's put for a loss", async () => {
    const store = await fresh();
    const { record: read, etag } = (await readRecord(store)) as {
      record: ClusterRecord;
      etag: string;
    };
    await join(store, starting("m2"), 1);
    expect(await writeRecord(store, read, { ifMatch: etag })).toBe("lost");
    expect((await current(store)).joined).toEqual(["m2"]);
  });
});

describe("joining", () => {
  it("loses no name when all join at once, and says formed in the put that makes a quorum", async () => {
    const store = await fresh();
    const seen: boolean[] = [];
    store.afterPut = async () => {
      const { joined, formed } = await current(store);
      seen.push(formed);
      expect(formed).toBe(joined.length >= 2);
    };
    await Promise.all((["m1", "m2", "m3"] as const).map((name) => join(store, starting(name), 1)));
    expect((await current(store)).joined).toEqual(["m1", "m2", "m3"]);
    expect(seen).toEqual([false, true, true]);
  });

  it("again changes nothing", async () => {
    const store = await fresh();
    await join(store, starting("m1"), 1);
    const { puts } = store;
    await join(store, starting("m1"), 1);
    expect(store.puts).toBe(puts);
  });

  it("on another volume notes that volume", async () => {
    const store = await fresh();
    await join(store, starting("m1"), 1);
    await join(store, { name: "m1", volumeId: "vol-0000000f" }, 1);
    const { joined, roster } = await current(store);
    expect(joined).toEqual(["m1"]);
    expect(roster.map(({ volumeId }) => volumeId)).toEqual([
      "vol-0000000f",
      volumes.m2,
      volumes.m3,
    ]);
  });

  it("does not happen in a roll call or in another generation", async () => {
    for (const change of [{ phase: "rollCall" as const }, { generation: 2 }]) {
      const store = new FakeStore();
      const text = JSON.stringify(record({ joined: [], ...change }));
      await store.put(storage.record, text, { ifNoneMatch: "*" });
      await expect(join(store, starting("m1"), 1)).rejects.toThrow(/moved on/);
      expect((await current(store)).joined).toEqual([]);
    }
  });

  it("gives up against a store that always refuses", async () => {
    const store = await fresh();
    store.put = () => Promise.resolve("refused");
    await expect(join(store, starting("m1"), 1)).rejects.toThrow(/twenty times/);
  });

  it("fails when the store does, and can be repeated", async () => {
    const store = await fresh();
    store.before = (what) => {
      if (what === "put") {
        throw new Error("503");
      }
    };
    await expect(join(store, starting("m1"), 1)).rejects.toThrow("503");
    store.before = undefined;
    expect((await join(store, starting("m1"), 1)).joined).toEqual(["m1"]);
  });
});

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
  [7, 4],
])("a quorum of %i is %i", (members, quorum) => {
  expect(quorumOf(members)).toBe(quorum);
});
