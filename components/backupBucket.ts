import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import type { Artifact } from "./plan/artifacts";
import { canonicalJson } from "./plan/canonicalJson";
import { bucketPolicy } from "./plan/iamDocuments";
import { expiryTag, storage } from "./plan/storage";

/** What a BackupBucket needs. */
export interface BackupBucketArgs {
  /** Name of the bucket. */
  bucketName: pulumi.Input<string>;
  /** ARN of the key that encrypts what is stored. */
  keyArn: pulumi.Input<string>;
  /** Files the machines fetch, by what they are. */
  artifacts: Readonly<Record<string, Artifact>>;
  /** Age in days at which a backup that its member has marked expires. */
  keepDays: number;
  /** Keeps the bucket and what is in it when the stack is destroyed. */
  deletionProtection: boolean;
  /** Tags of everything that can bear them. */
  tags: Record<string, pulumi.Input<string>>;
}

/** Days after which an overwritten or deleted backup is gone for good. */
const noncurrentDays = 30;

/**
 * The bucket with everything that must outlive the machines:
 *
 * 1. `artifacts/` by hash: etcd, Node and the agent;
 * 2. `config/<member>/`: the members' immutable desired states, and the pointer to the approved one;
 * 3. `backups/`, with a lifecycle of its own;
 * 4. `control/`: the cluster record; nothing there can be deleted, and every write says what it expects to replace.
 *
 * It is versioned, encrypted with the cluster's key, and refuses anything but TLS and all public access.
 */
export class BackupBucket extends pulumi.ComponentResource {
  /** Name of the bucket. It resolves when the bucket is locked down, so that nothing is stored before. */
  readonly bucketName: pulumi.Output<string>;
  /** ARN of the bucket. */
  readonly bucketArn: pulumi.Output<string>;
  /** The uploaded artifacts; a machine cannot boot before they are there. */
  readonly artifacts: aws.s3.BucketObjectv2[];

  constructor(name: string, args: BackupBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:BackupBucket", name, {}, opts);
    const bucket = new aws.s3.Bucket(
      name,
      { bucket: args.bucketName, forceDestroy: !args.deletionProtection, tags: args.tags },
      // A destroyed stack must not take the last copies of the data with it.
      { parent: this, retainOnDelete: args.deletionProtection },
    );
    const guards = this.guards(name, bucket, args);
    this.bucketArn = bucket.arn;
    this.bucketName = pulumi.all(guards.map((guard) => guard.id)).apply(() => bucket.bucket);
    this.artifacts = Object.entries(args.artifacts).map(
      ([what, artifact]) =>
        new aws.s3.BucketObjectv2(
          `${name}-artifact-${what}`,
          {
            bucket: this.bucketName,
            key: storage.artifact(artifact.sha256),
            contentType: "application/octet-stream",
            source:
              artifact.kind === "file"
                ? new pulumi.asset.FileAsset(artifact.path)
                : new pulumi.asset.RemoteAsset(artifact.url),
          },
          // Machines that run an older desired state still boot from the artifacts it names.
          { parent: this, retainOnDelete: true },
        ),
    );
    this.registerOutputs({ bucketName: this.bucketName, bucketArn: this.bucketArn });
  }

  /** Everything that locks the bucket down. */
  private guards(
    name: string,
    bucket: aws.s3.Bucket,
    args: BackupBucketArgs,
  ): pulumi.CustomResource[] {
    const options = { parent: this, retainOnDelete: args.deletionProtection };
    const access = new aws.s3.BucketPublicAccessBlock(
      `${name}-no-public-access`,
      {
        bucket: bucket.bucket,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      options,
    );
    const ownership = new aws.s3.BucketOwnershipControls(
      `${name}-ownership`,
      { bucket: bucket.bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
      options,
    );
    const versioning = new aws.s3.BucketVersioning(
      `${name}-versioning`,
      { bucket: bucket.bucket, versioningConfiguration: { status: "Enabled" } },
      options,
    );
    const encryption = new aws.s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      {
        bucket: bucket.bucket,
        rules: [
          {
            applyServerSideEncryptionByDefault: {
              sseAlgorithm: "aws:kms",
              kmsMasterKeyId: args.keyArn,
            },
            bucketKeyEnabled: true,
          },
        ],
      },
      options,
    );
    const policy = new aws.s3.BucketPolicy(
      `${name}-policy`,
      {
        bucket: bucket.bucket,
        policy: bucket.arn.apply((arn) => canonicalJson(bucketPolicy(arn))),
      },
      // S3 refuses a second change of a bucket's access settings while one is under way.
      { ...options, dependsOn: [access] },
    );
    new aws.s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      {
        bucket: bucket.bucket,
        rules: [
          {
            id: "superseded-backups",
            status: "Enabled",
            // Only here: a rule without a prefix would age the cluster record away.
            filter: { prefix: "backups/" },
            noncurrentVersionExpiration: { noncurrentDays },
            // Of a backup that expired, when its last version is gone.
            expiration: { expiredObjectDeleteMarker: true },
            abortIncompleteMultipartUpload: { daysAfterInitiation: 1 },
          },
          {
            id: "marked-backups",
            status: "Enabled",
            // Only what its own member has marked, never by age alone: an idle or stopped cluster keeps its last backups.
            filter: { and: { prefix: "backups/", tags: { [expiryTag.key]: expiryTag.value } } },
            expiration: { days: args.keepDays },
          },
        ],
      },
      { ...options, dependsOn: [versioning] },
    );
    return [access, ownership, versioning, encryption, policy];
  }
}
