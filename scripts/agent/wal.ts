/** What an etcd write-ahead log, and the snapshot it goes on from, say. Ids are hexadecimal, as etcdctl prints them. */
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
  /** The log ends in a record that was never completed. etcd repairs that itself; it is not damage. */
  readonly tornTail: boolean;
  /** Why the log cannot be trusted as a whole. The other facts are those up to the last entry that can be decoded. */
  readonly damage?: string;
}

/** Reads the log of an etcd data directory (the folder with `member` in it). Nothing is changed. */
export function readLog(dataDirectory: string): Promise<LogFacts> {
  return Promise.reject(new Error(`reading the log of ${dataDirectory} is not built yet`));
}

/** In a COPY of a data directory: makes everything that is in the log committed. */
export function raiseCommit(dataDirectory: string): Promise<void> {
  return Promise.reject(new Error(`raising the commit of ${dataDirectory} is not built yet`));
}
