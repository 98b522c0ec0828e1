import { randomUUID } from "node:crypto";
import { Agent, request } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/**
 * Sends requests without pause until standard input ends, and writes what became of each as a line of JSON. Run inside the network of a
 * machine that may reach the balancer: node requests.ts ADDRESS...
 */

/** What became of a request. */
export interface Sent {
  readonly kind: "page" | "kept-alive page" | "note" | "visit";
  /** When it began and ended, milliseconds since 1970. */
  readonly began: number;
  readonly ended: number;
  /** HTTP status, or undefined without an answer. */
  readonly status?: number;
  readonly error?: string;
  /** `zone version`, as the app says it. */
  readonly by?: string;
  /** Id of a note, or the number of a visit. */
  readonly what?: string;
}

/** Milliseconds from one request of a kind to the next; they do not wait for one another. */
const everyMs = 250;
/** How long a client waits. */
const patienceMs = 15_000;

const addresses = process.argv.slice(2);
const lasting = new Agent({ keepAlive: true, maxSockets: 4 });

async function send(kind: Sent["kind"], round: number): Promise<Sent> {
  const host = addresses[round % addresses.length] ?? "";
  const id = randomUUID();
  const [method, path, body] = {
    page: ["GET", "/", ""],
    "kept-alive page": ["GET", "/", ""],
    note: ["PUT", `/notes/${id}`, JSON.stringify({ text: `note ${round}` })],
    visit: ["POST", "/visits", ""],
  }[kind] as [string, string, string];
  const began = Date.now();
  try {
    const sent = request({
      ...{ host, method, path, timeout: patienceMs },
      agent: kind === "kept-alive page" ? lasting : false,
      headers: { "content-length": Buffer.byteLength(body) },
      signal: AbortSignal.timeout(patienceMs),
    });
    sent.end(body);
    const [response] = (await once(sent, "response")) as [import("node:http").IncomingMessage];
    const answer = JSON.parse(await text(response)) as Record<string, unknown>;
    return {
      ...{ kind, began, ended: Date.now(), status: response.statusCode ?? 0 },
      by: String(response.headers["x-served-by"]),
      ...(kind === "note" ? { what: id } : {}),
      ...(kind === "visit" ? { what: String(answer["visits"]) } : {}),
    };
  } catch (error) {
    return { kind, began, ended: Date.now(), error: String(error) };
  }
}

async function main(): Promise<void> {
  const under = new Set<Promise<void>>();
  let round = 0;
  const timer = setInterval(() => {
    round += 1;
    for (const kind of ["page", "kept-alive page", "note", "visit"] as const) {
      const one = send(kind, round).then((sent) => {
        process.stdout.write(`${JSON.stringify(sent)}\n`);
        under.delete(one);
      });
      under.add(one);
    }
  }, everyMs);
  process.stdin.resume();
  await once(process.stdin, "end");
  clearInterval(timer);
  await Promise.all(under);
  lasting.destroy();
}

await main();
