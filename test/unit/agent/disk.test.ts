import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { inspectFolder } from "../../../scripts/agent/contents";
import { devicePath, leadingZeros } from "../../../scripts/agent/disk";
import { clusterUid, marker, volumes } from "./facts";

const intent = { clusterUid, member: "m1", volumeId: volumes.m1, generation: 1 };

describe("what a mounted volume holds", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "etcd-disk-"));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const put = (name: string, content = ""): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  };
  const wal = (): void => {
    put("data/member/wal/0000000000000000-0000000000000000.wal", "x");
  };
  const mark = (): void => {
    put("data/etcd-cluster.json", JSON.stringify(marker()));
  };
  const intend = (): void => {
    put("data/etcd-cluster.intent", JSON.stringify(intent));
  };

  const blank = { kind: "blank", formatted: true, setAside: [] };

  it("nothing: blank", async () => {
    expect(await inspectFolder(folder)).toEqual(blank);
    for (const name of ["lost+found", "data", "scratch", "data.restoring"]) {
      mkdirSync(join(folder, name));
      expect(await inspectFolder(folder)).toEqual(blank);
    }
  });

  it("an intent, where the data or what is being restored will be: etcd never ran here", async () => {
    put("data.restoring/etcd-cluster.intent", JSON.stringify(intent));
    expect(await inspectFolder(folder)).toEqual({ ...blank, intent });
    intend();
    expect(await inspectFolder(folder)).toEqual({ ...blank, intent });
    mark();
    expect(await inspectFolder(folder)).toEqual({ ...blank, intent, marker: marker() });
  });

  it("a marker without a log: there was data once", async () => {
    mark();
    expect(await inspectFolder(folder)).toEqual({ ...blank, marker: marker() });
  });

  it("data that was set aside, and of which generation", async () => {
    const names = ["set-aside-12-2026-11-21T101010.000Z", "set-aside-3-2026-11-20T101010.000Z"];
    for (const name of names) {
      put(`${name}/member/wal/0.wal`);
    }
    expect(await inspectFolder(folder)).toEqual({
      ...blank,
      setAside: [
        { folder: names[0], generation: 12 },
        { folder: names[1], generation: 3 },
      ],
    });
  });

  it("a marker and a log: data, and for which epoch it is held", async () => {
    mark();
    wal();
    expect(await inspectFolder(folder)).toEqual({ kind: "data", marker: marker() });
    put("data/etcd-cluster.held", "7\n");
    expect(await inspectFolder(folder)).toEqual({ kind: "data", marker: marker(), held: 7 });
    put("data/etcd-cluster.damage", "the log: a record's checksum is wrong\n");
    expect(await inspectFolder(folder)).toEqual({
      ...{ kind: "data", marker: marker(), held: 7 },
      damage: "the log: a record's checksum is wrong",
    });
  });

  it.each([
    ["a log without a marker", "data/member/wal/0.wal"],
    ["files beside the data", "photos/1.jpg"],
    ["a folder that only looks like one that was set aside", "set-aside-x/member/wal/0.wal"],
    ["files in the data's place", "data/thesis.txt"],
  ])("%s: not ours", async (_, name) => {
    put(name);
    expect((await inspectFolder(folder)).kind).toBe("unknown");
  });

  it("a marker that cannot be read: not ours to decide", async () => {
    wal();
    for (const text of ["{", "{}", JSON.stringify({ ...marker(), more: 1 })]) {
      put("data/etcd-cluster.json", text);
      expect((await inspectFolder(folder)).kind).toBe("unknown");
    }
  });

  it("an epoch that cannot be read: not ours to decide", async () => {
    mark();
    wal();
    put("data/etcd-cluster.held", "soon\n");
    expect((await inspectFolder(folder)).kind).toBe("unknown");
  });

  it("zeros are zeros to the last byte that is looked at, and a device that cannot be read is an error", async () => {
    const image = join(folder, "image");
    const bytes = Buffer.alloc(3 * 2 ** 20);
    writeFileSync(image, bytes);
    expect(await leadingZeros(image, bytes.length)).toBe(true);
    bytes[2 * 2 ** 20 + 17] = 1;
    writeFileSync(image, bytes);
    expect(await leadingZeros(image, 2 ** 20)).toBe(true);
    expect(await leadingZeros(image, bytes.length)).toBe(false);
    await expect(leadingZeros(join(folder, "missing"), 1)).rejects.toThrow("ENOENT");
  });
});

test("a volume is found by its id without the hyphen", () => {
  expect(devicePath("vol-0123abcd")).toBe(
    "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123abcd",
  );
});
