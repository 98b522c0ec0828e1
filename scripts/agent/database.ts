/** What etcd's database file says about itself. */
export interface DatabaseFacts {
  /** Term of the last entry applied. */
  readonly term: bigint;
  /** Index of the last entry applied. */
  readonly consistentIndex: bigint;
  /** Highest revision of a key; undefined when the file has none. */
  readonly revision: bigint | undefined;
}

/** Reads an etcd database (`member/snap/db`, or a backup). Nothing is changed; what is malformed is an error that says why. */
export function readDatabase(file: string): Promise<DatabaseFacts> {
  return Promise.reject(new Error(`reading ${file} is not built yet`));
}

/** Whether every page of a database can be read, by etcd's own tools. Undefined, or the reason why not. */
export function checkDatabase(file: string, etcdFolder: string): Promise<string | undefined> {
  return Promise.reject(new Error(`checking ${file} with ${etcdFolder} is not built yet`));
}
