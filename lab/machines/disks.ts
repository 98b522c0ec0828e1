import {
  closeSync,
  existsSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";
import { basename, join } from "node:path";
import { execa } from "execa";
import type { Disk, ObservedDisk } from "../world.ts";
import { labMarks } from "./marks.ts";

/** A loop device that is in use. */
export interface Loop {
  /** "/dev/loop3" */
  device: string;
  /** "7:3" */
  number: string;
  file: string;
  /** It is to vanish as soon as nothing has it open any more. */
  leaving: boolean;
}

/** All loop devices in use on the host, whoever owns them. */
export function loops(): Loop[] {
  const found: Loop[] = [];
  for (const name of readdirSync("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    try {
      const folder = join("/sys/block", name);
      found.push({
        device: `/dev/${name}`,
        number: readFileSync(join(folder, "dev"), "utf8").trim(),
        file: readFileSync(join(folder, "loop", "backing_file"), "utf8").trim(),
        leaving: readFileSync(join(folder, "loop", "autoclear"), "utf8").trim() === "1",
      });
    } catch {
      // Not in use.
    }
  }
  return found;
}

/** The lab's loop devices: those under a file that carries the lab's prefix. */
export function labLoops(): Loop[] {
  return loops().filter(({ file }) => basename(file).startsWith(labMarks().prefix));
}

/** The controller a device name becomes inside the machine: /dev/sdf is the first disk after the root's. */
export function nvmeNode(device: string): string {
  const letter = /^\/dev\/(?:sd|xvd)([b-z])$/.exec(device)?.[1];
  if (letter === undefined) throw new Error(`${device} is not a name EC2 allows for a volume`);
  const index = letter.charCodeAt(0) - "e".charCodeAt(0);
  // f is 1, as in Debian's images with one volume; the letters before it come after z.
  return `/dev/nvme${index >= 1 ? index : 25 + index}n1`;
}

/** The link by which a machine recognises a volume: its serial number is the volume id without the dash. */
export function volumeLink(id: string): string {
  return `/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${id.replace("-", "")}`;
}

/** The volumes: sparse files that outlive machines, shown to a machine through a loop device. */
export class Disks {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** The file of a volume. */
  file(id: string): string {
    return join(this.#folder, `${labMarks().prefix}${id}.img`);
  }

  /** Creates the file of a new volume, or makes it as large as declared, in use or not; a volume never shrinks. */
  async ensure(disk: Disk): Promise<void> {
    const file = this.file(disk.id);
    const bytes = disk.sizeGiB * 1024 ** 3;
    if (!existsSync(file) || lstatSync(file).size < bytes) {
      const handle = openSync(file, "a", 0o600);
      ftruncateSync(handle, bytes);
      closeSync(handle);
    }
    const loop = loops().find((each) => each.file === file);
    if (loop === undefined) return;
    // In sectors of 512 bytes, whatever the device's own are.
    const sectors = Number(readFileSync(`/sys/block/${basename(loop.device)}/size`, "utf8"));
    if (sectors * 512 < bytes) await execa("losetup", ["--set-capacity", loop.device]);
  }

  /** Makes a volume visible in a running machine. Answers false while a former holder has not let go of it. */
  async attach(disk: Disk, device: string, root: string): Promise<boolean> {
    const file = this.file(disk.id);
    let loop = loops().find((each) => each.file === file);
    if (loop?.leaving === true) return false;
    if (!loop) {
      await execa("losetup", ["--find", "--direct-io=on", file]);
      loop = loops().find((each) => each.file === file);
      if (!loop) throw new Error(`no loop device appeared for ${file}`);
    }
    const node = nvmeNode(device);
    const [major = 7, minor = 0] = loop.number.split(":").map(Number);
    const present = statSync(root + node, { throwIfNoEntry: false });
    // A node of that name may be left of another loop device that the volume had before.
    if (present && present.rdev !== deviceNumber(major, minor)) unlinkSync(root + node);
    if (present?.rdev !== deviceNumber(major, minor)) {
      await execa("mknod", ["-m", "0660", root + node, "b", `${major}`, `${minor}`]);
    }
    const link = root + volumeLink(disk.id);
    mkdirSync(join(root, "dev/disk/by-id"), { recursive: true });
    if (!isLink(link)) symlinkSync(`../..${node.slice("/dev".length)}`, link);
    return true;
  }

  /** Takes a volume out of a machine. What still has it mounted keeps it until it lets go, as on EC2. */
  detach(id: string, device: string, root: string): void {
    for (const path of [root + volumeLink(id), root + nvmeNode(device)]) {
      if (isLink(path) || existsSync(path)) unlinkSync(path);
    }
  }

  /** Gives the loop device back; it goes when the last mount of it goes. */
  async release(id: string): Promise<void> {
    const file = this.file(id);
    const loop = loops().find((each) => each.file === file);
    if (loop && !loop.leaving) await execa("losetup", ["--detach", loop.device], { reject: false });
  }

  /** The volumes that have a file. */
  list(): string[] {
    const { prefix } = labMarks();
    return readdirSync(this.#folder)
      .filter((name) => name.startsWith(prefix) && name.endsWith(".img"))
      .map((name) => name.slice(prefix.length, -".img".length));
  }

  /** What is known of a volume now. `root` is that of the machine it is attached to, if that runs. */
  observe(disk: Disk, root: string | undefined): ObservedDisk {
    const file = this.file(disk.id);
    const loop = loops().find((each) => each.file === file);
    const seen =
      disk.attachedTo && root !== undefined && isLink(root + volumeLink(disk.id))
        ? {
            attachedTo: {
              machineId: disk.attachedTo.machineId,
              node: nvmeNode(disk.attachedTo.device),
            },
          }
        : {};
    return { file, ...(loop ? { loop: loop.device } : {}), ...seen };
  }

  /** Deletes a volume that is no longer part of the world. */
  async remove(id: string): Promise<void> {
    await this.release(id);
    rmSync(this.file(id), { force: true });
  }
}

/** The kernel's packing of a device number. */
function deviceNumber(major: number, minor: number): number {
  return ((minor & 0xfff00) << 12) | (major << 8) | (minor & 0xff);
}

function isLink(path: string): boolean {
  try {
    readlinkSync(path);
    return true;
  } catch {
    return false;
  }
}
