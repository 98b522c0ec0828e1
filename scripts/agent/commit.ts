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
  #noted: bigint | undefined;

  /** One look. Returns what is noted on the volume, if anything is. */
  async note({ raftIndex }: MemberStatus): Promise<bigint | undefined> {
    const seen = this.#seen;
    const now = performance.now();
    if (seen === undefined) {
      this.#seen = { index: raftIndex, at: now };
      return this.#noted;
    }
    if (now - seen.at < settledMs) {
      return this.#noted;
    }
    this.#seen = { index: raftIndex, at: now };
    const before = await readIfThere(paths.commit);
    if (before !== undefined && /^\d+\n$/.test(before) && BigInt(before.trim()) >= seen.index) {
      this.#noted = BigInt(before.trim());
    } else {
      await writeDurably(paths.commit, `${seen.index}\n`);
      this.#noted = seen.index;
    }
    return this.#noted;
  }

  /** What was seen belongs to data that this machine's etcd does not run on any more. */
  forget(): void {
    this.#seen = undefined;
    this.#noted = undefined;
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
