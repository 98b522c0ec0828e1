import { createHash } from "node:crypto";

import { z } from "zod";

/** The instance metadata service, version 2 only. */

const base =
  process.env["AWS_EC2_METADATA_SERVICE_ENDPOINT"]?.replace(/\/$/, "") ?? "http://169.254.169.254";

const credentialsSchema = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1),
  Expiration: z.iso.datetime({ offset: true }),
});

const instanceIdSchema = z.string().regex(/^i-[0-9a-f]{8,17}$/);

/** The role's temporary credentials, as the AWS SDK wants them. */
export interface MachineCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

async function call(path: string, init: RequestInit): Promise<string> {
  const response = await fetch(`${base}/latest/${path}`, {
    ...init,
    signal: AbortSignal.timeout(5000),
  });
  if (!response.ok) {
    throw new Error(`the metadata service answered ${response.status} to ${path}`);
  }
  return response.text();
}

async function read(path: string): Promise<string> {
  return readAny(`meta-data/${path}`);
}

async function readAny(path: string): Promise<string> {
  const token = await call("api/token", {
    method: "PUT",
    headers: { "X-aws-ec2-metadata-token-ttl-seconds": "300" },
  });
  return call(path, { headers: { "X-aws-ec2-metadata-token": token } });
}

/** What this machine was launched with. */
export async function launchedWith(): Promise<{
  readonly imageId: string;
  readonly instanceType: string;
  /** SHA-256 of the user data's text. */
  readonly userDataSha256: string;
}> {
  const [imageId, instanceType, userData] = await Promise.all([
    read("ami-id"),
    read("instance-type"),
    readAny("user-data"),
  ]);
  return {
    imageId: imageId.trim(),
    instanceType: instanceType.trim(),
    userDataSha256: createHash("sha256").update(userData).digest("hex"),
  };
}

/** Id of the instance that this machine is. */
export async function instanceId(): Promise<string> {
  return instanceIdSchema.parse((await read("instance-id")).trim());
}

/** Credentials of the machine's role. */
export async function machineCredentials(): Promise<MachineCredentials> {
  const role = (await read("iam/security-credentials/")).trim().split("\n")[0] ?? "";
  const text = await read(`iam/security-credentials/${role}`);
  const parsed = credentialsSchema.safeParse(JSON.parse(text));
  if (!parsed.success) {
    // Not zod's own message: it could quote what it found.
    throw new Error("the metadata service's credentials cannot be read");
  }
  return {
    accessKeyId: parsed.data.AccessKeyId,
    secretAccessKey: parsed.data.SecretAccessKey,
    sessionToken: parsed.data.Token,
    expiration: new Date(parsed.data.Expiration),
  };
}
