import type { CloudWatchClient } from "@aws-sdk/client-cloudwatch";
import type { EC2Client } from "@aws-sdk/client-ec2";
import type { S3Client } from "@aws-sdk/client-s3";
import type { SSMClient } from "@aws-sdk/client-ssm";

import { machineCredentials } from "./imds";
import { lazily } from "./lazily";

/**
 * AWS clients, each loaded when first used: a member's agent lives in little memory, and EC2's client alone takes 80 MiB.
 * Every request is bounded; the SDK repeats what failed twice.
 */

const limits = {
  credentials: machineCredentials,
  maxAttempts: 3,
  requestHandler: {
    connectionTimeout: 2000,
    requestTimeout: 8000,
    throwOnRequestTimeout: true,
    // A download that stalls half-way.
    socketTimeout: 20_000,
  },
};

/** The clients of one region. */
export function awsClients(region: string): {
  readonly s3: () => Promise<S3Client>;
  readonly ec2: () => Promise<EC2Client>;
  readonly ssm: () => Promise<SSMClient>;
  readonly cloudWatch: () => Promise<CloudWatchClient>;
} {
  return {
    s3: lazily(async () => {
      const { S3Client } = await import("./sdkS3.ts");
      return new S3Client({
        region,
        ...limits,
        // Only what S3 asks for: TLS and our own hashes guard the content already.
        requestChecksumCalculation: "WHEN_REQUIRED",
        responseChecksumValidation: "WHEN_REQUIRED",
      });
    }),
    ec2: lazily(async () => {
      const { EC2Client } = await import("./sdkEc2.ts");
      return new EC2Client({ region, ...limits });
    }),
    ssm: lazily(async () => {
      const { SSMClient } = await import("./sdkSsm.ts");
      return new SSMClient({ region, ...limits });
    }),
    cloudWatch: lazily(async () => {
      const { CloudWatchClient } = await import("./sdkCloudWatch.ts");
      return new CloudWatchClient({ region, ...limits });
    }),
  };
}

/** The clients of one region. */
export type AwsClients = ReturnType<typeof awsClients>;

/** HTTP status of a failed call, where there was an answer. */
export function httpStatus(error: unknown): number | undefined {
  if (error instanceof Error && "$metadata" in error) {
    const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
    return $metadata?.httpStatusCode;
  }
  return undefined;
}
