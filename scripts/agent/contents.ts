import { readdir } from "node:fs/promises";

import { readIfThere } from "./files";
import { intentSchema, markerSchema, type Disk, type SetAside } from "./marker";
import { paths } from "./paths";

/** What the file system of a member's volume holds. Looking changes nothing. */

/** Longest reason that is kept. */
const reasonLength = 500;

/** Says what a mounted file system holds. */
export async function inspectFolder(mountPoint: string = paths.mount): Promise<Disk> {
  const at = (path: string): string => path.replace(paths.mount, mountPoint);
  const entries = (await readdir(mountPoint)).filter((name) => name !== "lost+found");
  const strange = entries.find((name) => !isOurs(name));
  if (strange !== undefined) {
    return { kind: "unknown", reason: `${mountPoint} holds ${strange}` };
  }
  const inside = entries.includes("data") ? await readdir(at(paths.data)) : [];
  const marker = await parsed(at(paths.marker), markerSchema);
  // A restore says where it restores to that etcd never ran on this volume, until that becomes the data.
  const intent =
    (await parsed(at(paths.intent), intentSchema)) ??
    (await parsed(at(paths.restoringIntent), intentSchema));
  if (marker === "damaged" || intent === "damaged") {
    return { kind: "unknown", reason: "the marker of the data cannot be read" };
  }
  if (await hasWriteAheadLog(at(paths.writeAheadLog))) {
    if (marker === undefined) {
      return { kind: "unknown", reason: "etcd's data, but no marker that says whose" };
    }
    const held = await readIfThere(at(paths.held));
    if (held !== undefined && !/^\d{1,15}\n?$/.test(held)) {
      return { kind: "unknown", reason: "the epoch for which the data is held cannot be read" };
    }
    const damage = (await readIfThere(at(paths.damage)))?.trim().slice(0, reasonLength);
    return {
      kind: "data",
      marker,
      ...(held === undefined ? {} : { held: Number(held) }),
      ...(damage === undefined ? {} : { damage }),
    };
  }
  if (marker === undefined && intent === undefined && inside.length > 0) {
    return { kind: "unknown", reason: `files without a marker: ${inside.slice(0, 3).join(", ")}` };
  }
  // etcd makes its log durable before it says a word to anybody. Without one and with the intent still there it never ran here;
  // a marker without both means that a log was there once.
  return {
    kind: "blank",
    formatted: true,
    setAside: foldersSetAside(entries),
    ...(marker === undefined ? {} : { marker }),
    ...(intent === undefined ? {} : { intent }),
  };
}

function isOurs(name: string): boolean {
  return (
    ["data", "data.restoring", "scratch", "upkeep"].includes(name) || /^set-aside-\d+-/.test(name)
  );
}

/** Which of a volume's folders were set aside, and of which generation they are. */
export function foldersSetAside(names: readonly string[]): SetAside[] {
  return names
    .filter((name) => /^set-aside-\d+-/.test(name))
    .sort()
    .map((folder) => ({ folder, generation: Number(folder.split("-")[2]) }));
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
