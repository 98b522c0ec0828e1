import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

/**
 * As much of AWS as upkeep calls: a metadata service with credentials, one bucket with conditional puts, CloudWatch. In this process,
 * so that a test can spoil what is in it; that signatures and policies are right is proven elsewhere.
 */

/** An object. */
export interface StoredObject {
  body: Buffer;
  readonly metadata: Record<string, string>;
  tags: Record<string, string>;
}

/** One datum as it arrived. */
export interface Datum {
  readonly MetricName: string;
  readonly Value: number;
  readonly Dimensions: readonly { Name: string; Value: string }[];
}

const xml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** The stand-in. */
export class UpkeepCloud {
  readonly objects = new Map<string, StoredObject>();
  /** What was sent to CloudWatch, one entry per call. */
  readonly calls: { readonly Namespace: string; readonly MetricData: readonly Datum[] }[] = [];
  /** S3 answers 503. */
  storeIsDown = false;
  /** Called with the key of each object that was just put, before the answer. */
  stored: ((key: string) => void) | undefined;
  /** Called with the key of each object that is asked for, before the answer. */
  asked: ((key: string) => void) | undefined;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      this.#handle(request, response).catch((error: unknown) => {
        response.writeHead(500).end(String(error));
      });
    });
  }

  /** Starts it; returns where it listens. */
  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return `http://127.0.0.1:${address.port}`;
  }

  /** Stops it. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** Puts an object. */
  put(key: string, body: Buffer | string, metadata: Record<string, string> = {}): void {
    this.objects.set(key, { body: Buffer.from(body), metadata, tags: {} });
  }

  /** Keys of all backups, in the bucket's order. */
  backups(): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith("backups/")).sort();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://localhost");
    if (url.pathname.startsWith("/latest/")) {
      metadata(url.pathname, response);
      return;
    }
    const body = await bodyOf(request);
    if (request.headers["x-amz-target"]?.toString().endsWith(".PutMetricData") === true) {
      this.calls.push(JSON.parse(body.toString()) as (typeof this.calls)[number]);
      response.writeHead(200, { "content-type": "application/x-amz-json-1.0" }).end("{}");
      return;
    }
    if (this.storeIsDown) {
      refuse(response, 503, "ServiceUnavailable");
      return;
    }
    const key = decodeURIComponent(url.pathname.split("/").slice(2).join("/"));
    if (key === "") {
      this.#list(url.searchParams, response);
      return;
    }
    this.#object(key, url.searchParams, request, body, response);
  }

  #list(query: URLSearchParams, response: ServerResponse): void {
    const prefix = query.get("prefix") ?? "";
    const after = query.get("continuation-token") ?? query.get("start-after") ?? "";
    const all = [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix) && key > after)
      .sort();
    // Two keys a page: what pages are for is tried every time.
    const page = all.slice(0, 2);
    const more = all.length > page.length;
    const contents = page.map((key) => `<Contents><Key>${xml(key)}</Key></Contents>`).join("");
    const next = more
      ? `<NextContinuationToken>${xml(page.at(-1) ?? "")}</NextContinuationToken>`
      : "";
    response
      .writeHead(200, { "content-type": "application/xml" })
      .end(
        `<ListBucketResult><IsTruncated>${String(more)}</IsTruncated>${contents}${next}</ListBucketResult>`,
      );
  }

  #object(
    key: string,
    query: URLSearchParams,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): void {
    if (request.method === "GET") this.asked?.(key);
    const found = this.objects.get(key);
    const etag = found && `"${createHash("md5").update(found.body).digest("hex")}"`;
    if (request.method === "PUT" && query.has("tagging")) {
      if (found === undefined) {
        refuse(response, 404, "NoSuchKey");
        return;
      }
      const [, name = "", value = ""] =
        /<Key>(.*?)<\/Key><Value>(.*?)<\/Value>/.exec(body.toString()) ?? [];
      found.tags = { [name]: value };
      response.writeHead(200).end();
      return;
    }
    if (request.method === "PUT") {
      const wanted = request.headers["if-match"];
      if (request.headers["if-none-match"] === "*" && found !== undefined) {
        refuse(response, 412, "PreconditionFailed");
        return;
      }
      if (wanted !== undefined && wanted !== etag) {
        refuse(response, 412, "PreconditionFailed");
        return;
      }
      const sum = request.headers["x-amz-checksum-sha256"];
      if (sum !== undefined && sum !== createHash("sha256").update(body).digest("base64")) {
        refuse(response, 400, "BadDigest");
        return;
      }
      const given = Object.entries(request.headers)
        .filter(([name]) => name.startsWith("x-amz-meta-"))
        .map(([name, value]) => [name.slice("x-amz-meta-".length), String(value)]);
      this.put(key, body, Object.fromEntries(given) as Record<string, string>);
      this.stored?.(key);
      response.writeHead(200, { etag: '"new"' }).end();
      return;
    }
    if (found === undefined) {
      refuse(response, 404, "NoSuchKey");
      return;
    }
    const described = Object.entries(found.metadata).map(([name, value]) => [
      `x-amz-meta-${name}`,
      value,
    ]);
    response.writeHead(200, {
      ...(Object.fromEntries(described) as Record<string, string>),
      etag: etag ?? "",
      "content-length": found.body.length,
    });
    response.end(request.method === "HEAD" ? undefined : found.body);
  }
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response
    .writeHead(status, { "content-type": "application/xml" })
    .end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}

function metadata(path: string, response: ServerResponse): void {
  const answers: Record<string, string> = {
    "/latest/api/token": "token",
    "/latest/meta-data/iam/security-credentials/": "role",
    "/latest/meta-data/instance-id": "i-00000001",
    "/latest/meta-data/iam/security-credentials/role": JSON.stringify({
      AccessKeyId: "ASIATEST",
      SecretAccessKey: "secret",
      Token: "token",
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    }),
  };
  const answer = answers[path];
  response.writeHead(answer === undefined ? 404 : 200).end(answer);
}
