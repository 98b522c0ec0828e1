import { chown, chmod, mkdir, open, readdir, rename, stat } from "node:fs/promises";

import type { MemberConfig } from "../../components/plan/memberConfig";
import { readIfThere, syncFolder, writeDurably } from "./files";
import { intentSchema, markerSchema, type Disk, type Intent, type Marker } from "./marker";
import { paths } from "./paths";
import { must, run } from "./run";
import { etcdUser } from "./secrets";

/** The member's volume as a block device: what is on it, and the few things that are ever done to it. Nothing here deletes data. */

/** Where udev (and the EBS controller's serial number) shows a volume, whatever the order in which devices came up. */
export function devicePath(volumeId: string): string {
  return `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`;
}

/** Whether the volume is attached, as the machine sees it. */
export async function isAttached(volumeId: string): Promise<boolean> {
  return (await deviceNumber(volumeId)) !== undefined;
}

async function deviceNumber(volumeId: string): Promise<number | undefined> {
  try {
    const found = await stat(devicePath(volumeId));
    return found.isBlockDevice() ? found.rdev : undefined;
  } catch {
    return undefined;
  }
}

/** What the mount point shows: this volume, nothing, or (never by us) something else. */
async function mounted(volumeId: string): Promise<"volume" | "nothing" | "other"> {
  await mkdir(paths.mount, { recursive: true });
  if ((await run("mountpoint", ["-q", paths.mount])).code !== 0) {
    return "nothing";
  }
  return (await stat(paths.mount)).dev === (await deviceNumber(volumeId)) ? "volume" : "other";
}

/** Looks at an attached volume, and mounts it if it has a file system of ours. */
export async function inspect(config: MemberConfig): Promise<Disk> {
  const volumeId = config.volume.id;
  const state = await mounted(volumeId);
  if (state === "other") {
    return {
      kind: "unknown",
      reason: `something else than ${volumeId} is mounted on ${paths.mount}`,
    };
  }
  if (state === "nothing") {
    const device = devicePath(volumeId);
    const content = await contentOf(device);
    if (content === "nothing") {
      return { kind: "blank", formatted: false, setAside: [] };
    }
    if (content !== "ext4") {
      return { kind: "unknown", reason: `${device} holds ${content}` };
    }
    await mount(device);
  }
  return inspectFolder(paths.mount);
}

/** Every byte that mkfs or a partition table would have to write is zero, and no known signature is anywhere. */
async function contentOf(device: string): Promise<string> {
  const probe = await run("blkid", ["-p", "-o", "value", "-s", "TYPE", device]);
  if (probe.code === 0) {
    const type = probe.stdout.trim();
    return type === "" ? "something without a file system" : type;
  }
  if (probe.code !== 2) {
    return `something that blkid cannot tell (${probe.code})`;
  }
  // blkid also says 2 when it cannot open the device; then this throws.
  return (await leadingZeros(device, 4 * 2 ** 20)) ? "nothing" : "bytes without a known signature";
}

/** Whether the first bytes of a device or file are all zero. */
export async function leadingZeros(path: string, bytes: number): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const chunk = Buffer.alloc(2 ** 20);
    for (let offset = 0; offset < bytes;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length, offset);
      if (bytesRead === 0) {
        break;
      }
      if (chunk.subarray(0, bytesRead).some((byte) => byte !== 0)) {
        return false;
      }
      offset += bytesRead;
    }
    return true;
  } finally {
    await file.close();
  }
}

async function mount(device: string): Promise<void> {
  await must("mount", ["-t", "ext4", "-o", "noatime,nodev,nosuid,noexec", device, paths.mount]);
}

/** Says what a mounted file system holds. */
export async function inspectFolder(mountPoint: string): Promise<Disk> {
  const at = (path: string): string => path.replace(paths.mount, mountPoint);
  const entries = (await readdir(mountPoint)).filter((name) => name !== "lost+found");
  const setAside = entries.filter((name) => name.startsWith("set-aside-"));
  const strange = entries.find((name) => name !== "data" && !setAside.includes(name));
  if (strange !== undefined) {
    return { kind: "unknown", reason: `${mountPoint} holds ${strange}` };
  }
  const inside = entries.includes("data") ? await readdir(at(paths.data)) : [];
  const marker = await parsed(at(paths.marker), markerSchema);
  const intent = await parsed(at(paths.intent), intentSchema);
  if (marker === "damaged" || intent === "damaged") {
    return { kind: "unknown", reason: "the marker of the data cannot be read" };
  }
  if (await hasWriteAheadLog(at(paths.writeAheadLog))) {
    if (marker === undefined) {
      return { kind: "unknown", reason: "etcd's data, but no marker that says whose" };
    }
    const held = await readIfThere(at(paths.held));
    if (held === undefined) {
      return { kind: "data", marker };
    }
    return /^\d{1,15}\n?$/.test(held)
      ? { kind: "data", marker, held: Number(held) }
      : { kind: "unknown", reason: "the epoch for which the data is held cannot be read" };
  }
  if (marker === undefined && intent === undefined && inside.length > 0) {
    return { kind: "unknown", reason: `files without a marker: ${inside.slice(0, 3).join(", ")}` };
  }
  // etcd makes its log durable before it says a word to anybody. Without one and with the intent still there it never ran here;
  // a marker without both means that a log was there once.
  return {
    kind: "blank",
    formatted: true,
    setAside: setAside.map((folder) => ({ folder, generation: Number(folder.split("-")[2]) })),
    ...(marker === undefined ? {} : { marker }),
    ...(intent === undefined ? {} : { intent }),
  };
}

/** Whether a folder holds a write-ahead log of etcd. */
export async function hasWriteAheadLog(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).some((name) => name.endsWith(".wal"));
  } catch {
    return false;
  }
}

async function parsed<T>(
  path: string,
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
): Promise<T | "damaged" | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) {
    return undefined;
  }
  try {
    const result = schema.safeParse(JSON.parse(text));
    return result.success ? result.data : "damaged";
  } catch {
    return "damaged";
  }
}

/**
 * Gives a blank volume a file system, unless it has one, and mounts it. The caller knows that it was never recorded as used; that
 * it is blank is looked at once more here, at the last moment.
 */
export async function prepareBlank(config: MemberConfig): Promise<void> {
  if ((await mounted(config.volume.id)) === "volume") {
    return;
  }
  const device = devicePath(config.volume.id);
  const content = await contentOf(device);
  if (content !== "nothing") {
    throw new Error(`${device} is not blank, it holds ${content}: not formatted`);
  }
  // No discard: a volume from EBS is fresh, and on a large one it only takes time. etcd's files are few and large.
  await must("mkfs.ext4", ["-q", "-E", "nodiscard", "-m", "0", device], { timeoutSeconds: 120 });
  await mount(device);
}

/** Makes etcd's data directory on the mounted volume. */
export async function makeDataDirectory(): Promise<void> {
  const owner = await etcdUser();
  await mkdir(paths.data, { recursive: true, mode: 0o700 });
  await chown(paths.data, owner.uid, owner.gid);
  await chmod(paths.data, 0o700);
  await syncFolder(paths.mount);
}

/** Says on the volume that this member is about to be put into `joined`. */
export async function writeIntent(intent: Intent): Promise<void> {
  await makeDataDirectory();
  await writeDurably(paths.intent, `${JSON.stringify(intent)}\n`);
}

/** Says on the volume whose data is there, and which machine may start it. */
export async function writeMarker(marker: Marker): Promise<void> {
  await writeDurably(paths.marker, `${JSON.stringify(marker)}\n`);
}

/** Moves data out of the way, whole; never deletes it. */
export async function setAside(generation: number): Promise<string> {
  const place = `${paths.mount}/set-aside-${generation}-${new Date().toISOString().replaceAll(":", "")}`;
  await rename(paths.data, place);
  await syncFolder(paths.mount);
  return place;
}
