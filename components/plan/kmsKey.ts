import type { Problem } from "./problems";

/**
 * What is wrong with a key that is handed in, as far as its name tells; what its policy must admit is in docs/security.md. Roles name the
 * key itself, so that an alias will not do.
 */
export function kmsKeyProblem(arn: unknown, region: string): Problem | undefined {
  if (typeof arn !== "string") {
    return undefined;
  }
  const [, , , ofRegion] = arn.split(":");
  const common = { path: "kmsKeyArn", value: arn };
  if (!/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[A-Za-z0-9-]{1,64}$/.test(arn)) {
    return {
      ...common,
      rule: "this is not the ARN of a KMS key, of an alias perhaps",
      remedy:
        "give one like arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    };
  }
  return ofRegion === region
    ? undefined
    : {
        ...common,
        rule: `the key is of ${ofRegion ?? ""}, and disks in ${region} are encrypted with keys of ${region}`,
        remedy: "name a key of the cluster's region",
      };
}
