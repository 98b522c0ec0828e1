import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/**
 * A key for encrypted disks and what belongs to them, as whoever looks after keys makes it. Its policy has the last word, and the cluster
 * does not change it: the account decides by IAM, and the auto scaling service, which launches machines with encrypted disks, may use it.
 */
export function diskKey(name: string): aws.kms.Key {
  const { accountId } = aws.getCallerIdentityOutput();
  const { partition } = aws.getPartitionOutput();
  const account = pulumi.interpolate`arn:${partition}:iam::${accountId}`;
  const autoScaling = {
    StringEquals: { "kms:CallerAccount": accountId },
    ArnEquals: {
      "aws:PrincipalArn": pulumi.interpolate`${account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
    },
  };
  return new aws.kms.Key(name, {
    description: "disks, secrets, buckets",
    enableKeyRotation: true,
    deletionWindowInDays: 7,
    policy: pulumi.jsonStringify({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Allow",
          Principal: { AWS: pulumi.interpolate`${account}:root` },
          Action: "kms:*",
          Resource: "*",
        },
        {
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
          Condition: autoScaling,
        },
        {
          Effect: "Allow",
          Principal: { AWS: "*" },
          Action: "kms:CreateGrant",
          Resource: "*",
          Condition: { ...autoScaling, Bool: { "kms:GrantIsForAWSResource": "true" } },
        },
      ],
    }),
  });
}
