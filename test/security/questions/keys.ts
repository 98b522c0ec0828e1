import {
  Asker,
  key,
  may,
  never,
  otherKey,
  type Context,
  type Question,
} from "#security/questions/question";

const { member, bastion, administrator, scaling, stranger, alarms } = Asker;

const via = (service: string): Context => ({
  "kms:ViaService": `${service}.{region}.amazonaws.com`,
});
const alarm = (name: string): Context => ({
  "aws:SourceAccount": "{account}",
  "aws:SourceArn": `arn:aws:cloudwatch:{region}:{account}:alarm:${name}`,
});

/** What else CreateGrant, and no other action, is asked with. */
const granting = (action: string): Context =>
  action === "CreateGrant" ? { "kms:GrantIsForAWSResource": "true" } : {};

/** The key of disks, secrets and bucket. */
export const keys: readonly Question[] = [
  ...(
    [
      "Decrypt",
      "GenerateDataKey",
      "GenerateDataKeyWithoutPlaintext",
      "DescribeKey",
      "CreateGrant",
    ] as const
  ).flatMap((action) => [
    never(member, `kms:${action} of its own accord`, `kms:${action} ${key}`, {
      ...granting(action),
    }),
    never(member, `kms:${action} through another service`, `kms:${action} ${key}`, {
      ...via("secretsmanager"),
      ...granting(action),
    }),
    never(member, `kms:${action} with another key`, `kms:${action} ${otherKey}`, {
      ...via("ec2"),
      ...granting(action),
    }),
  ]),
  ...(["s3", "ssm"] as const).map((service) =>
    never(
      member,
      `decrypt with another key through ${service}`,
      `kms:Decrypt ${otherKey}`,
      via(service),
    ),
  ),
  never(
    member,
    "make data keys through ssm: it writes no parameter",
    `kms:GenerateDataKey ${key}`,
    via("ssm"),
  ),
  never(
    member,
    "make data keys with another key through s3",
    `kms:GenerateDataKey ${otherKey}`,
    via("s3"),
  ),
  never(member, "grant the key to somebody", `kms:CreateGrant ${key}`, {
    ...via("ec2"),
    "kms:GrantIsForAWSResource": "false",
  }),
  never(member, "end the key", `kms:ScheduleKeyDeletion ${key}`, via("ec2")),
  never(member, "change the key's policy", `kms:PutKeyPolicy ${key}`, via("s3")),
  never(bastion, "decrypt objects", `kms:Decrypt ${key}`, via("s3")),
  never(bastion, "decrypt of its own accord", `kms:Decrypt ${key}`),
  never(bastion, "decrypt with another key", `kms:Decrypt ${otherKey}`, via("ssm")),
  never(bastion, "make data keys", `kms:GenerateDataKey ${key}`, via("ssm")),
  may(scaling, "open encrypted root disks", `kms:Decrypt ${key}`),
  may(scaling, "grant the key to disks", `kms:CreateGrant ${key}`, {
    "kms:GrantIsForAWSResource": "true",
  }),
  never(scaling, "grant the key to anybody", `kms:CreateGrant ${key}`, {
    "kms:GrantIsForAWSResource": "false",
  }),
  never(scaling, "end the key", `kms:ScheduleKeyDeletion ${key}`),
  may(alarms, "reach the encrypted topic", `kms:Decrypt ${key}`, alarm("{cluster}-no-leader")),
  never(alarms, "speak for another cluster", `kms:Decrypt ${key}`, alarm("other-no-leader")),
  never(stranger, "decrypt", `kms:Decrypt ${key}`),
  never(stranger, "grant", `kms:CreateGrant ${key}`, { "kms:GrantIsForAWSResource": "true" }),
  may(administrator, "change the key's policy", `kms:PutKeyPolicy ${key}`),
];
