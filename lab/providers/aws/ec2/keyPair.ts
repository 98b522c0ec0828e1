import { text } from "../../shared/schema.ts";
import { awsResource, fromTagList, given, single, textOf } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.KeyPair */
export const keyPair = awsResource({
  type: "aws:ec2/keyPair:KeyPair",
  fields: {
    keyName: text({ replaces: true }),
    publicKey: text({ required: true, replaces: true }),
  },
  computed: ["arn", "fingerprint", "keyPairId", "keyType"],
  autoname: { field: "keyName", maxLength: 255 },
  // The final newline of a key file is no part of the key.
  normalize: (inputs) =>
    typeof inputs["publicKey"] === "string"
      ? { ...inputs, publicKey: inputs["publicKey"].trim() }
      : inputs,
  missing: ["InvalidKeyPair.NotFound"],
  retag: async (aws, id, change) => {
    await retagEc2(aws, (await find(aws, id))?.KeyPairId ?? id, change);
  },
  create: async (inputs, { aws, tags }) => {
    const { KeyName } = await (
      await aws.ec2()
    ).importKeyPair({
      KeyName: inputs.keyName,
      PublicKeyMaterial: Buffer.from(inputs.publicKey),
      ...tagSpecifications("key-pair", tags),
    });
    return given(KeyName, "the key's name");
  },
  read: async (id, _state, aws) => {
    const found = await find(aws, id);
    return (
      found && {
        arn: arn(aws, "ec2", `key-pair/${id}`),
        keyName: found.KeyName,
        keyPairId: found.KeyPairId,
        fingerprint: found.KeyFingerprint,
        keyType: found.KeyType,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  remove: async (id, state, { aws }) => {
    await (await aws.ec2()).deleteKeyPair({ KeyName: textOf(state, "keyName") || id });
  },
});

async function find(aws: Aws, name: string) {
  return single((await (await aws.ec2()).describeKeyPairs({ KeyNames: [name] })).KeyPairs);
}
