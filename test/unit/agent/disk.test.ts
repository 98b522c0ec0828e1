import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { devicePath, inspectFolder, leadingZeros } from "../../../scripts/agent/disk";
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

  it("nothing: blank", async () => {
    expect(await inspectFolder(folder)).toEqual({ kind: "blank", formatted: true, used: false });
    mkdirSync(join(folder, "lost+found"));
    mkdirSync(join(folder, "data"));
    expect(await inspectFolder(folder)).toEqual({ kind: "blank", formatted: true, used: false });
  });

  it("an intent alone, or with a marker: etcd never ran here", async () => {
    intend();
    expect(await inspectFolder(folder)).toEqual({
      kind: "blank",
      formatted: true,
      used: false,
      intent,
    });
    mark();
    expect(await inspectFolder(folder)).toEqual({
      kind: "blank",
      formatted: true,
      used: false,
      intent,
    });
  });

  it("a marker without a log: used", async () => {
    mark();
    expect(await inspectFolder(folder)).toEqual({ kind: "blank", formatted: true, used: true });
  });

  it("data that was set aside: used", async () => {
    put("set-aside-1-2026/member/wal/0.wal");
    expect(await inspectFolder(folder)).toEqual({ kind: "blank", formatted: true, used: true });
  });

  it("a marker and a log: data, and for which epoch it is held", async () => {
    mark();
    wal();
    expect(await inspectFolder(folder)).toEqual({ kind: "data", marker: marker() });
    put("data/etcd-cluster.held", "7\n");
    expect(await inspectFolder(folder)).toEqual({ kind: "data", marker: marker(), held: 7 });
  });

  it.each([
    ["a log without a marker", "data/member/wal/0.wal"],
    ["files beside the data", "photos/1.jpg"],
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
