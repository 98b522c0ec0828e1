import { createReadStream, statSync } from "node:fs";
import type { Answer, RawRequest } from "../front/call.ts";
import { archivePath, type ArchiveStore } from "./store.ts";

/** Answers the machines' apt. Nothing is fetched before the first machine asks. */
export async function serveArchive(store: ArchiveStore, request: RawRequest): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") return plain(405, "GET and HEAD only");
  const path = archivePath(request.target);
  if (path === undefined)
    return plain(404, "the lab has Debian's dists and pool, and nothing else");
  let file: string | undefined;
  try {
    file = await store.file(path);
  } catch (error) {
    return plain(502, `this host cannot fetch it: ${String(error)}`);
  }
  if (file === undefined) return plain(404, "Debian's archive has no such file");
  const headers = { "content-length": String(statSync(file).size) };
  if (request.method === "HEAD") return { status: 200, headers, body: Buffer.alloc(0) };
  return { status: 200, headers, body: Buffer.alloc(0), stream: createReadStream(file) };
}

function plain(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain" }, body: Buffer.from(`${text}\n`) };
}
