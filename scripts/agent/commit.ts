import { rm } from "node:fs/promises";

import { hasWriteAheadLog } from "./contents";
import type { MemberStatus } from "./etcd";
import { readIfThere, syncFolder, writeDurably } from "./files";
import { paths } from "./paths";

/** Milliseconds after which what was committed is taken to be on this member's disk. */
const settledMs = 4000;

/**
 * Keeps the highest commit index that this member's log must hold beside the data. A member may know an entry to be committed a moment
 * before it has written it, so that what one look sees is noted at a later one.
 */
export class CommitKeeper {
  #seen: { readonly index: bigint; readonly at: number } | undefined;

  /** One look. */
  async note({ raftIndex }: MemberStatus): Promise<void> {
    const seen = this.#seen;
    const now = performance.now();
    if (seen === undefined) {
      this.#seen = { index: raftIndex, at: now };
      return;
    }
    if (now - seen.at < settledMs) {
      return;
    }
    this.#seen = { index: raftIndex, at: now };
    const before = await readIfThere(paths.commit);
    if (before === undefined || !/^\d+\n$/.test(before) || BigInt(before.trim()) < seen.index) {
      await writeDurably(paths.commit, `${seen.index}\n`);
    }
  }

  /** What was seen belongs to data that this machine's etcd does not run on any more. */
  forget(): void {
    this.#seen = undefined;
  }
}

/** The intent has done its duty when etcd's log exists. */
export async function dropIntent(): Promise<void> {
  if (
    (await readIfThere(paths.intent)) !== undefined &&
    (await hasWriteAheadLog(paths.writeAheadLog))
  ) {
    await rm(paths.intent, { force: true });
    await syncFolder(paths.data);
  }
}
