import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { z } from "zod";
import { adminCredentials, frontEndpoint, motoPort } from "../../../lab/paths.ts";

/** What the tests read of the cluster record. */
const recordSchema = z.looseObject({
  clusterUid: z.string(),
  generation: z.number(),
  epoch: z.number(),
  phase: z.string(),
  roster: z.array(z.looseObject({ name: z.string() })),
});

/** The cluster record as the tests see it. */
export type SeenRecord = z.infer<typeof recordSchema>;

const recordKey = "control/cluster.json";

/** A backup, as its key tells it. */
export interface SeenBackup {
  readonly key: string;
  readonly generation: number;
  readonly revision: bigint;
  readonly at: number;
}

const backupPattern =
  /^backups\/m\d+\/g(\d{6})-t\d{10}-i\d{16}-r(\d{16})-(\d{8}T\d{6}Z)-[0-9a-f]{64}\.db$/i;

/** The bucket as its owner sees it, and, where a fault needs it, as only a mishap of the owner could change it. */
export class BucketView {
  readonly #name: string;
  readonly #s3: S3Client;
  /** Past the front, which would enforce the bucket's policy: what a fault does is not asked for permission. */
  readonly #forced: S3Client;

  constructor(region: string, name: string) {
    this.#name = name;
    const options = { region, credentials: adminCredentials, forcePathStyle: true };
    this.#s3 = new S3Client({ ...options, endpoint: frontEndpoint });
    this.#forced = new S3Client({ ...options, endpoint: `http://127.0.0.1:${motoPort}` });
  }

  /** The record as it is now. */
  async record(): Promise<SeenRecord> {
    return recordSchema.parse(JSON.parse(await this.text(recordKey)));
  }

  /** An object's text. */
  async text(key: string): Promise<string> {
    const object = await this.#s3.send(new GetObjectCommand({ Bucket: this.#name, Key: key }));
    return (await object.Body?.transformToString()) ?? "";
  }

  /** Keys below a prefix. */
  async keys(prefix: string): Promise<string[]> {
    const { Contents = [] } = await this.#s3.send(
      new ListObjectsV2Command({ Bucket: this.#name, Prefix: prefix }),
    );
    return Contents.map(({ Key = "" }) => Key);
  }

  /** All backups, the newest last. */
  async backups(): Promise<SeenBackup[]> {
    const found = (await this.keys("backups/")).flatMap((key) => {
      const [, generation, revision, time] = backupPattern.exec(key) ?? [];
      if (generation === undefined || revision === undefined || time === undefined) return [];
      const iso = time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/i, "$1-$2-$3T$4:$5:$6Z");
      return [
        { key, generation: Number(generation), revision: BigInt(revision), at: Date.parse(iso) },
      ];
    });
    return found.sort(
      (one, other) => one.generation - other.generation || Number(one.revision - other.revision),
    );
  }

  /** Deletes the record although nobody may, and answers how to bring back what was there. */
  async deleteRecord(): Promise<() => Promise<void>> {
    const target = { Bucket: this.#name, Key: recordKey };
    await this.#forced.send(new DeleteObjectCommand(target));
    return async () => {
      const { DeleteMarkers = [] } = await this.#forced.send(
        new ListObjectVersionsCommand({ Bucket: this.#name, Prefix: recordKey }),
      );
      const marker = DeleteMarkers.find(({ IsLatest }) => IsLatest === true);
      await this.#forced.send(new DeleteObjectCommand({ ...target, VersionId: marker?.VersionId }));
    };
  }

  /** Replaces an object's content although nobody may: one byte in its middle is another. */
  async corrupt(key: string): Promise<void> {
    const target = { Bucket: this.#name, Key: key };
    const object = await this.#forced.send(new GetObjectCommand(target));
    const bytes = Buffer.from((await object.Body?.transformToByteArray()) ?? []);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
    await this.#forced.send(
      new PutObjectCommand({ ...target, Body: bytes, Metadata: object.Metadata }),
    );
  }
}
