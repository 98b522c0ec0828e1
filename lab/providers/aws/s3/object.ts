import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import type { ServerSideEncryption, StorageClass } from "@aws-sdk/client-s3";

import { archive, flag, map, text, type InputsOf, type Problem } from "../../shared/schema.ts";
import { Archive, Asset, type Values } from "../../shared/value.ts";
import { awsResource, fromTagList, textOf, toTagList } from "../awsResource.ts";
import type { Aws } from "../environment.ts";
import { unlessMissing } from "../waiting.ts";

const fields = {
  bucket: text({ required: true, replaces: true }),
  key: text({ required: true, replaces: true }),
  source: archive(),
  content: text(),
  contentBase64: text(),
  contentType: text(),
  cacheControl: text(),
  sourceHash: text(),
  serverSideEncryption: text(),
  kmsKeyId: text(),
  storageClass: text(),
  metadata: map(text()),
  forceDestroy: flag(),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.s3.BucketObjectv2 */
export const bucketObject = awsResource({
  type: "aws:s3/bucketObjectv2:BucketObjectv2",
  fields,
  computed: ["arn", "etag", "versionId", "serverSideEncryption", "contentType"],
  normalize: (inputs) => ({ forceDestroy: false, ...inputs }),
  validate,
  unsettles: (changed) => ([...changed].some((key) => key !== "tags") ? ["etag", "versionId"] : []),
  missing: ["NoSuchKey", "NotFound", "NoSuchBucket"],
  retag: async (aws, id, { set, unset }, state) => {
    const before = (state["tagsAll"] ?? {}) as Record<string, string>;
    const kept = Object.entries(before).filter(([name]) => !unset.includes(name));
    await (
      await aws.s3()
    ).putObjectTagging({
      ...locate(id, state),
      Tagging: { TagSet: toTagList({ ...Object.fromEntries(kept), ...set }) },
    });
  },
  create: async (inputs, { aws, tags }) => {
    await put(aws, inputs, tags);
    return `${inputs.bucket}/${inputs.key}`;
  },
  read: async (id, state, aws) => {
    const s3 = await aws.s3();
    const place = locate(id, state);
    const found = await s3.headObject(place);
    const tags = await unlessMissing(["NoSuchTagSet"], () => s3.getObjectTagging(place));
    return {
      arn: `arn:${aws.partition}:s3:::${place.Bucket}/${place.Key}`,
      bucket: place.Bucket,
      key: place.Key,
      contentType: found.ContentType,
      etag: found.ETag?.replaceAll('"', ""),
      versionId: found.VersionId ?? "",
      serverSideEncryption: found.ServerSideEncryption,
      tagsAll: fromTagList(tags?.TagSet),
    };
  },
  update: async ({ news, changed }, { aws, tags }) => {
    if ([...changed].some((key) => key !== "tags" && key !== "forceDestroy")) {
      await put(aws, news, tags);
    }
  },
  remove: async (id, state, { aws }) => {
    const { Bucket, Key } = locate(id, state);
    const s3 = await aws.s3();
    const versioned = textOf(state, "versionId") !== "";
    if (!versioned) {
      await s3.deleteObject({ Bucket, Key });
      return;
    }
    // The real provider takes every version with it.
    const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions({
      Bucket,
      Prefix: Key,
    });
    for (const version of [...Versions, ...DeleteMarkers]) {
      if (version.Key === Key) {
        await s3.deleteObject({ Bucket, Key, VersionId: version.VersionId });
      }
    }
  },
});

function validate(inputs: Values): Problem[] {
  const given = ["source", "content", "contentBase64"].filter((key) => inputs[key] !== undefined);
  return given.length <= 1
    ? []
    : [{ path: given[1] ?? "", reason: `conflicts with ${given[0]}: give one of them` }];
}

function locate(id: string, state: Values): { Bucket: string; Key: string } {
  const [first = "", ...rest] = id.split("/");
  return {
    Bucket: textOf(state, "bucket") || first,
    Key: textOf(state, "key") || rest.join("/"),
  };
}

async function put(
  aws: Aws,
  inputs: Inputs,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  await (
    await aws.s3()
  ).putObject({
    Bucket: inputs.bucket,
    Key: inputs.key,
    ContentType: inputs.contentType,
    CacheControl: inputs.cacheControl,
    Metadata: inputs.metadata && { ...inputs.metadata },
    ServerSideEncryption: (inputs.serverSideEncryption ??
      (inputs.kmsKeyId === undefined ? undefined : "aws:kms")) as ServerSideEncryption | undefined,
    SSEKMSKeyId: inputs.kmsKeyId,
    StorageClass: inputs.storageClass as StorageClass | undefined,
    ...(Object.keys(tags).length === 0
      ? {}
      : { Tagging: new URLSearchParams({ ...tags }).toString() }),
    ...(await body(inputs)),
  });
}

/** The content. A file is streamed: the artifacts are bigger than what one wants in memory. */
async function body(inputs: Inputs) {
  const { source } = inputs;
  if (source === undefined) {
    const bytes =
      inputs.contentBase64 === undefined
        ? Buffer.from(inputs.content ?? "")
        : Buffer.from(inputs.contentBase64, "base64");
    return { Body: bytes, ContentLength: bytes.length };
  }
  if (source instanceof Asset && source.text !== undefined) {
    const bytes = Buffer.from(source.text);
    return { Body: bytes, ContentLength: bytes.length };
  }
  const path = pathOf(source);
  const { size } = await stat(path);
  return { Body: createReadStream(path), ContentLength: size };
}

function pathOf(source: Asset | Archive): string {
  if (source.path !== undefined) {
    return source.path;
  }
  if (source.uri?.startsWith("file://") === true) {
    return fileURLToPath(source.uri);
  }
  throw new Error(
    `the lab reaches nothing outside: give the file of ${source.uri ?? "this asset"} by its path`,
  );
}
