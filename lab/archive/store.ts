import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Upstream } from "./upstream.ts";

/** How long the archive may say nothing. */
const silenceMs = 30_000;

/** Paths of Debian's archive, and nothing that a file system would understand differently. */
const wellFormed =
  /^(debian|debian-security)\/(dists|pool)(\/[A-Za-z0-9+~:=@_-][A-Za-z0-9.+~:=@_-]*)+$/;

/** The path that a request's target names below the archive; undefined for what no archive has. */
export function archivePath(target: string): string | undefined {
  try {
    const path = decodeURIComponent(target.replace(/\?.*$/, "")).slice(1);
    return wellFormed.test(path) ? path : undefined;
  } catch {
    return undefined;
  }
}

/** Whether what is under a path never changes: packages carry their version, `by-hash` the content's own hash. */
export function isImmutable(path: string): boolean {
  return path.includes("/pool/") || path.includes("/by-hash/");
}

/**
 * Debian's archive as far as anybody has asked for it, in a folder. What cannot change is fetched once. Of the rest, the newest is
 * fetched each time, and the last one kept for when the archive cannot be reached. apt checks signatures and hashes, so nothing here
 * has to be trusted. Files appear under their names only when they are complete, so several labs may share a folder.
 */
export class ArchiveStore {
  readonly #folder: string;
  readonly #upstream: () => Promise<Upstream>;
  readonly #log: (line: string) => void;
  readonly #underWay = new Map<string, Promise<string | undefined>>();
  #found: Promise<Upstream> | undefined;

  /** `upstream` is asked when something is to be fetched for the first time. */
  constructor(folder: string, upstream: () => Promise<Upstream>, log: (line: string) => void) {
    this.#folder = folder;
    this.#upstream = upstream;
    this.#log = log;
  }

  /**
   * The file with what is at a path; undefined when the archive has nothing there.
   *
   * @throws when the archive cannot be asked and nothing is kept
   */
  async file(path: string): Promise<string | undefined> {
    const file = join(this.#folder, path);
    if (isImmutable(path) && existsSync(file)) return file;
    // Machines that boot together ask for the same packages together.
    let fetching = this.#underWay.get(path);
    if (fetching === undefined) {
      fetching = this.#fetch(path, file).finally(() => this.#underWay.delete(path));
      this.#underWay.set(path, fetching);
    }
    return fetching;
  }

  async #fetch(path: string, file: string): Promise<string | undefined> {
    const part = `${file}.${process.pid}.new`;
    try {
      const address = await this.#addressOf(path);
      const response = await get(address.url, address.proxy);
      if (response.statusCode === 404) {
        response.resume();
        return undefined;
      }
      if (response.statusCode !== 200) {
        response.resume();
        throw new Error(`${address.url.href} answers ${response.statusCode ?? "nothing"}`);
      }
      mkdirSync(dirname(file), { recursive: true });
      await pipeline(response, createWriteStream(part));
      renameSync(part, file);
    } catch (error) {
      rmSync(part, { force: true });
      if (!existsSync(file)) throw error;
      this.#log(`archive: ${path} as it was last fetched, because of: ${String(error)}`);
    }
    return file;
  }

  async #addressOf(path: string): Promise<{ url: URL; proxy: string | undefined }> {
    this.#found ??= this.#upstream();
    const { archive, security, proxy } = await this.#found;
    const [first = "", ...rest] = path.split("/");
    const base = first === "debian" ? archive : security;
    return { url: new URL(`${base}/${rest.map(encodeURIComponent).join("/")}`), proxy };
  }
}

/** The head of an answer. A body that ends early is an error of the stream. */
async function get(url: URL, proxy: string | undefined): Promise<IncomingMessage> {
  const proxyEnv = proxy === undefined ? {} : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
  const secure = url.protocol === "https:";
  const agent = secure ? new https.Agent({ proxyEnv }) : new http.Agent({ proxyEnv });
  return new Promise((resolve, reject) => {
    const request = (secure ? https : http).get(url, { agent }, resolve);
    request.setTimeout(silenceMs, () => {
      request.destroy(new Error(`${url.href} said nothing for ${silenceMs / 1000} s`));
    });
    request.once("error", reject);
  });
}
