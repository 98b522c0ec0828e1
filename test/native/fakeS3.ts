import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { S3Client } from "@aws-sdk/client-s3";

/** S3 as far as the agent needs it, on loopback: conditional puts, ETags, listings by prefix, and faults on demand. */
export class FakeS3 {
  readonly objects = new Map<string, Buffer>();
  /** Keys that were put, in order. */
  readonly puts: string[] = [];
  /** Answers these keys with 503. */
  refuse: (key: string) => boolean = () => false;
  #server: Server | undefined;
  #client: S3Client | undefined;

  /** Starts to listen. */
  async start(): Promise<void> {
    const server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    this.#server = server;
    this.#client = new S3Client({
      region: "eu-central-1",
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      forcePathStyle: true,
      credentials: { accessKeyId: "test", secretAccessKey: "test" },
      maxAttempts: 1,
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    });
  }

  /** A client of it. */
  get client(): S3Client {
    if (this.#client === undefined) throw new Error("not started");
    return this.#client;
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#client?.destroy();
    this.#server?.closeAllConnections();
    this.#server?.close();
    if (this.#server !== undefined) await once(this.#server, "close");
  }

  /** An object as JSON. */
  json(key: string): unknown {
    const bytes = this.objects.get(key);
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString()) as unknown);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://s3");
    const key = decodeURIComponent(url.pathname.split("/").slice(2).join("/"));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (this.refuse(key)) {
      fail(response, 503, "SlowDown");
    } else if (request.method === "PUT") {
      this.#put(key, Buffer.concat(chunks), request, response);
    } else if (key === "") {
      this.#list(url, response);
    } else {
      this.#get(key, response);
    }
  }

  #put(key: string, body: Buffer, { headers }: IncomingMessage, response: ServerResponse): void {
    const now = this.objects.get(key);
    const { "if-match": match, "if-none-match": none } = headers;
    if (
      (none === "*" && now !== undefined) ||
      (match !== undefined && (now === undefined || etagOf(now) !== match))
    ) {
      fail(response, 412, "PreconditionFailed");
      return;
    }
    this.objects.set(key, body);
    this.puts.push(key);
    response.setHeader("ETag", etagOf(body)).end();
  }

  #get(key: string, response: ServerResponse): void {
    const body = this.objects.get(key);
    if (body === undefined) {
      fail(response, 404, "NoSuchKey");
      return;
    }
    response.setHeader("ETag", etagOf(body)).setHeader("Content-Length", body.length).end(body);
  }

  #list(url: URL, response: ServerResponse): void {
    const prefix = url.searchParams.get("prefix") ?? "";
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    const contents = keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join("");
    response
      .setHeader("Content-Type", "application/xml")
      .end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
  }
}

const etagOf = (body: Buffer): string => `"${createHash("md5").update(body).digest("hex")}"`;

function fail(response: ServerResponse, status: number, code: string): void {
  response.statusCode = status;
  response
    .setHeader("Content-Type", "application/xml")
    .end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`);
}
