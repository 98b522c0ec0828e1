import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { httpStatus, type AwsClients } from "./aws";
import type { ObjectStore, PutCondition } from "./record";

/** Longest that one file may take. */
const transferMs = 600_000;

/** Longest text that is read into memory; what is longer is not one of ours. */
const textBytes = 4 * 2 ** 20;

/** Pages of a thousand keys: far more than the retention leaves. */
const mostPages = 200;

/** The bucket has something else, or nothing, where these very bytes should be. Trying again does not change that. */
export class WrongContent extends Error {}

/** The bucket, through the machine's role. */
export class Bucket implements ObjectStore {
  readonly #clients: AwsClients;
  readonly #name: string;

  constructor(clients: AwsClients, name: string) {
    this.#clients = clients;
    this.#name = name;
  }

  async get(key: string): Promise<{ text: string; etag: string } | undefined> {
    const { GetObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    try {
      const object = await s3.send(new GetObjectCommand({ Bucket: this.#name, Key: key }));
      if (object.Body === undefined || object.ETag === undefined) {
        throw new Error(`the bucket answered for ${key} without content`);
      }
      if ((object.ContentLength ?? Infinity) > textBytes) {
        throw new WrongContent(
          `${key} has ${object.ContentLength ?? "unknown"} bytes, more than it ever should`,
        );
      }
      return { text: await object.Body.transformToString(), etag: object.ETag };
    } catch (error) {
      if (isAbsent(error)) {
        return undefined;
      }
      throw error;
    }
  }

  async everExisted(key: string): Promise<boolean> {
    const { ListObjectVersionsCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const list = await s3.send(
      new ListObjectVersionsCommand({ Bucket: this.#name, Prefix: key, MaxKeys: 100 }),
    );
    return [...(list.Versions ?? []), ...(list.DeleteMarkers ?? [])].some(({ Key }) => Key === key);
  }

  async put(key: string, text: string, condition: PutCondition): Promise<"done" | "refused"> {
    const { PutObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: this.#name,
          Key: key,
          Body: text,
          ContentType: "application/json",
          ...("ifMatch" in condition
            ? { IfMatch: condition.ifMatch }
            : { IfNoneMatch: condition.ifNoneMatch }),
        }),
      );
      return "done";
    } catch (error) {
      // 412: the condition does not hold. 409: somebody's put is under way; read again and decide anew.
      const status = httpStatus(error);
      if (status === 412 || status === 409) {
        return "refused";
      }
      throw error;
    }
  }

  /** Replaces an object of which this member is the only writer. */
  async replace(key: string, text: string): Promise<void> {
    const { PutObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    await s3.send(
      new PutObjectCommand({ Bucket: this.#name, Key: key, Body: text, ContentType: "text/plain" }),
    );
  }

  /** Creates an object from a file; "refused" when there is one already. With its hash given, S3 checks what it received. */
  async upload(
    key: string,
    file: string,
    about: { readonly sha256?: string; readonly metadata?: Readonly<Record<string, string>> } = {},
  ): Promise<"done" | "refused"> {
    const { PutObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const { size } = await stat(file);
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: this.#name,
          Key: key,
          Body: createReadStream(file),
          ContentLength: size,
          ContentType: "application/octet-stream",
          IfNoneMatch: "*",
          ...(about.metadata === undefined ? {} : { Metadata: about.metadata }),
          ...(about.sha256 === undefined
            ? {}
            : { ChecksumSHA256: Buffer.from(about.sha256, "hex").toString("base64") }),
        }),
        { requestTimeout: transferMs, abortSignal: AbortSignal.timeout(transferMs) },
      );
      return "done";
    } catch (error) {
      if (httpStatus(error) === 412) {
        return "refused";
      }
      throw error;
    }
  }

  /** Downloads an object to a file; what has another hash is not kept. */
  async download(key: string, sha256: string, file: string): Promise<void> {
    const { GetObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const request = new GetObjectCommand({ Bucket: this.#name, Key: key });
    const object = await s3.send(request).catch((error: unknown) => {
      throw isAbsent(error) ? new WrongContent(`${key} does not exist`) : error;
    });
    const hash = createHash("sha256");
    const body = bodyOf(object, key);
    body.on("data", (chunk: Buffer) => hash.update(chunk));
    await pipeline(body, createWriteStream(`${file}.new`), {
      signal: AbortSignal.timeout(transferMs),
    });
    const actual = hash.digest("hex");
    if (actual !== sha256) {
      await rm(`${file}.new`, { force: true });
      throw new WrongContent(`${key} has the hash ${actual}, not ${sha256}`);
    }
    await rename(`${file}.new`, file);
  }

  /** Hash of an object's content, which is not kept. */
  async hashOf(key: string): Promise<string> {
    const { GetObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const object = await s3.send(new GetObjectCommand({ Bucket: this.#name, Key: key }));
    const hash = createHash("sha256");
    await pipeline(bodyOf(object, key), hash, { signal: AbortSignal.timeout(transferMs) });
    return hash.digest("hex");
  }

  /** What was said about an object when it was put. */
  async metadata(key: string): Promise<Readonly<Record<string, string>>> {
    const { HeadObjectCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const head = await s3.send(new HeadObjectCommand({ Bucket: this.#name, Key: key }));
    return head.Metadata ?? {};
  }

  /** Keys that begin with a prefix, in order; only those behind `after`, if that is given. */
  async keys(prefix: string, after?: string): Promise<string[]> {
    const { ListObjectsV2Command } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    const keys: string[] = [];
    let token: string | undefined;
    for (let page = 0; page < mostPages; page += 1) {
      const list = await s3.send(
        new ListObjectsV2Command({
          Bucket: this.#name,
          Prefix: prefix,
          StartAfter: after,
          ContinuationToken: token,
        }),
      );
      keys.push(...(list.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key])));
      token = list.NextContinuationToken;
      if (token === undefined) {
        return keys;
      }
    }
    throw new Error(`the bucket lists more than ${mostPages} pages under ${prefix}`);
  }

  /** Tags an object, and takes all other tags of it away. */
  async tag(key: string, tag: { readonly key: string; readonly value: string }): Promise<void> {
    const { PutObjectTaggingCommand } = await import("./sdkS3.ts");
    const s3 = await this.#clients.s3();
    await s3.send(
      new PutObjectTaggingCommand({
        Bucket: this.#name,
        Key: key,
        Tagging: { TagSet: [{ Key: tag.key, Value: tag.value }] },
      }),
    );
  }
}

function bodyOf({ Body }: { Body?: unknown }, key: string): Readable {
  if (Body === undefined) {
    throw new Error(`the bucket answered for ${key} without content`);
  }
  // In Node a body is always a stream.
  return Body as Readable;
}

/** The role may list, so that S3 says 404 and not 403 for what is not there. */
function isAbsent(error: unknown): boolean {
  return httpStatus(error) === 404 && error instanceof Error && error.name === "NoSuchKey";
}
