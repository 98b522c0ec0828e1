import { keyForAlarms } from "./alarmPolicies";
import { expiryTag, storage } from "./storage";

/**
 * IAM documents as plain data. A machine's role names every action (no wildcard action) and, wherever AWS knows resource-level
 * permissions for that action, the one thing it may be done to. Nothing allows a deletion in the bucket.
 */

/** One statement of a policy document. */
export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow" | "Deny";
  readonly Principal?: string | Readonly<Record<string, string>>;
  readonly Action: string | readonly string[];
  /** Absent only in trust policies, where the role itself is meant. */
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

/** A policy document; render it with canonicalJson. */
export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly Statement[];
}

/** Where the documents apply. */
export interface Scope {
  /** `aws`, `aws-cn` or `aws-us-gov`. */
  readonly partition: string;
  readonly region: string;
  readonly accountId: string;
  readonly cluster: string;
}

/** CloudWatch namespace of all metrics. */
export const metricNamespace = "EtcdCluster";

/** What a member's role may touch. */
export interface MemberScope extends Scope {
  readonly member: string;
  readonly zone: string;
  readonly bucketArn: string;
  readonly keyArn: string;
}

/** Tags by which IAM conditions and the operator's scripts recognise what belongs to a cluster and a member. */
export const identityTags = {
  cluster: "etcd-cluster:cluster",
  member: "etcd-cluster:member",
} as const;

const policy = (...statements: readonly Statement[]): PolicyDocument => ({
  Version: "2012-10-17",
  Statement: statements,
});

/** Lets EC2 machines, and nothing else, take a role. */
export function machineTrustPolicy(): PolicyDocument {
  return policy({
    Sid: "MachinesOnly",
    Effect: "Allow",
    Principal: { Service: "ec2.amazonaws.com" },
    Action: "sts:AssumeRole",
  });
}

/** Host name under which a service calls KMS for its caller. */
function via(service: string, scope: Scope): string {
  const suffix = scope.partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return `${service}.${scope.region}.${suffix}`;
}

function ownSecrets(scope: Scope, owner: string): Statement {
  return {
    Sid: "ReadOwnSecrets",
    Effect: "Allow",
    Action: "ssm:GetParameter",
    Resource: `arn:${scope.partition}:ssm:${scope.region}:${scope.accountId}:parameter/${scope.cluster}/${owner}/*`,
  };
}

function bucketStatements(scope: MemberScope): Statement[] {
  const at = (key: string): string => `${scope.bucketArn}/${key}`;
  const { member } = scope;
  return [
    {
      Sid: "ReadArtifactsAndState",
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: [
        at(storage.artifact("*")),
        at(storage.config(member, "*")),
        at(storage.approved(member)),
        at("control/*"),
        at("backups/*"),
      ],
    },
    {
      // Without it, S3 answers 403 for what does not exist, and "absent" could not be told from "refused". No condition on the
      // prefix: a request for an object has none, so that it would take this back.
      Sid: "TellAbsentFromRefused",
      Effect: "Allow",
      Action: "s3:ListBucket",
      Resource: scope.bucketArn,
    },
    {
      // A record that was deleted is not absent: its versions tell.
      Sid: "SeeWhetherTheRecordEverWas",
      Effect: "Allow",
      Action: "s3:ListBucketVersions",
      Resource: scope.bucketArn,
      Condition: { StringLike: { "s3:prefix": "control/*" } },
    },
    {
      Sid: "MoveOwnApprovedPointer",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: at(storage.approved(member)),
    },
    {
      Sid: "CreateTheRecord",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: at(storage.record),
      Condition: { Null: { "s3:if-none-match": "false" } },
    },
    {
      Sid: "ChangeTheRecordAsRead",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: at(storage.record),
      Condition: { Null: { "s3:if-match": "false" } },
    },
    {
      // Reports are replaced as they change; the bucket's policy makes that conditional as well.
      Sid: "ReportForItself",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: at(storage.report(member)),
    },
    {
      Sid: "CreateOnly",
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: [
        at(`control/attestations/*/${member}.json`),
        at(storage.source("*")),
        at(`${storage.backups(member)}*`),
      ],
      Condition: { Null: { "s3:if-none-match": "false" } },
    },
    {
      // Deletes nothing: the bucket's lifecycle expires what bears the tag, some days after it was made.
      Sid: "LetOwnOldBackupsExpire",
      Effect: "Allow",
      Action: "s3:PutObjectTagging",
      Resource: at(`${storage.backups(member)}*`),
      Condition: {
        StringEquals: { [`s3:RequestObjectTag/${expiryTag.key}`]: expiryTag.value },
        "ForAllValues:StringEquals": { "s3:RequestObjectTagKeys": expiryTag.key },
      },
    },
  ];
}

function volumeStatements(scope: MemberScope): Statement[] {
  const ec2 = `arn:${scope.partition}:ec2:${scope.region}:${scope.accountId}`;
  const ownTags = {
    [`aws:ResourceTag/${identityTags.cluster}`]: scope.cluster,
    [`aws:ResourceTag/${identityTags.member}`]: scope.member,
  };
  return [
    {
      // EC2 knows no resource-level permissions for descriptions.
      Sid: "Look",
      Effect: "Allow",
      Action: "ec2:DescribeVolumes",
      Resource: "*",
      Condition: { StringEquals: { "aws:RequestedRegion": scope.region } },
    },
    {
      Sid: "AttachOwnVolume",
      Effect: "Allow",
      Action: ["ec2:AttachVolume", "ec2:DetachVolume"],
      Resource: `${ec2}:volume/*`,
      Condition: { StringEquals: ownTags },
    },
    {
      Sid: "AttachToOwnMachine",
      Effect: "Allow",
      Action: ["ec2:AttachVolume", "ec2:DetachVolume"],
      Resource: `${ec2}:instance/*`,
      Condition: { StringEquals: ownTags },
    },
    {
      // When another machine is to take its place: each member ends its own, when it is its turn.
      Sid: "EndOwnMachine",
      Effect: "Allow",
      Action: "ec2:TerminateInstances",
      Resource: `${ec2}:instance/*`,
      Condition: { StringEquals: ownTags },
    },
    {
      // Only when the recorded volume no longer exists; the agent decides that, IAM limits what can come of it.
      Sid: "CreateReplacementVolume",
      Effect: "Allow",
      Action: "ec2:CreateVolume",
      Resource: `${ec2}:volume/*`,
      Condition: {
        StringEquals: {
          [`aws:RequestTag/${identityTags.cluster}`]: scope.cluster,
          [`aws:RequestTag/${identityTags.member}`]: scope.member,
          "ec2:AvailabilityZone": scope.zone,
          "ec2:VolumeType": "gp3",
        },
        Bool: { "ec2:Encrypted": "true" },
        ArnEquals: { "ec2:KmsKeyId": scope.keyArn },
      },
    },
    {
      Sid: "TagReplacementVolumeAtCreation",
      Effect: "Allow",
      Action: "ec2:CreateTags",
      Resource: `${ec2}:volume/*`,
      Condition: {
        StringEquals: {
          "ec2:CreateAction": "CreateVolume",
          [`aws:RequestTag/${identityTags.cluster}`]: scope.cluster,
          [`aws:RequestTag/${identityTags.member}`]: scope.member,
        },
      },
    },
  ];
}

/** Reads what a service has encrypted with the cluster's key, by no other way than through that service. */
function decryption(scope: Scope, keyArn: string, ...services: readonly string[]): Statement {
  return {
    Sid: "DecryptThroughServices",
    Effect: "Allow",
    Action: "kms:Decrypt",
    Resource: keyArn,
    Condition: { StringEquals: { "kms:ViaService": services.map((name) => via(name, scope)) } },
  };
}

/** The role of one member's machines: its own volume, its own secrets, its own prefixes, and conditional puts on the record. */
export function memberRolePolicy(scope: MemberScope): PolicyDocument {
  return policy(
    ...bucketStatements(scope),
    ownSecrets(scope, scope.member),
    ...volumeStatements(scope),
    decryption(scope, scope.keyArn, "s3", "ssm"),
    {
      Sid: "EncryptObjects",
      Effect: "Allow",
      Action: "kms:GenerateDataKey",
      Resource: scope.keyArn,
      Condition: { StringEquals: { "kms:ViaService": via("s3", scope) } },
    },
    {
      // CloudWatch knows no resource-level permissions for metrics.
      Sid: "PublishMetrics",
      Effect: "Allow",
      Action: "cloudwatch:PutMetricData",
      Resource: "*",
      Condition: { StringEquals: { "cloudwatch:namespace": metricNamespace } },
    },
    {
      Sid: "OpenOwnEncryptedVolume",
      Effect: "Allow",
      Action: ["kms:DescribeKey", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext"],
      Resource: scope.keyArn,
      Condition: { StringEquals: { "kms:ViaService": via("ec2", scope) } },
    },
    {
      // EC2 keeps an encrypted volume readable for the machine by a grant, made in the name of whoever attaches it.
      Sid: "GrantTheKeyToAttachedVolumes",
      Effect: "Allow",
      Action: "kms:CreateGrant",
      Resource: scope.keyArn,
      Condition: {
        Bool: { "kms:GrantIsForAWSResource": "true" },
        StringEquals: { "kms:ViaService": via("ec2", scope) },
      },
    },
  );
}

/** The role of the bastion: its own SSH host key, nothing else. */
export function bastionRolePolicy(scope: Scope & { readonly keyArn: string }): PolicyDocument {
  return policy(ownSecrets(scope, "bastion"), decryption(scope, scope.keyArn, "ssm"));
}

/**
 * The key's policy. Machines use the key by their roles; the auto scaling service must be admitted here, because it launches
 * machines with encrypted root disks under its service-linked role, whose own policy knows nothing of KMS.
 */
export function keyPolicy(
  scope: Pick<Scope, "partition" | "accountId">,
  alarmsOf?: Pick<Scope, "region" | "cluster">,
): PolicyDocument {
  // By condition instead of as principal: KMS refuses a principal that does not exist, and an account which never had an auto
  // scaling group has no such role yet.
  const scaling = {
    StringEquals: { "kms:CallerAccount": scope.accountId },
    ArnEquals: {
      "aws:PrincipalArn": `arn:${scope.partition}:iam::${scope.accountId}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
    },
  };
  return policy(
    {
      Sid: "AccountDecidesByIam",
      Effect: "Allow",
      Principal: { AWS: `arn:${scope.partition}:iam::${scope.accountId}:root` },
      Action: "kms:*",
      Resource: "*",
    },
    {
      Sid: "AutoScalingLaunchesEncrypted",
      Effect: "Allow",
      Principal: { AWS: "*" },
      Action: [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
      ],
      Resource: "*",
      Condition: scaling,
    },
    {
      Sid: "AutoScalingGrantsToDisks",
      Effect: "Allow",
      Principal: { AWS: "*" },
      Action: "kms:CreateGrant",
      Resource: "*",
      Condition: { ...scaling, Bool: { "kms:GrantIsForAWSResource": "true" } },
    },
    ...(alarmsOf === undefined ? [] : [keyForAlarms({ ...scope, ...alarmsOf })]),
  );
}

/** The bucket's policy: TLS only, nothing under control/ is ever deleted, and whoever writes there says what he believes is there. */
export function bucketPolicy(bucketArn: string): PolicyDocument {
  const control = `${bucketArn}/control/*`;
  return policy(
    {
      Sid: "TlsOnly",
      Effect: "Deny",
      Principal: "*",
      Action: "s3:*",
      Resource: [bucketArn, `${bucketArn}/*`],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      Sid: "NothingUnderControlIsDeleted",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:DeleteObject", "s3:DeleteObjectVersion"],
      Resource: control,
    },
    {
      // Both absent: an unconditional put. Parts of a multipart upload cannot carry conditions; its completion must.
      Sid: "WritesUnderControlAreConditional",
      Effect: "Deny",
      Principal: "*",
      Action: "s3:PutObject",
      Resource: control,
      Condition: {
        Null: { "s3:if-match": "true", "s3:if-none-match": "true" },
        Bool: { "s3:ObjectCreationOperation": "true" },
      },
    },
  );
}
