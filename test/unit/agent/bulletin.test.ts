import { storage } from "../../../components/plan/storage";
import { WrongContent } from "../../../scripts/agent/bucket";
import type { Report } from "../../../scripts/agent/attestation";
import {
  putAttestation,
  putReport,
  readAttestations,
  readReport,
  readReports,
} from "../../../scripts/agent/bulletin";
import { clusterUid, record, volumes } from "./facts";
import { FakeStore } from "./fakeStore";

const common = { schema: 1, clusterUid, epoch: 4, instanceId: "i-0000000a" } as const;
const report = (changes: Partial<Report> = {}): Report => ({
  ...{ ...common, member: "m1", volumeId: volumes.m1, holds: "data" },
  ...changes,
});
const attestation = { ...common, member: "m1", volumeId: volumes.m1, setAside: [] };

describe("what members say through the bucket", () => {
  let store: FakeStore;
  const put = async (key: string, value: unknown): Promise<void> => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    await store.put(key, text, { ifNoneMatch: "*" });
  };

  beforeEach(() => {
    store = new FakeStore();
    jest.spyOn(process.stderr, "write").mockReturnValue(true);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it("a report is replaced, also one that nobody can read; an attestation never is", async () => {
    await put(storage.report("m1"), "{");
    await putReport(store, report());
    await putReport(store, report({ holds: "withdrawn" }));
    expect(await readReport(store, "m1", clusterUid)).toEqual(report({ holds: "withdrawn" }));
    expect(await putAttestation(store, attestation)).toBe("done");
    expect(await putAttestation(store, { ...attestation, volumeId: volumes.m2 })).toBe("refused");
    expect(await readAttestations(store, record(), 4)).toEqual([attestation]);
  });

  it("of a report that changed in between the writer hears", async () => {
    await put(storage.report("m1"), report());
    store.before = async (what) => {
      if (what === "put") {
        store.before = undefined;
        await store.put(storage.report("m1"), "{}", { ifMatch: '"1"' });
      }
    };
    await expect(putReport(store, report())).rejects.toThrow("changed while it was being replaced");
  });

  it.each<[string, unknown]>([
    ["no JSON", "{"],
    ["another form", { ...report(), more: 1 }],
    ["another member's words", report({ member: "m2" })],
    ["another cluster's words", report({ clusterUid: "11111111-2222-4333-8444-555555555555" })],
    ["a state that there is not", { ...report(), holds: "perhaps" }],
  ])("%s under a member's key counts as nothing said", async (_, value) => {
    await put(storage.report("m1"), value);
    await put(storage.report("m2"), report({ member: "m2", volumeId: volumes.m2 }));
    expect(await readReports(store, record())).toEqual([
      report({ member: "m2", volumeId: volumes.m2 }),
    ]);
  });

  it("an attestation counts for its own epoch and member only, wherever it lies", async () => {
    await put(storage.attestation(5, "m1"), attestation);
    await put(storage.attestation(5, "m2"), { ...attestation, epoch: 5 });
    expect(await readAttestations(store, record(), 5)).toEqual([]);
  });

  it("what is too large to be read is not heard, and keeps nobody else from being heard", async () => {
    await put(storage.report("m2"), report({ member: "m2", volumeId: volumes.m2 }));
    store.before = (what) => {
      store.before = undefined;
      throw new WrongContent(`${what} of 5000000 bytes`);
    };
    expect(await readReports(store, record())).toEqual([
      report({ member: "m2", volumeId: volumes.m2 }),
    ]);
  });

  it("who is not in the roster is not listened to; who cannot be asked is an error", async () => {
    await put(storage.report("m9"), report({ member: "m9" }));
    expect(await readReports(store, record())).toEqual([]);
    store.before = () => {
      throw new Error("503");
    };
    await expect(readReports(store, record())).rejects.toThrow("503");
  });
});
