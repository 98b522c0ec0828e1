import { DescribeTagsCommand, DescribeVolumesCommand } from "@aws-sdk/client-ec2";
import { DescribeParametersCommand } from "@aws-sdk/client-ssm";
import { accountId } from "../../paths.ts";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Group } from "../autoscaling/model.ts";
import type { Records } from "../records.ts";
import { header } from "../signature.ts";
import type { AccessRequest } from "./evaluate.ts";
import type { Policies } from "./policies.ts";

/** Something to be allowed, and the key whose policy has a say as well when it is an action on a key. */
export interface Needed extends AccessRequest {
  readonly keyId?: string;
}

/** What the mapping looks things up in. */
export interface Lookup {
  readonly records: Records;
  readonly policies: Policies;
  readonly group: (region: string, instanceId: string) => Group | undefined;
}

type Context = Record<string, readonly string[]>;

function only(values: Readonly<Record<string, string | undefined>>): Context {
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) =>
      value === undefined ? [] : [[key.toLowerCase(), [value]]],
    ),
  );
}

function tagContext(
  kind: "ResourceTag" | "RequestTag",
  tags: readonly (readonly [string, string])[],
): Context {
  return Object.fromEntries(
    tags.map(([key, value]) => [`aws:${kind}/${key}`.toLowerCase(), [value]]),
  );
}

/** An action on a key that a service takes in its caller's name. */
function keyNeed(
  call: Call,
  action: string,
  keyId: string,
  service: string,
  extra: Context = {},
): Needed {
  const { region } = call;
  const id = keyId.split("/").at(-1) ?? keyId;
  return {
    action,
    resource: `arn:aws:kms:${region}:${accountId}:key/${id}`,
    keyId: id,
    context: {
      ...only({
        "kms:ViaService": `${service}.${region}.amazonaws.com`,
        "kms:CallerAccount": accountId,
      }),
      ...extra,
    },
  };
}

/** What EC2 does with a customer's key when a volume is made or attached. */
export function volumeKeyNeeds(call: Call, keyId: string, attaching: boolean): Needed[] {
  const grant = keyNeed(
    call,
    "kms:CreateGrant",
    keyId,
    "ec2",
    only({ "kms:GrantIsForAWSResource": "true" }),
  );
  return attaching
    ? // EC2's own documentation asks for it; who reads the data key is the machine, by that grant.
      [grant, keyNeed(call, "kms:Decrypt", keyId, "ec2")]
    : [
        grant,
        keyNeed(call, "kms:GenerateDataKeyWithoutPlaintext", keyId, "ec2"),
        keyNeed(call, "kms:DescribeKey", keyId, "ec2"),
      ];
}

async function s3Needs(call: Call, { policies }: Lookup): Promise<Needed[]> {
  const { params, request, operation, region } = call;
  const bucket = params.text("Bucket") ?? "";
  const key = params.text("Key") ?? "";
  const bucketArn = `arn:aws:s3:::${bucket}`;
  const onObject = (action: string, context: Context = {}): Needed => ({
    action,
    resource: `${bucketArn}/${key}`,
    context,
  });
  const onBucket = (action: string): Needed => ({
    action,
    resource: bucketArn,
    context: only({
      "s3:prefix": params.text("prefix"),
      "s3:delimiter": params.text("delimiter"),
      "s3:max-keys": params.text("max-keys"),
    }),
  });
  const put = (creates: boolean): Needed =>
    onObject(
      "s3:PutObject",
      only({
        "s3:if-match": header(request, "if-match"),
        "s3:if-none-match": header(request, "if-none-match"),
        "s3:ObjectCreationOperation": String(creates),
      }),
    );
  const encrypted = async (action: string): Promise<Needed[]> => {
    const keyId = await policies.keyOfBucket(region, bucket);
    return keyId === undefined ? [] : [keyNeed(call, action, keyId, "s3")];
  };
  const version = params.text("versionId") === undefined ? "" : "Version";
  switch (operation) {
    case "GetObject":
    case "HeadObject":
      return [onObject(`s3:GetObject${version}`), ...(await encrypted("kms:Decrypt"))];
    case "GetObjectTagging":
      return [onObject("s3:GetObjectTagging")];
    case "PutObjectTagging": {
      const tags = taggedWith(request.body.toString());
      return [
        onObject("s3:PutObjectTagging", {
          ...(tags.length === 0 ? {} : { "s3:requestobjecttagkeys": tags.map(([name]) => name) }),
          ...Object.fromEntries(
            tags.map(([name, value]) => [`s3:requestobjecttag/${name}`.toLowerCase(), [value]]),
          ),
        }),
      ];
    }
    case "PutObject":
      return [put(true), ...(await encrypted("kms:GenerateDataKey"))];
    case "CompleteMultipartUpload":
      return [put(true), ...(await encrypted("kms:Decrypt"))];
    case "CreateMultipartUpload":
    case "UploadPart":
      return [put(false), ...(await encrypted("kms:GenerateDataKey"))];
    case "AbortMultipartUpload":
      return [onObject("s3:AbortMultipartUpload")];
    case "ListParts":
      return [onObject("s3:ListMultipartUploadParts")];
    case "DeleteObject":
      return [onObject(`s3:DeleteObject${version}`)];
    case "DeleteObjects":
      return deletedObjects(request.body.toString()).map(({ name, versioned }) => ({
        action: versioned ? "s3:DeleteObjectVersion" : "s3:DeleteObject",
        resource: `${bucketArn}/${name}`,
        context: {},
      }));
    case "ListObjects":
    case "ListObjectsV2":
    case "HeadBucket":
      return [onBucket("s3:ListBucket")];
    case "ListObjectVersions":
      return [onBucket("s3:ListBucketVersions")];
    case "ListMultipartUploads":
      return [onBucket("s3:ListBucketMultipartUploads")];
    case "GetBucketLocation":
    case "GetBucketVersioning":
    case "GetBucketPolicy":
    case "PutBucketPolicy":
    case "DeleteBucketPolicy":
    case "DeleteBucket":
    case "CreateBucket":
      return [onBucket(`s3:${operation}`)];
    default:
      throw unmapped(call);
  }
}

function unescaped(xml: string): string {
  return xml
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");
}

function taggedWith(xml: string): (readonly [string, string])[] {
  return [...xml.matchAll(/<Tag>([\s\S]*?)<\/Tag>/g)].map(([, inner = ""]) => [
    unescaped(/<Key>([\s\S]*?)<\/Key>/.exec(inner)?.[1] ?? ""),
    unescaped(/<Value>([\s\S]*?)<\/Value>/.exec(inner)?.[1] ?? ""),
  ]);
}

function deletedObjects(xml: string): { name: string; versioned: boolean }[] {
  return [...xml.matchAll(/<Object>([\s\S]*?)<\/Object>/g)].map(([, inner = ""]) => ({
    name: unescaped(/<Key>([\s\S]*?)<\/Key>/.exec(inner)?.[1] ?? ""),
    versioned: inner.includes("<VersionId>"),
  }));
}

async function ssmNeeds(call: Call, { records }: Lookup): Promise<Needed[]> {
  const { params, operation, region } = call;
  const arn = (name: string): string =>
    `arn:aws:ssm:${region}:${accountId}:parameter/${name.replace(/^\//, "")}`;
  const names =
    operation === "GetParameter"
      ? [params.text("Name") ?? ""]
      : operation === "GetParameters"
        ? params.list("Names")
        : undefined;
  if (names === undefined) throw unmapped(call);
  const needs: Needed[] = names.map((name) => ({
    action: `ssm:${operation}`,
    resource: arn(name),
    context: {},
  }));
  if (params.text("WithDecryption") !== "true") return needs;
  const { Parameters = [] } = await records
    .ssm(region)
    .send(new DescribeParametersCommand({ ParameterFilters: [{ Key: "Name", Values: names }] }));
  for (const { Type, KeyId } of Parameters) {
    // AWS's own key for SSM admits everybody in the account.
    if (Type === "SecureString" && KeyId !== undefined && !KeyId.startsWith("alias/aws/")) {
      needs.push(keyNeed(call, "kms:Decrypt", KeyId, "ssm"));
    }
  }
  return needs;
}

async function ec2Needs(call: Call, { records }: Lookup): Promise<Needed[]> {
  const { params, operation, region } = call;
  const ec2 = records.ec2(region);
  const arn = (kind: string, id: string): string =>
    `arn:aws:ec2:${region}:${accountId}:${kind}/${id}`;
  const action = `ec2:${operation}`;
  const existing = async (kind: string, id: string): Promise<Needed> => {
    const { Tags = [] } = await ec2.send(
      new DescribeTagsCommand({ Filters: [{ Name: "resource-id", Values: [id] }] }),
    );
    return {
      action,
      resource: arn(kind, id),
      context: tagContext(
        "ResourceTag",
        Tags.map(({ Key = "", Value = "" }) => [Key, Value]),
      ),
    };
  };
  if (operation.startsWith("Describe")) return [{ action, resource: "*", context: {} }];
  switch (operation) {
    case "AttachVolume": {
      const volumeId = params.text("VolumeId") ?? "";
      const { Volumes = [] } = await ec2.send(
        new DescribeVolumesCommand({ VolumeIds: [volumeId] }),
      );
      const key = Volumes[0]?.KmsKeyId;
      return [
        await existing("volume", volumeId),
        await existing("instance", params.text("InstanceId") ?? ""),
        ...(key === undefined ? [] : volumeKeyNeeds(call, key, true)),
      ];
    }
    case "DetachVolume": {
      const instanceId = params.text("InstanceId");
      return [
        await existing("volume", params.text("VolumeId") ?? ""),
        ...(instanceId === undefined ? [] : [await existing("instance", instanceId)]),
      ];
    }
    case "CreateVolume":
      return createVolumeNeeds(call, arn("volume", "*"));
    case "TerminateInstances":
    case "StopInstances":
    case "StartInstances":
    case "RebootInstances":
      return Promise.all(params.list("InstanceId").map((id) => existing("instance", id)));
    case "DeleteVolume":
      return [await existing("volume", params.text("VolumeId") ?? "")];
    default:
      throw unmapped(call);
  }
}

function createVolumeNeeds(call: Call, resource: string): Needed[] {
  const { params, region } = call;
  const tags = params
    .items("TagSpecification")
    .flatMap((specification) => specification.items("Tag"))
    .map((tag) => [tag.text("Key") ?? "", tag.text("Value") ?? ""] as const);
  const requested: Context = {
    ...tagContext("RequestTag", tags),
    ...(tags.length === 0 ? {} : { "aws:tagkeys": tags.map(([key]) => key) }),
  };
  const key = params.text("KmsKeyId");
  const keyArn =
    key === undefined || key.startsWith("arn:")
      ? key
      : `arn:aws:kms:${region}:${accountId}:key/${key}`;
  const context = {
    ...requested,
    ...only({
      "ec2:AvailabilityZone": params.text("AvailabilityZone"),
      "ec2:VolumeType": params.text("VolumeType") ?? "gp2",
      "ec2:VolumeSize": params.text("Size"),
      "ec2:Encrypted": params.text("Encrypted") ?? "false",
      "ec2:KmsKeyId": keyArn,
    }),
  };
  return [
    { action: "ec2:CreateVolume", resource, context },
    ...(tags.length === 0
      ? []
      : [
          {
            action: "ec2:CreateTags",
            resource,
            context: { ...requested, "ec2:createaction": ["CreateVolume"] },
          },
        ]),
    ...(keyArn === undefined ? [] : volumeKeyNeeds(call, keyArn, false)),
  ];
}

function autoscalingNeeds(call: Call, { group }: Lookup): Needed[] {
  const { operation, params, region } = call;
  const action = `autoscaling:${operation}`;
  if (operation.startsWith("Describe")) return [{ action, resource: "*", context: {} }];
  const instanceId = params.text("InstanceId");
  const found = instanceId === undefined ? undefined : group(region, instanceId);
  if (found === undefined) throw unmapped(call);
  const tags = found.tags.map(({ key, value }) => [key, value] as const);
  return [
    {
      action,
      resource: found.arn,
      context: {
        ...tagContext("ResourceTag", tags),
        ...Object.fromEntries(
          tags.map(([key, value]) => [`autoscaling:resourcetag/${key}`.toLowerCase(), [value]]),
        ),
      },
    },
  ];
}

/** What is asked about can be named by no policy; targets belong to their group. */
function balancingResource(call: Call): string {
  if (call.operation.startsWith("Describe")) return "*";
  if (call.operation !== "RegisterTargets" && call.operation !== "DeregisterTargets") {
    throw unmapped(call);
  }
  return call.params.text("TargetGroupArn") ?? "*";
}

function unmapped(call: Call): AwsError {
  return new AwsError(
    "LabCannotAuthorize",
    `The lab's policy evaluation does not know what ${call.service}:${call.operation} needs (lab/front/iam/requests.ts), so it refuses it to machines.`,
    403,
  );
}

/** Everything a call needs to be allowed; an operation without a known mapping is an error, not a permission. */
export async function neededFor(call: Call, lookup: Lookup): Promise<Needed[]> {
  switch (call.service) {
    case "s3":
      return s3Needs(call, lookup);
    case "ssm":
      return ssmNeeds(call, lookup);
    case "ec2":
      return ec2Needs(call, lookup);
    case "autoscaling":
      return autoscalingNeeds(call, lookup);
    case "sts":
      // GetCallerIdentity needs no permission.
      return [];
    case "monitoring":
      if (call.operation !== "PutMetricData") throw unmapped(call);
      return [
        {
          action: "cloudwatch:PutMetricData",
          resource: "*",
          context: only({ "cloudwatch:namespace": call.params.text("Namespace") }),
        },
      ];
    case "elasticloadbalancing":
      return [
        {
          action: `elasticloadbalancing:${call.operation}`,
          resource: balancingResource(call),
          context: {},
        },
      ];
    case "iam":
    case "sns":
    case "kms":
    case "route53":
      throw unmapped(call);
  }
}
