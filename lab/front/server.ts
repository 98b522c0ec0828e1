import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Answer, RawRequest } from "./call.ts";

/** Largest request the lab reads: an artifact in one put. */
const maxBodyBytes = 512 * 1024 * 1024;

/** Requests that are not to be answered: each is taken over as soon as its head is there. */
export interface Interruptions {
  readonly concerns: (incoming: IncomingMessage) => boolean;
  /** Takes a request over; it gets no answer. */
  readonly stop: (incoming: IncomingMessage, address: string) => void;
}

/** Answers one request. */
export type Handler = (request: RawRequest) => Promise<Answer>;

async function read(incoming: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of incoming) {
    const bytes = part as Buffer;
    length += bytes.length;
    if (length > maxBodyBytes)
      throw new Error(`a request's body is larger than ${maxBodyBytes} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

async function serve(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fromMachine: boolean,
  handler: Handler,
  interruptions: Interruptions | undefined,
): Promise<void> {
  const forwarded = String(incoming.headers["x-forwarded-for"] ?? "")
    .split(",")
    .at(-1)
    ?.trim();
  if (fromMachine && interruptions?.concerns(incoming) === true) {
    interruptions.stop(incoming, forwarded ?? "");
    return;
  }
  const vpc = incoming.headers["x-lab-vpc"];
  const answer = await handler({
    method: incoming.method ?? "GET",
    target: incoming.url ?? "/",
    headers: incoming.headers,
    body: await read(incoming),
    fromMachine,
    // Only the router's own socket is believed about where a request came from.
    ...(fromMachine && forwarded !== undefined && forwarded !== ""
      ? { sourceAddress: forwarded }
      : {}),
    ...(fromMachine && typeof vpc === "string" ? { sourceVpc: vpc } : {}),
  });
  const headers: Record<string, string | string[]> = { ...answer.headers };
  if (answer.stream !== undefined) {
    outgoing.writeHead(answer.status, headers);
    await pipeline(answer.stream, outgoing);
    return;
  }
  if (incoming.method !== "HEAD") headers["content-length"] = String(answer.body.length);
  outgoing.writeHead(answer.status, headers);
  outgoing.end(answer.body);
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ERR_STREAM_PREMATURE_CLOSE" || code === "ECONNRESET" || code === "EPIPE";
}

/** Where to listen: a loopback port for the host, or a unix socket for the machines' router. */
export type Place = { readonly port: number } | { readonly socket: string };

/** Serves HTTP at one place, until closed. A unix socket left by a crash is replaced. */
export async function listen(
  place: Place,
  handler: Handler,
  log: (line: string) => void,
  interruptions?: Interruptions,
): Promise<Server> {
  const fromMachine = "socket" in place;
  const server = createServer((incoming, outgoing) => {
    serve(incoming, outgoing, fromMachine, handler, interruptions).catch((error: unknown) => {
      // A machine that goes away in the middle of a download is no fault of ours.
      if (isGone(error)) return;
      log(`server: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      if (!outgoing.headersSent) outgoing.writeHead(500);
      outgoing.end();
    });
  });
  server.keepAliveTimeout = 60_000;
  if (fromMachine) rmSync(place.socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    const ready = (): void => {
      server.removeListener("error", reject);
      resolve();
    };
    if (fromMachine) server.listen(place.socket, ready);
    else server.listen(place.port, "127.0.0.1", ready);
  });
  // The router's proxy need not be root.
  if (fromMachine) chmodSync(place.socket, 0o666);
  return server;
}

/** Stops serving at once, open connections included. */
export async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
}
