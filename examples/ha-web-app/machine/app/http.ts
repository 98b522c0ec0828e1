import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

import { z } from "zod";

import { Deadline } from "./deadline.ts";
import { Conflict, Unavailable, type Note } from "./notes.ts";
import type { Summary } from "./scheduler.ts";
import type { Flags } from "./shared.ts";

/** What the pages need of the rest. */
export interface Parts {
  readonly version: string;
  readonly machine: string;
  /** Longest that a request may take, seconds. */
  readonly requestSeconds: number;
  readonly notes: {
    save(note: Note, deadline: Deadline): Promise<void>;
    find(id: string, deadline: Deadline): Promise<Note | undefined>;
  };
  /** Who knows it may set flags. */
  readonly adminToken: string;
  readonly setFlag: (name: string, on: boolean) => Promise<void>;
  readonly countVisit: () => Promise<number>;
  readonly flags: () => Flags;
  readonly summary: () => Promise<Summary | undefined>;
}

/** An answer; the body is JSON. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

type Page = (request: IncomingMessage, match: RegExpMatchArray, parts: Parts) => Promise<Answer>;

const flagSchema = z.strictObject({ on: z.boolean() });
const noteSchema = z.strictObject({ text: z.string().min(1).max(4096) });
const nobody = "00000000-0000-0000-0000-000000000000";
const uuid = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";

const pages: readonly (readonly [string, RegExp, Page])[] = [
  // The balancer's question. It asks neither database nor etcd: if one of them is away, it is so for every machine, and a balancer
  // without machines helps nobody.
  ["GET", /^\/healthz$/, (_, __, { version }) => ok({ version })],
  // A deployment's question: can this machine use everything that it needs?
  [
    "GET",
    /^\/readyz$/,
    async (_, __, parts) => {
      const deadline = new Deadline(parts.requestSeconds * 500);
      await Promise.all([parts.notes.find(nobody, deadline), parts.summary()]);
      return { status: 200, body: { version: parts.version } };
    },
  ],
  ["GET", /^\/$/, (_, __, { version, machine, flags }) => ok({ version, machine, flags: flags() })],
  ["GET", /^\/summary$/, async (_, __, parts) => orMissing(await parts.summary())],
  [
    "PUT",
    new RegExp(`^/notes/${uuid}$`),
    async (request, [, id = ""], parts) => {
      const deadline = new Deadline(parts.requestSeconds * 1000);
      const note = { id, text: (await bodyOf(request, noteSchema)).text };
      await parts.notes.save(note, deadline);
      return { status: 201, body: note };
    },
  ],
  [
    "GET",
    new RegExp(`^/notes/${uuid}$`),
    async (_, [, id = ""], parts) =>
      orMissing(await parts.notes.find(id, new Deadline(parts.requestSeconds * 1000))),
  ],
  [
    "PUT",
    /^\/flags\/([a-z][a-z0-9-]{0,30})$/,
    async (request, [, name = ""], parts) => {
      const given = (request.headers.authorization ?? "").replace(/^Bearer /, "");
      if (!same(given, parts.adminToken)) {
        return {
          status: 401,
          body: { error: "who may set flags has the token of the stack's config" },
        };
      }
      const { on } = await bodyOf(request, flagSchema);
      await parts.setFlag(name, on);
      return { status: 200, body: { [name]: on } };
    },
  ],
  [
    "POST",
    /^\/visits$/,
    async (_, __, parts) => ({ status: 201, body: { visits: await parts.countVisit() } }),
  ],
];

/** The pages as a server, not listening yet. */
export function serve(parts: Parts, log: (line: string) => void): Server {
  const server = createServer((request, response) => {
    answer(request, parts, log)
      .then((given) => {
        send(response, given, parts);
      })
      .catch((error: unknown) => {
        log(`no answer could be sent: ${String(error)}`);
        response.destroy();
      });
  });
  // Longer than nginx keeps an idle connection to us; otherwise a request may meet a connection that is just being closed.
  server.keepAliveTimeout = 60_000;
  return server;
}

async function answer(
  request: IncomingMessage,
  parts: Parts,
  log: (line: string) => void,
): Promise<Answer> {
  const { pathname } = new URL(request.url ?? "/", "http://app");
  try {
    for (const [method, pattern, page] of pages) {
      const match = pattern.exec(pathname);
      if (match !== null && method === request.method) return await page(request, match, parts);
    }
    return { status: 404, body: { error: "no such page" } };
  } catch (error) {
    if (error instanceof BadRequest) return { status: 400, body: { error: error.message } };
    if (error instanceof Conflict) return { status: 409, body: { error: error.message } };
    log(`${request.method ?? ""} ${pathname}: ${describe(error)}`);
    const status = error instanceof Unavailable ? 503 : 500;
    return { status, body: { error: "try again" }, headers: { "retry-after": "1" } };
  }
}

class BadRequest extends Error {}

const bodyLimit = 16 * 1024;

async function bodyOf<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  if (Number(request.headers["content-length"] ?? Infinity) > bodyLimit) {
    throw new BadRequest(`a body has a content-length, and is at most ${bodyLimit} bytes long`);
  }
  const body = await text(request);
  const parsed = schema.safeParse(asJson(body));
  if (!parsed.success) throw new BadRequest(z.prettifyError(parsed.error));
  return parsed.data;
}

function asJson(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

/** How long it takes tells nothing about where they differ. */
function same(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function ok(body: unknown): Promise<Answer> {
  return Promise.resolve({ status: 200, body });
}

function orMissing(body: unknown): Answer {
  return body === undefined
    ? { status: 404, body: { error: "there is none" } }
    : { status: 200, body };
}

function send(response: ServerResponse, { status, body, headers }: Answer, parts: Parts): void {
  response.writeHead(status, {
    "content-type": "application/json",
    "x-served-by": `${parts.machine} ${parts.version}`,
    ...headers,
  });
  response.end(`${JSON.stringify(body)}\n`);
}

function describe(error: unknown): string {
  const { message, cause } = error instanceof Error ? error : new Error(String(error));
  return cause === undefined ? message : `${message} (${describe(cause)})`;
}
