import type { BucketLocationConstraint } from "@aws-sdk/client-s3";

import { flag, text } from "../../shared/schema.ts";
import { awsResource, completing, fromTagList, textOf, toTagList } from "../awsResource.ts";
import type { Aws } from "../environment.ts";
import { unlessMissing } from "../waiting.ts";

/** aws.s3.Bucket. Its settings are resources of their own; inline ones are refused as unknown. */
export const bucket = awsResource({
  type: "aws:s3/bucket:Bucket",
  fields: { bucket: text({ replaces: true }), forceDestroy: flag() },
  computed: ["arn", "bucketDomainName", "bucketRegionalDomainName", "hostedZoneId"],
  autoname: { field: "bucket", maxLength: 63, lowerCase: true },
  normalize: (inputs) => ({ forceDestroy: false, ...inputs }),
  missing: ["NoSuchBucket", "NotFound"],
  // S3 takes the whole set of tags, so those to put on and take off do not matter one by one.
  retag: async (aws, id, { set, unset }, state) => {
    const before = (state["tagsAll"] ?? {}) as Record<string, string>;
    const kept = Object.entries(before).filter(([key]) => !unset.includes(key));
    const TagSet = toTagList({ ...Object.fromEntries(kept), ...set });
    const s3 = await aws.s3();
    await (TagSet.length === 0
      ? s3.deleteBucketTagging({ Bucket: id })
      : s3.putBucketTagging({ Bucket: id, Tagging: { TagSet } }));
  },
  create: async (inputs, { aws, tags }) => {
    const s3 = await aws.s3();
    const Bucket = inputs.bucket ?? "";
    await s3.createBucket({
      Bucket,
      // S3's oldest region is the one that must not be named.
      ...(aws.region === "us-east-1"
        ? {}
        : {
            CreateBucketConfiguration: {
              LocationConstraint: aws.region as BucketLocationConstraint,
            },
          }),
    });
    return completing(Bucket, async () => {
      if (Object.keys(tags).length > 0) {
        await s3.putBucketTagging({ Bucket, Tagging: { TagSet: toTagList(tags) } });
      }
    });
  },
  read: async (id, _state, aws) => {
    const s3 = await aws.s3();
    await s3.headBucket({ Bucket: id });
    const tags = await unlessMissing(["NoSuchTagSet"], () => s3.getBucketTagging({ Bucket: id }));
    return {
      arn: `arn:${aws.partition}:s3:::${id}`,
      bucket: id,
      bucketDomainName: `${id}.s3.amazonaws.com`,
      bucketRegionalDomainName: `${id}.s3.${aws.region}.amazonaws.com`,
      tagsAll: fromTagList(tags?.TagSet),
    };
  },
  remove: async (id, state, { aws }) => {
    if (state["forceDestroy"] === true) {
      await empty(aws, id);
    }
    await (await aws.s3()).deleteBucket({ Bucket: textOf(state, "bucket") || id });
  },
});

/** Deletes every version of every object. */
async function empty(aws: Aws, Bucket: string): Promise<void> {
  const s3 = await aws.s3();
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await s3.listObjectVersions({ Bucket });
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({
      Key: Key ?? "",
      VersionId,
    }));
    if (Objects.length === 0) {
      return;
    }
    const { Errors = [] } = await s3.deleteObjects({ Bucket, Delete: { Objects, Quiet: true } });
    if (Errors.length > 0) {
      throw new Error(`emptying bucket ${Bucket}: ${Errors[0]?.Key}: ${Errors[0]?.Message}`);
    }
  }
}
