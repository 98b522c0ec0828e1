import { open } from "node:fs/promises";
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
  // Opened once: a newer file may take the name at any moment, and its size would not be this one's.
  const handle = await open(file);
  const headers = { "content-length": String((await handle.stat()).size) };
  if (request.method === "HEAD") {
    await handle.close();
    return { status: 200, headers, body: Buffer.alloc(0) };
  }
  return { status: 200, headers, body: Buffer.alloc(0), stream: handle.createReadStream() };
}

function plain(status: number, text: string): Answer {
  return { status, headers: { "content-type": "text/plain" }, body: Buffer.from(`${text}\n`) };
}
