import { open } from "node:fs/promises";
import { join } from "node:path";

import { syncFolder } from "./files";
import { frameBytes } from "./walFrame";
import { hardStateBytes, recordTypes } from "./walProto";
import { indexBefore, walkRecords, type LogEnd } from "./walRecords";
import { LogState } from "./walState";

/** What an etcd write-ahead log, and the snapshots it mentions, say. Ids are hexadecimal, as etcdctl prints them. */
export interface LogFacts {
  /** From the log's metadata record; undefined when the log is damaged before it. */
  readonly clusterId: string | undefined;
  readonly memberId: string | undefined;
  /** Of the last entry that can be decoded (or of the snapshot, when no entry follows it). */
  readonly term: bigint;
  readonly index: bigint;
  /** Of the last hard state. */
  readonly commit: bigint;
  readonly vote: string;
  /** Index of the newest usable snapshot; 0 when the log begins at the beginning. */
  readonly snapshotIndex: bigint;
  readonly votersAtCommit: readonly string[];
  readonly learnersAtCommit: readonly string[];
  readonly votersAtLast: readonly string[];
  readonly learnersAtLast: readonly string[];
  /**
   * Whether, up to the commit index, this member took part and was removed: etcd does not run on this any more. One that was only just
   * added is not in the configuration either, until it has caught up to where it was.
   */
  readonly removed: boolean;
  /** The log ends in a record that was never completed. etcd repairs that itself; it is not damage. */
  readonly tornTail: boolean;
  /** Why the log cannot be trusted as a whole. The other facts are those up to the last entry that can be decoded. */
  readonly damage?: string;
}

/** Where a data directory keeps the log. */
export function logFolder(dataDirectory: string): string {
  return join(dataDirectory, "member", "wal");
}

async function readState(dataDirectory: string): Promise<{ state: LogState; end: LogEnd }> {
  const folder = logFolder(dataDirectory);
  const state = new LogState(await indexBefore(folder));
  const end = await walkRecords(folder, (record) => {
    state.add(record);
  });
  return { state, end };
}

/** Reads the log of an etcd data directory (the folder with `member` in it). Nothing is changed. */
export async function readLog(dataDirectory: string): Promise<LogFacts> {
  const { state, end } = await readState(dataDirectory);
  const damage = end.damage ?? state.problem();
  const { commit } = state.hard;
  const atCommit = state.configurationAt(commit < state.index ? commit : state.index);
  const atLast = state.configurationAt(state.index);
  return {
    clusterId: state.metadata?.clusterId.toString(16),
    memberId: state.metadata?.memberId.toString(16),
    term: state.term,
    index: state.index,
    commit,
    vote: state.hard.vote.toString(16),
    snapshotIndex: state.snapshotIndex,
    votersAtCommit: atCommit.voters,
    learnersAtCommit: atCommit.learners,
    votersAtLast: atLast.voters,
    learnersAtLast: atLast.learners,
    removed:
      state.metadata !== undefined &&
      atCommit.removed.includes(state.metadata.memberId.toString(16)),
    tornTail: end.tornTail,
    ...(damage === undefined ? {} : { damage }),
  };
}

/** The hard state with which everything in a log is committed. */
export function raisedState(state: LogState): Buffer {
  const { term, vote } = state.hard;
  const grown = state.term > term;
  return hardStateBytes({
    term: grown ? state.term : term,
    vote: grown ? 0n : vote,
    commit: state.index,
  });
}

/**
 * In a COPY of a data directory: makes everything that is in the log committed, by one more hard state behind the last good record. What
 * a torn write left behind it is cut off, as etcd itself does.
 */
export async function raiseCommit(dataDirectory: string): Promise<void> {
  const { state, end } = await readState(dataDirectory);
  const damage = end.damage ?? state.problem();
  if (damage !== undefined) {
    throw new Error(`the commit of a damaged log is not raised: ${damage}`);
  }
  const { bytes } = frameBytes(recordTypes.state, raisedState(state), end.crc);
  const folder = logFolder(dataDirectory);
  const file = await open(join(folder, end.segment), "r+");
  try {
    await file.truncate(end.offset);
    await file.write(bytes, 0, bytes.length, end.offset);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(folder);
}
