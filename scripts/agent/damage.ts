import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { checkDatabase, readDatabase } from "./database";
import { readIfThere, writeDurably } from "./files";
import { paths } from "./paths";
import { olderThanReached, type Reached } from "./reached";
import { run } from "./run";
import { reasonOf, say } from "./say";
import { stopEtcd } from "./service";
import { readLog, type LogFacts } from "./wal";

/**
 * Damage to the data that can be detected: a log that does not decode, or that ends before what this member knew to be committed, a
 * database whose pages do not hold together, and what etcd itself finds when it compares its keys with the others'. Whatever was
 * found is written beside the data, so that no later process takes it for sound.
 */

/** How often etcd may end by itself before somebody looks at its files. */
export const restartsBeforeLooking = 3;

/** The log on the volume, read again only when it has changed. */
export class Log {
  #seen: { readonly signature: string; readonly facts: LogFacts | undefined } | undefined;

  /** What the log says; undefined when it cannot be read at all. */
  async facts(): Promise<LogFacts | undefined> {
    const signature = await this.#signature();
    if (this.#seen?.signature !== signature) {
      let facts: LogFacts | undefined;
      try {
        facts = await readLog(paths.data);
      } catch (error) {
        // Not damage: a disk that does not answer now, for instance. etcd will meet it as well, and say so.
        say(`the log cannot be read: ${reasonOf(error)}`);
      }
      this.#seen = { signature, facts };
    }
    return this.#seen.facts;
  }

  async #signature(): Promise<string> {
    const names = (await readdir(paths.writeAheadLog)).sort();
    const files = await Promise.all(
      names.map(async (name) => {
        const { size, mtimeMs } = await stat(join(paths.writeAheadLog, name));
        return [name, size, mtimeMs].join(" ");
      }),
    );
    return files.join("\n");
  }
}

/** Damage that shows in the log while etcd does not run. `reached`: how far it had come, as the bucket knows it. */
export async function damageOf(log: Log, reached?: Reached): Promise<string | undefined> {
  const facts = await log.facts();
  if (facts === undefined) {
    return undefined;
  }
  if (facts.damage !== undefined) {
    return `the write-ahead log: ${facts.damage}`;
  }
  const text = await readIfThere(paths.commit);
  const committed = text !== undefined && /^\d{1,19}\n?$/.test(text) ? BigInt(text.trim()) : 0n;
  if (facts.index < committed) {
    return `the write-ahead log ends at ${facts.index}, and ${committed} was committed`;
  }
  const applied = await appliedIndex();
  return facts.index < applied
    ? `the write-ahead log ends at ${facts.index}, and the database has entries up to ${applied}`
    : olderThanReached(facts, reached);
}

/**
 * The last entry that is in the database. It is in the log as well, with one exception that cannot be told from a log that lost its end:
 * a member whose machine lost its power in the moment in which others had committed what it was still writing (etcd 3.6 and 3.7 apply
 * such entries at once). That costs a re-join; entries that were acknowledged and forgotten would cost a write.
 */
async function appliedIndex(): Promise<bigint> {
  try {
    return (await readDatabase(paths.database)).consistentIndex;
  } catch {
    // Not there, or malformed: etcd says so when it is started, and is looked at then.
    return 0n;
  }
}

/** Writes down why the data must not be started. */
export async function noteDamage(reason: string): Promise<void> {
  const line = reason.replaceAll(/[^\x20-\x7e]+/g, " ").slice(0, 500);
  await writeDurably(paths.damage, `${line}\n`);
}

/** What etcd says as it ends because of its files or its keys; anything else may be its settings or its surroundings. */
const confessions: readonly RegExp[] = [
  /found data inconsistency with peers?/,
  /checkInitialHashKV failed/,
  /crc mismatch/i,
  /checksum (error|mismatch)/i,
  /invalid database/,
  /file size too small/,
  /failed to (open database|unmarshal mvccpb|recover v3 backend|find database snapshot file)/,
  /walpb: /,
  /wal: (file not found|slice bounds|max entry size)/,
  /page \d+ already freed|unexpected fault address|assertion failed/,
  // The leader knows that this member had more than it has.
  /tocommit\(\d+\) is out of range \[lastIndex\(\d+\)\]/,
];

/**
 * What of etcd's last words, the newest first, shows that its data is damaged. Stack traces are among them; what it could repair is
 * only a warning.
 */
export function confession(lines: readonly string[]): string | undefined {
  return lines
    .filter((line) => !/"level":"(debug|info|warn)"/.test(line))
    .find((line) => confessions.some((pattern) => pattern.test(line)));
}

/**
 * Looks at the files of an etcd that ends again and again, and keeps it from being started while it looks. Returns the damage, or
 * undefined when there is none to be seen; then it is started again.
 */
export async function examine(log: Log): Promise<string | undefined> {
  const said = await lastWords();
  await stopEtcd();
  return (
    (await damageOf(log)) ??
    (await checkDatabase(paths.database, paths.etcdFolder)) ??
    confession(said)
  );
}

/** What etcd wrote last, the newest line first. Stack traces are long. */
async function lastWords(): Promise<string[]> {
  const { stdout } = await run("journalctl", [
    ...["--unit=etcd.service", "--boot", "--lines=1000", "--output=cat", "--no-pager", "--reverse"],
  ]);
  return stdout.split("\n");
}
