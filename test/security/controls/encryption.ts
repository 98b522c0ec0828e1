import {
  altered,
  at,
  each,
  having,
  ofType,
  without,
  type Control,
} from "#security/controls/control";
import { isKey, says, type, type Declared } from "#security/controls/declared";

/** Encryption at rest. */
export const encryption: readonly Control<Declared>[] = [
  {
    id: "kms-disks",
    what: "every disk is encrypted with the cluster's key: data volumes, root disks of members and bastion",
    sources: ["CT.EC2.PR.7", "EC2.3"],
    check: (resources) => [
      ...each(resources, [type.volume], {
        encrypted: (one) => one.inputs["encrypted"] === true && isKey(one.inputs["kmsKeyId"]),
      }),
      ...each(resources, [type.template], {
        encrypted: (one) =>
          ((one.inputs["blockDeviceMappings"] ?? []) as unknown[]).length > 0 &&
          ((one.inputs["blockDeviceMappings"] ?? []) as unknown[]).every(
            (disk) =>
              String(at(disk, "ebs.encrypted")) === "true" && isKey(at(disk, "ebs.kmsKeyId")),
          ),
      }),
      ...each(resources, [type.instance], {
        encrypted: (one) =>
          at(one.inputs, "rootBlockDevice.encrypted") === true &&
          isKey(at(one.inputs, "rootBlockDevice.kmsKeyId")),
      }),
    ],
    mutants: {
      "a plain volume": altered(type.volume, "encrypted", false),
      "a volume with AWS's own key": altered(type.volume, "kmsKeyId", undefined),
      "a plain root disk": altered(type.template, "blockDeviceMappings.0.ebs.encrypted", "false"),
      "no root disk named": altered(type.template, "blockDeviceMappings", []),
      "a plain bastion": altered(type.instance, "rootBlockDevice.encrypted", false),
      "a bastion with AWS's own key": altered(type.instance, "rootBlockDevice.kmsKeyId", undefined),
    },
  },
  {
    id: "kms-secrets",
    what: "every parameter is a SecureString with the cluster's key",
    sources: ["DESIGN 3"],
    check: (resources) =>
      each(resources, [type.parameter], {
        "a SecureString": (one) => one.inputs["type"] === "SecureString",
        "with the key": (one) => isKey(one.inputs["keyId"]),
      }),
    mutants: {
      "a plain one": altered(type.parameter, "type", "String"),
      "with AWS's own key": altered(type.parameter, "keyId", undefined),
    },
  },
  {
    id: "kms-bucket",
    what: "the bucket encrypts with the cluster's key",
    sources: ["S3.17"],
    check: (resources) =>
      each(resources, [type.bucketEncryption], {
        "aws:kms": (one) =>
          says(one, "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm") === "aws:kms",
        "with the key": (one) =>
          isKey(at(one.inputs, "rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId")),
      }),
    mutants: {
      "with S3's own keys": altered(
        type.bucketEncryption,
        "rules.0.applyServerSideEncryptionByDefault.sseAlgorithm",
        "AES256",
      ),
      "with AWS's own key": altered(
        type.bucketEncryption,
        "rules.0.applyServerSideEncryptionByDefault.kmsMasterKeyId",
        undefined,
      ),
      "not at all": without(type.bucketEncryption),
    },
  },
  {
    id: "kms-alarms",
    what: "the topic of the alarms, and whatever keeps logs, is encrypted with the cluster's key",
    sources: ["SNS.1"],
    check: (resources) => [
      ...each(resources, [type.topic], { encrypted: (one) => isKey(one.inputs["kmsMasterKeyId"]) }),
      ...ofType(resources, type.logs)
        .filter(({ inputs }) => !isKey(inputs["kmsKeyId"]))
        .map(({ name }) => `the logs ${name} are not encrypted`),
    ],
    mutants: {
      "a plain topic": altered(type.topic, "kmsMasterKeyId", undefined),
      "plain logs": having({ type: type.logs, name: "etcd", inputs: {} }),
    },
  },
  {
    id: "key-rotation",
    what: "the key rotates every year, and can be had back for some days after its deletion",
    sources: ["KMS.4"],
    check: (resources) =>
      each(resources, [type.key], {
        rotating: (one) => one.inputs["enableKeyRotation"] === true,
        "deleted slowly": (one) => Number(one.inputs["deletionWindowInDays"]) >= 7,
      }),
    mutants: { "one that does not": altered(type.key, "enableKeyRotation", false) },
  },
];
