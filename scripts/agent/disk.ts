import { chown, chmod, mkdir, open, stat } from "node:fs/promises";

import { inspectFolder } from "./contents";
import { readIfThere, syncFolder, writeDurably } from "./files";
import type { Disk, Intent, Marker } from "./marker";
import { paths } from "./paths";
import { must, run } from "./run";
import { etcdUser } from "./secrets";

/** The member's volume as a block device: what is on it, and the few things that are ever done to it. Nothing here deletes data. */

/** Where udev (and the EBS controller's serial number) shows a volume, whatever the order in which devices came up. */
export function devicePath(volumeId: string): string {
  return `${paths.devices}/nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`;
}

/** Id of the volume that this machine uses for its member, which may be another than the configured one; undefined before there is one. */
export async function volumeInUse(): Promise<string | undefined> {
  return (await readIfThere(paths.volume))?.trim();
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
  // The usual answer costs no process: it is asked for every few seconds.
  if ((await stat(paths.mount)).dev === (await deviceNumber(volumeId))) {
    return "volume";
  }
  return (await run("mountpoint", ["-q", paths.mount])).code === 0 ? "other" : "nothing";
}

/** Whether the volume is mounted where it belongs. */
export async function isMounted(volumeId: string): Promise<boolean> {
  return (await mounted(volumeId)) === "volume";
}

/** Looks at an attached volume, and mounts it if it has a file system of ours. */
export async function inspect(volumeId: string): Promise<Disk> {
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

/**
 * Gives a blank volume a file system, unless it has one, and mounts it. The caller knows that it was never recorded as used; that
 * it is blank is looked at once more here, at the last moment.
 */
export async function prepareBlank(volumeId: string): Promise<void> {
  if ((await mounted(volumeId)) === "volume") {
    return;
  }
  const device = devicePath(volumeId);
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
