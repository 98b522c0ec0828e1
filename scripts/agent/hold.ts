import { rename, rm } from "node:fs/promises";

import { readIfThere, syncFolder, writeDurably } from "./files";
import { existsSync } from "node:fs";
import { paths } from "./paths";
import { step } from "./point";
import { say } from "./say";
import { stopEtcd } from "./service";

/** The two ways in which the agent stops etcd for good: until a later epoch, or for this copy of the data for ever. */

/**
 * Says on the volume, durably and before anything else, that this member is held, and only then stops etcd: from here on it does not
 * start again, whatever happens to this process or machine, until a later epoch was read.
 */
export async function hold(epoch: number): Promise<void> {
  const before = Number((await readIfThere(paths.held)) ?? 0);
  if (epoch > before) {
    await step("hold:held", () => writeDurably(paths.held, `${epoch}\n`));
  }
  await step("hold:stop", stopEtcd);
}

/** Lets a member go that was held for an epoch before this one. */
export async function release(epoch: number): Promise<void> {
  const text = await readIfThere(paths.held);
  if (text === undefined) {
    return;
  }
  const held = Number(text);
  if (!(held < epoch)) {
    throw new Error(`this member is held for epoch ${held}, and the record is at ${epoch}`);
  }
  await step("start:release", async () => {
    await rm(paths.held);
    await syncFolder(paths.data);
  });
}

/** Moves the whole data directory out of the way. It is never deleted: it counts when a source is looked for. */
export async function setAside(generation: number): Promise<void> {
  await step("setAside:stop", stopEtcd);
  // What was being restored is a copy of a source that the bucket has; it is not data.
  await rm(paths.restoring, { recursive: true, force: true });
  if (!existsSync(paths.data)) {
    return;
  }
  const time = new Date().toISOString().replaceAll(":", "");
  const place = `${paths.mount}/set-aside-${generation}-${time}`;
  await step("setAside:rename", async () => {
    await rename(paths.data, place);
    await syncFolder(paths.mount);
  });
  say(`set aside as ${place}`);
}
