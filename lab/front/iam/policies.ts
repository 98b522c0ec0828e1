import {
  GetPolicyCommand,
  GetPolicyVersionCommand,
  GetRolePolicyCommand,
  ListAttachedRolePoliciesCommand,
  ListRolePoliciesCommand,
} from "@aws-sdk/client-iam";
import { GetKeyPolicyCommand } from "@aws-sdk/client-kms";
import { GetBucketEncryptionCommand, GetBucketPolicyCommand } from "@aws-sdk/client-s3";
import type { Records } from "../records.ts";
import { parsePolicy, type Statement } from "./evaluate.ts";

/** The policies in force, read from moto and kept until one changes. */
export class Policies {
  private readonly records: Records;
  private readonly cache = new Map<string, Promise<unknown>>();

  constructor(records: Records) {
    this.records = records;
  }

  /** Forgets everything: some policy, role, key or bucket has changed. */
  forget(): void {
    this.cache.clear();
  }

  /** Statements of a role's inline and attached policies. */
  ofRole(roleName: string): Promise<Statement[]> {
    return this.cached(`role/${roleName}`, async () => {
      const iam = this.records.iam();
      const { PolicyNames = [] } = await iam.send(
        new ListRolePoliciesCommand({ RoleName: roleName }),
      );
      const { AttachedPolicies = [] } = await iam.send(
        new ListAttachedRolePoliciesCommand({ RoleName: roleName }),
      );
      const inline = PolicyNames.map(async (PolicyName) => {
        const { PolicyDocument } = await iam.send(
          new GetRolePolicyCommand({ RoleName: roleName, PolicyName }),
        );
        return parsePolicy(decodeURIComponent(PolicyDocument ?? "{}"));
      });
      const attached = AttachedPolicies.map(async ({ PolicyArn }) => {
        const { Policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
        const { PolicyVersion } = await iam.send(
          new GetPolicyVersionCommand({ PolicyArn, VersionId: Policy?.DefaultVersionId }),
        );
        return parsePolicy(decodeURIComponent(PolicyVersion?.Document ?? "{}"));
      });
      return (await Promise.all([...inline, ...attached])).flat();
    });
  }

  /** Statements of a bucket's policy; none when it has none, or does not exist. */
  ofBucket(region: string, bucket: string): Promise<Statement[]> {
    return this.cached(`bucket/${bucket}`, async () => {
      const policy = await this.unlessAbsent(() =>
        this.records.s3(region).send(new GetBucketPolicyCommand({ Bucket: bucket })),
      );
      return policy?.Policy === undefined ? [] : parsePolicy(policy.Policy);
    });
  }

  /** The customer's key that encrypts a bucket's objects by default, if any. */
  keyOfBucket(region: string, bucket: string): Promise<string | undefined> {
    return this.cached(`encryption/${bucket}`, async () => {
      const found = await this.unlessAbsent(() =>
        this.records.s3(region).send(new GetBucketEncryptionCommand({ Bucket: bucket })),
      );
      return found?.ServerSideEncryptionConfiguration?.Rules?.[0]
        ?.ApplyServerSideEncryptionByDefault?.KMSMasterKeyID;
    });
  }

  /** Statements of a key's policy. */
  ofKey(region: string, keyId: string): Promise<Statement[]> {
    return this.cached(`key/${keyId}`, async () => {
      const { Policy } = await this.records
        .kms(region)
        .send(new GetKeyPolicyCommand({ KeyId: keyId, PolicyName: "default" }));
      return parsePolicy(Policy ?? "{}");
    });
  }

  private cached<Value>(key: string, read: () => Promise<Value>): Promise<Value> {
    const known = this.cache.get(key) as Promise<Value> | undefined;
    if (known !== undefined) return known;
    const reading = read();
    this.cache.set(key, reading);
    reading.catch(() => this.cache.delete(key));
    return reading;
  }

  private async unlessAbsent<Value>(read: () => Promise<Value>): Promise<Value | undefined> {
    try {
      return await read();
    } catch (error) {
      const name = error instanceof Error ? error.name : "";
      if (/^NoSuch|NotFoundError$|^ServerSideEncryptionConfigurationNotFound/.test(name))
        return undefined;
      throw error;
    }
  }
}
