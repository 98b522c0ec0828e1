import pg from "pg";

import { Deadline } from "./deadline.ts";
import type { Settings } from "./settings.ts";

/** What people write down. The client chooses the id, so that what it sends twice is there once. */
export interface Note {
  readonly id: string;
  readonly text: string;
}

/** The service does not answer in time. Whoever asked may ask again. */
export class Unavailable extends Error {}

/** An id that is taken by another text. */
export class Conflict extends Error {}

type Database = Settings["database"];

/** How long one attempt may take. A machine that is gone does not say so, it is silent; another one may be the primary meanwhile. */
const attemptMs = 2500;
/** How long a machine may take to say whether it is the primary. */
const probeMs = 3000;
/** Between two attempts. */
const pauseMs = 200;
/** Connections to the primary. Patroni's Debian defaults allow 100, less what replicas and superusers take. */
const poolSize = 8;

/**
 * Notes in PostgreSQL. Which of the machines is the primary is found out by asking all of them at once, and again when a statement has
 * failed and the one that was it does not say that it still is. (One that is only slow must not be left: connecting to everybody anew
 * would make it slower.) Statements are repeated until the caller's deadline; they may be, because each does the same the second time.
 */
export class Notes {
  readonly #database: Database;
  #primary: Promise<Server> | undefined;
  #doubting: Promise<unknown> | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes the table; whoever comes first. */
  async prepare(deadline: Deadline): Promise<void> {
    await this.#run(deadline, async (query) => {
      // Two machines at once: CREATE TABLE IF NOT EXISTS alone may fail in both.
      await query("SELECT pg_advisory_lock(4711)");
      try {
        await query("CREATE TABLE IF NOT EXISTS notes (id uuid PRIMARY KEY, text text NOT NULL)");
      } finally {
        await query("SELECT pg_advisory_unlock(4711)");
      }
    });
  }

  /** Keeps a note. When it returns, the note survives what the database survives. */
  async save({ id, text }: Note, deadline: Deadline): Promise<void> {
    const kept = await this.#run(deadline, async (query) => {
      await query("INSERT INTO notes (id, text) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING", [
        id,
        text,
      ]);
      const { rows } = await query("SELECT text FROM notes WHERE id = $1", [id]);
      return rows[0]?.["text"];
    });
    if (kept !== text) throw new Conflict(`${id} is another note's`);
  }

  /** Looks for a note, on the primary: what was kept a moment ago is there. */
  async find(id: string, deadline: Deadline): Promise<Note | undefined> {
    const text = await this.#run(deadline, async (query) => {
      const { rows } = await query("SELECT text FROM notes WHERE id = $1", [id]);
      return rows[0]?.["text"];
    });
    return typeof text === "string" ? { id, text } : undefined;
  }

  /** How many there are. */
  async count(deadline: Deadline): Promise<number> {
    return this.#run(deadline, async (query) => {
      const { rows } = await query("SELECT count(*)::int AS count FROM notes");
      return Number(rows[0]?.["count"]);
    });
  }

  /** Lets all connections go. */
  async close(): Promise<void> {
    const primary = this.#primary;
    this.#primary = undefined;
    await (await primary?.catch(() => undefined))?.pool.end();
  }

  async #run<T>(deadline: Deadline, work: (query: Query) => Promise<T>): Promise<T> {
    let last: unknown;
    do {
      const primary = (this.#primary ??= this.#findPrimary());
      try {
        return await once((await primary).pool, deadline.atMost(attemptMs), work);
      } catch (error) {
        last = error;
        if (error instanceof pg.DatabaseError && !passes(error)) throw error;
        await this.#doubt(primary);
      }
    } while (await deadline.pause(pauseMs));
    throw new Unavailable("the database has no primary that answers", { cause: last });
  }

  /** Asks the one that failed whether it still is the primary, once for everybody who doubts it, and forgets it if not. */
  async #doubt(primary: Promise<Server>): Promise<void> {
    if (this.#primary !== primary) return;
    this.#doubting ??= primary
      .then(isPrimary)
      .catch(() => {
        if (this.#primary === primary) this.#primary = undefined;
        // Connections in use end when they are given back.
        primary.then(({ pool }) => pool.end()).catch(() => undefined);
      })
      .finally(() => {
        this.#doubting = undefined;
      });
    await this.#doubting;
  }

  async #findPrimary(): Promise<Server> {
    const servers = this.#database.hosts.map((host) => serverOf(this.#database, host));
    const found = await Promise.any(servers.map(isPrimary)).catch(() => undefined);
    for (const server of servers) {
      if (server !== found) server.pool.end().catch(() => undefined);
    }
    if (found === undefined) throw new Error(`none of ${this.#database.hosts.join(", ")} is it`);
    return found;
  }
}

/** One of the machines. */
interface Server {
  readonly options: pg.ClientConfig;
  readonly pool: pg.Pool;
}

/** The machine, if it is the primary. On a connection of its own: those of the pool may all be waiting. */
async function isPrimary(server: Server): Promise<Server> {
  const client = new pg.Client({
    ...server.options,
    connectionTimeoutMillis: probeMs,
    query_timeout: probeMs,
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ replica: boolean }>(
      "SELECT pg_is_in_recovery() AS replica",
    );
    if (rows[0]?.replica !== false) throw new Error("a replica");
    return server;
  } finally {
    client.end().catch(() => undefined);
  }
}

type Query = (text: string, values?: unknown[]) => Promise<pg.QueryResult<Record<string, unknown>>>;

/** One attempt on a connection of its own, which is thrown away if anything went wrong. */
async function once<T>(
  pool: pg.Pool,
  milliseconds: number,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer for ${Math.round(milliseconds)} ms`));
    }, milliseconds);
  });
  try {
    const result = await Promise.race([
      work((text, values) => client.query<Record<string, unknown>>(text, values)),
      silence,
    ]);
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function serverOf({ port, name, user, password, ca }: Database, host: string): Server {
  const options: pg.ClientConfig = {
    ...{ host, port, database: name, user, password },
    // The certificate is the address's, which is no name that may be sent ahead.
    ...(ca === undefined ? {} : { ssl: { ca, host } }),
    application_name: "ha-web-app",
  };
  const pool = new pg.Pool({
    ...options,
    max: poolSize,
    connectionTimeoutMillis: attemptMs,
    query_timeout: attemptMs,
    idleTimeoutMillis: 30_000,
  });
  // A connection that breaks while nobody uses it; the next statement finds out by itself.
  pool.on("error", () => undefined);
  return { options, pool };
}

/**
 * Whether it may be better elsewhere, or in a moment: connection lost (08), the server ends or starts (57P), no more connections (53),
 * and a statement that writes on a machine that is a replica by now (25006).
 */
function passes({ code = "" }: pg.DatabaseError): boolean {
  return /^(08|57P|53)/.test(code) || code === "25006";
}
