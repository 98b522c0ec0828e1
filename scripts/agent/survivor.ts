/** A survivor's data as one file from which a cluster can be restored. */
export interface RecoveredSurvivor {
  readonly file: string;
  readonly sha256: string;
  /** Of the last entry of the survivor's log, which is in the file. */
  readonly term: bigint;
  readonly index: bigint;
  readonly revision: bigint;
}

/** What recovering a survivor needs. */
export interface SurvivorOptions {
  /** The survivor's data directory; it is read and never altered. */
  readonly dataDirectory: string;
  /** Does not exist yet, or is left from an attempt; emptied before and, but for the result, after. */
  readonly workFolder: string;
  /** Where etcd, etcdctl and etcdutl are. */
  readonly etcdFolder: string;
  readonly log: (line: string) => void;
}

/** The survivor's data cannot become a cluster of its own; `reason` is a name that an operator can look up. */
export class SurvivorRefusal extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Makes a snapshot of everything that is in a survivor's log, without touching the survivor's data. */
export function recoverSurvivor(options: SurvivorOptions): Promise<RecoveredSurvivor> {
  return Promise.reject(new Error(`recovering ${options.dataDirectory} is not built yet`));
}
