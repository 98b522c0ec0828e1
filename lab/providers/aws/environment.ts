import type { AutoScaling } from "@aws-sdk/client-auto-scaling";
import type { CloudWatch } from "@aws-sdk/client-cloudwatch";
import type { EC2 } from "@aws-sdk/client-ec2";
import type { ElasticLoadBalancingV2 } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { IAM } from "@aws-sdk/client-iam";
import type { KMS } from "@aws-sdk/client-kms";
import type { Route53 } from "@aws-sdk/client-route-53";
import type { S3 } from "@aws-sdk/client-s3";
import type { SNS } from "@aws-sdk/client-sns";
import type { SSM } from "@aws-sdk/client-ssm";

import { accountId, adminCredentials, frontEndpoint } from "../../paths.ts";
import { UserError } from "../shared/errors.ts";
import { list, map, object, text, type InputsOf } from "../shared/schema.ts";
import { flag, number } from "../shared/schema.ts";
import type { Values } from "../shared/value.ts";

/** Configuration of the provider that means something here. What only tunes access to the real AWS is accepted and has no effect. */
export const configFields = {
  region: text({ replaces: true }),
  accessKey: text(),
  secretKey: text(),
  token: text(),
  profile: text(),
  allowedAccountIds: list(text()),
  forbiddenAccountIds: list(text()),
  defaultTags: object({ tags: map(text()) }),
  maxRetries: number(),
  retryMode: text(),
  skipCredentialsValidation: flag(),
  skipMetadataApiCheck: flag(),
  skipRegionValidation: flag(),
  skipRequestingAccountId: flag(),
  s3UsePathStyle: flag(),
} as const;

/** What the resources work with. A client is loaded when it is first used, so that a preview costs no memory for any. */
export interface Aws {
  readonly region: string;
  readonly accountId: string;
  readonly partition: string;
  readonly defaultTags: Readonly<Record<string, string>>;
  readonly endpoint: string;
  ec2(): Promise<EC2>;
  autoscaling(): Promise<AutoScaling>;
  balancing(): Promise<ElasticLoadBalancingV2>;
  cloudWatch(): Promise<CloudWatch>;
  iam(): Promise<IAM>;
  kms(): Promise<KMS>;
  route53(): Promise<Route53>;
  s3(): Promise<S3>;
  sns(): Promise<SNS>;
  ssm(): Promise<SSM>;
}

/** Prepares the clients. Calls nothing: a preview of a new stack works without a lab. */
export function configure(values: Values): Aws {
  const config = values as InputsOf<typeof configFields>;
  checkAccount(config);
  const region = config.region ?? process.env["AWS_REGION"] ?? process.env["AWS_DEFAULT_REGION"];
  if (region === undefined || region === "") {
    throw new UserError("no region: set aws:region in the stack's configuration, or AWS_REGION");
  }
  const endpoint = labEndpoint();
  const options = {
    region,
    endpoint,
    credentials: {
      accessKeyId: process.env["AWS_ACCESS_KEY_ID"] ?? adminCredentials.accessKeyId,
      secretAccessKey: process.env["AWS_SECRET_ACCESS_KEY"] ?? adminCredentials.secretAccessKey,
    },
    maxAttempts: 3,
  };
  return {
    region,
    accountId,
    partition: "aws",
    defaultTags: config.defaultTags?.tags ?? {},
    endpoint,
    ec2: once(async () => new (await import("@aws-sdk/client-ec2")).EC2(options)),
    autoscaling: once(
      async () => new (await import("@aws-sdk/client-auto-scaling")).AutoScaling(options),
    ),
    balancing: once(async () => {
      const module = await import("@aws-sdk/client-elastic-load-balancing-v2");
      return new module.ElasticLoadBalancingV2(options);
    }),
    cloudWatch: once(
      async () => new (await import("@aws-sdk/client-cloudwatch")).CloudWatch(options),
    ),
    iam: once(async () => new (await import("@aws-sdk/client-iam")).IAM(options)),
    kms: once(async () => new (await import("@aws-sdk/client-kms")).KMS(options)),
    route53: once(async () => new (await import("@aws-sdk/client-route-53")).Route53(options)),
    s3: once(
      async () =>
        new (await import("@aws-sdk/client-s3")).S3({
          ...options,
          forcePathStyle: true,
          requestChecksumCalculation: "WHEN_REQUIRED",
        }),
    ),
    sns: once(async () => new (await import("@aws-sdk/client-sns")).SNS(options)),
    ssm: once(async () => new (await import("@aws-sdk/client-ssm")).SSM(options)),
  };
}

/** This provider must never reach the real AWS, whatever the shell's environment says. */
function labEndpoint(): string {
  const endpoint = process.env["AWS_ENDPOINT_URL"] ?? frontEndpoint;
  const { hostname } = new URL(endpoint);
  if (!/^(127\.\d+\.\d+\.\d+|localhost|\[::1\])$/.test(hostname)) {
    throw new UserError(
      `the lab's aws provider calls a lab on this machine only, but AWS_ENDPOINT_URL is ${endpoint}`,
    );
  }
  return endpoint;
}

function checkAccount(config: InputsOf<typeof configFields>): void {
  const { allowedAccountIds = [], forbiddenAccountIds = [] } = config;
  const allowed = allowedAccountIds.length === 0 || allowedAccountIds.includes(accountId);
  if (!allowed || forbiddenAccountIds.includes(accountId)) {
    throw new UserError(`AWS account ID not allowed: ${accountId}`);
  }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

/** `arn:aws:ec2:eu-central-1:123456789012:vpc/vpc-…` */
export function arn(aws: Aws, service: string, resource: string): string {
  return `arn:${aws.partition}:${service}:${aws.region}:${aws.accountId}:${resource}`;
}
