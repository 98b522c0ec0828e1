import type {
  BucketVersioningStatus,
  ExpirationStatus,
  LifecycleRule,
  LifecycleRuleFilter,
  ObjectOwnership,
  S3,
  ServerSideEncryption,
} from "@aws-sdk/client-s3";

import {
  flag,
  list,
  map,
  number,
  object,
  text,
  type Fields,
  type InputsOf,
} from "../../shared/schema.ts";
import { awsResource, textOf, type Loose } from "../awsResource.ts";

const bucketField = { bucket: text({ required: true, replaces: true }) } as const;

/** One setting of a bucket: it is put as a whole, and its id is the bucket's name. */
interface Setting<F extends Fields> {
  readonly type: string;
  readonly fields: F;
  readonly missing: readonly string[];
  put(s3: S3, bucket: string, inputs: InputsOf<F>): Promise<unknown>;
  get(s3: S3, bucket: string): Promise<Loose | undefined>;
  remove(s3: S3, bucket: string): Promise<unknown>;
}

function setting<F extends Fields>(one: Setting<F>) {
  return awsResource<F & typeof bucketField>({
    type: one.type,
    fields: { ...one.fields, ...bucketField },
    computed: [],
    missing: ["NoSuchBucket", ...one.missing],
    // S3 refuses a change of a bucket while another one is under way.
    busy: { codes: ["OperationAborted"], seconds: 60 },
    create: async (inputs, { aws }) => {
      const { bucket } = inputs as unknown as { bucket: string };
      await one.put(await aws.s3(), bucket, inputs as unknown as InputsOf<F>);
      return bucket;
    },
    read: async (id, _state, aws) => {
      const found = await one.get(await aws.s3(), id);
      return found && { bucket: id, ...found };
    },
    update: async ({ id, news }, { aws }) => {
      await one.put(await aws.s3(), id, news as unknown as InputsOf<F>);
    },
    remove: async (id, state, { aws }) => {
      await one.remove(await aws.s3(), textOf(state, "bucket") || id);
    },
  });
}

/** aws.s3.BucketVersioning */
const versioning = setting({
  type: "aws:s3/bucketVersioning:BucketVersioning",
  fields: {
    versioningConfiguration: object(
      { status: text({ required: true }), mfaDelete: text() },
      { required: true },
    ),
  },
  missing: [],
  put: (s3, Bucket, inputs) =>
    s3.putBucketVersioning({
      Bucket,
      VersioningConfiguration: {
        Status: inputs.versioningConfiguration.status as BucketVersioningStatus,
      },
    }),
  get: async (s3, Bucket) => {
    const { Status } = await s3.getBucketVersioning({ Bucket });
    return Status && { versioningConfiguration: { status: Status } };
  },
  remove: (s3, Bucket) =>
    s3.putBucketVersioning({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
});

/** aws.s3.BucketServerSideEncryptionConfiguration */
const encryption = setting({
  type: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  fields: {
    rules: list(
      object({
        applyServerSideEncryptionByDefault: object({
          sseAlgorithm: text({ required: true }),
          kmsMasterKeyId: text(),
        }),
        bucketKeyEnabled: flag(),
      }),
      { required: true },
    ),
  },
  missing: ["ServerSideEncryptionConfigurationNotFoundError"],
  put: (s3, Bucket, inputs) =>
    s3.putBucketEncryption({
      Bucket,
      ServerSideEncryptionConfiguration: {
        Rules: inputs.rules.map((rule) => ({
          BucketKeyEnabled: rule.bucketKeyEnabled,
          ApplyServerSideEncryptionByDefault: rule.applyServerSideEncryptionByDefault && {
            SSEAlgorithm: rule.applyServerSideEncryptionByDefault
              .sseAlgorithm as ServerSideEncryption,
            KMSMasterKeyID: rule.applyServerSideEncryptionByDefault.kmsMasterKeyId,
          },
        })),
      },
    }),
  get: async (s3, Bucket) => {
    const { ServerSideEncryptionConfiguration } = await s3.getBucketEncryption({ Bucket });
    return {
      rules: (ServerSideEncryptionConfiguration?.Rules ?? []).map((rule) => {
        const standard = rule.ApplyServerSideEncryptionByDefault;
        return {
          applyServerSideEncryptionByDefault: {
            sseAlgorithm: standard?.SSEAlgorithm ?? "",
            ...(standard?.KMSMasterKeyID === undefined
              ? {}
              : { kmsMasterKeyId: standard.KMSMasterKeyID }),
          },
          bucketKeyEnabled: rule.BucketKeyEnabled ?? false,
        };
      }),
    };
  },
  remove: (s3, Bucket) => s3.deleteBucketEncryption({ Bucket }),
});

/** aws.s3.BucketPublicAccessBlock */
const publicAccessBlock = setting({
  type: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  fields: {
    blockPublicAcls: flag(),
    blockPublicPolicy: flag(),
    ignorePublicAcls: flag(),
    restrictPublicBuckets: flag(),
  },
  missing: ["NoSuchPublicAccessBlockConfiguration"],
  put: (s3, Bucket, inputs) =>
    s3.putPublicAccessBlock({
      Bucket,
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: inputs.blockPublicAcls ?? false,
        BlockPublicPolicy: inputs.blockPublicPolicy ?? false,
        IgnorePublicAcls: inputs.ignorePublicAcls ?? false,
        RestrictPublicBuckets: inputs.restrictPublicBuckets ?? false,
      },
    }),
  get: async (s3, Bucket) => {
    const { PublicAccessBlockConfiguration: found } = await s3.getPublicAccessBlock({ Bucket });
    return {
      blockPublicAcls: found?.BlockPublicAcls,
      blockPublicPolicy: found?.BlockPublicPolicy,
      ignorePublicAcls: found?.IgnorePublicAcls,
      restrictPublicBuckets: found?.RestrictPublicBuckets,
    };
  },
  remove: (s3, Bucket) => s3.deletePublicAccessBlock({ Bucket }),
});

/** aws.s3.BucketOwnershipControls */
const ownershipControls = setting({
  type: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  fields: { rule: object({ objectOwnership: text({ required: true }) }, { required: true }) },
  missing: ["OwnershipControlsNotFoundError"],
  put: (s3, Bucket, inputs) =>
    s3.putBucketOwnershipControls({
      Bucket,
      OwnershipControls: {
        Rules: [{ ObjectOwnership: inputs.rule.objectOwnership as ObjectOwnership }],
      },
    }),
  get: async (s3, Bucket) => {
    const { OwnershipControls } = await s3.getBucketOwnershipControls({ Bucket });
    const found = OwnershipControls?.Rules?.[0]?.ObjectOwnership;
    return found && { rule: { objectOwnership: found } };
  },
  remove: (s3, Bucket) => s3.deleteBucketOwnershipControls({ Bucket }),
});

/** aws.s3.BucketPolicy */
const policy = setting({
  type: "aws:s3/bucketPolicy:BucketPolicy",
  fields: { policy: text({ required: true }) },
  missing: ["NoSuchBucketPolicy"],
  put: (s3, Bucket, inputs) => s3.putBucketPolicy({ Bucket, Policy: inputs.policy }),
  get: async (s3, Bucket) => ({ policy: (await s3.getBucketPolicy({ Bucket })).Policy }),
  remove: (s3, Bucket) => s3.deleteBucketPolicy({ Bucket }),
});

const ruleFields = {
  id: text({ required: true }),
  status: text({ required: true }),
  filter: object({
    prefix: text(),
    and: object({ prefix: text(), tags: map(text()) }),
  }),
  expiration: object({ days: number(), expiredObjectDeleteMarker: flag() }),
  noncurrentVersionExpiration: object({
    noncurrentDays: number(),
    newerNoncurrentVersions: number(),
  }),
  abortIncompleteMultipartUpload: object({ daysAfterInitiation: number() }),
} as const;

/** aws.s3.BucketLifecycleConfiguration */
const lifecycle = setting({
  type: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  fields: { rules: list(object(ruleFields), { required: true }) },
  missing: ["NoSuchLifecycleConfiguration"],
  put: (s3, Bucket, inputs) =>
    s3.putBucketLifecycleConfiguration({
      Bucket,
      LifecycleConfiguration: { Rules: inputs.rules.map(lifecycleRule) },
    }),
  get: async (s3, Bucket) => {
    const { Rules = [] } = await s3.getBucketLifecycleConfiguration({ Bucket });
    // Enough to see that somebody has taken rules away or added some.
    return { ruleIds: Rules.map(({ ID }) => ID ?? "") };
  },
  remove: (s3, Bucket) => s3.deleteBucketLifecycle({ Bucket }),
});

function lifecycleRule(rule: InputsOf<typeof ruleFields>): LifecycleRule {
  const {
    expiration,
    noncurrentVersionExpiration: noncurrent,
    abortIncompleteMultipartUpload,
  } = rule;
  return {
    ID: rule.id,
    Status: rule.status as ExpirationStatus,
    Filter: lifecycleFilter(rule.filter),
    Expiration: expiration && {
      Days: expiration.days,
      ExpiredObjectDeleteMarker: expiration.expiredObjectDeleteMarker,
    },
    NoncurrentVersionExpiration: noncurrent && {
      NoncurrentDays: noncurrent.noncurrentDays,
      NewerNoncurrentVersions: noncurrent.newerNoncurrentVersions,
    },
    AbortIncompleteMultipartUpload: abortIncompleteMultipartUpload && {
      DaysAfterInitiation: abortIncompleteMultipartUpload.daysAfterInitiation,
    },
  };
}

function lifecycleFilter(filter: InputsOf<typeof ruleFields>["filter"]): LifecycleRuleFilter {
  const { and } = filter ?? {};
  return and === undefined
    ? { Prefix: filter?.prefix ?? "" }
    : {
        And: {
          ...(and.prefix === undefined ? {} : { Prefix: and.prefix }),
          Tags: Object.entries(and.tags ?? {}).map(([Key, Value]) => ({ Key, Value })),
        },
      };
}

/** Everything that is set on a bucket from beside it. */
export const bucketSettings = [
  versioning,
  encryption,
  publicAccessBlock,
  ownershipControls,
  policy,
  lifecycle,
];
