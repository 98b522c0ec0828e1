import { flag, number, text } from "../shared/schema.ts";
import {
  awsResource,
  completing,
  given,
  textOf,
  type TagChange,
  type Tags,
} from "./awsResource.ts";
import type { Aws } from "./environment.ts";

const missing = ["NotFoundException"];

/** aws.kms.Key, symmetric */
export const key = awsResource({
  type: "aws:kms/key:Key",
  fields: {
    description: text(),
    policy: text(),
    enableKeyRotation: flag(),
    deletionWindowInDays: number(),
  },
  computed: ["arn", "keyId", "policy", "isEnabled", "multiRegion"],
  normalize: (inputs) => ({
    description: "Managed by Pulumi",
    enableKeyRotation: false,
    ...inputs,
  }),
  missing: [...missing, "KMSInvalidStateException"],
  retag: async (aws, id, { set, unset }: TagChange) => {
    const kms = await aws.kms();
    if (unset.length > 0) {
      await kms.untagResource({ KeyId: id, TagKeys: [...unset] });
    }
    if (Object.keys(set).length > 0) {
      await kms.tagResource({ KeyId: id, Tags: tagList(set) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    const kms = await aws.kms();
    const { KeyMetadata } = await kms.createKey({
      Description: inputs.description,
      Policy: inputs.policy,
      Tags: tagList(tags),
    });
    const id = given(KeyMetadata?.KeyId, "the key's id");
    return completing(id, async () => {
      if (inputs.enableKeyRotation === true) {
        await kms.enableKeyRotation({ KeyId: id });
      }
    });
  },
  read: async (id, _state, aws) => {
    const kms = await aws.kms();
    const { KeyMetadata: found } = await kms.describeKey({ KeyId: id });
    if (found === undefined || found.KeyState === "PendingDeletion") {
      return undefined;
    }
    const [policy, rotation, tags] = await Promise.all([
      kms.getKeyPolicy({ KeyId: id, PolicyName: "default" }),
      kms.getKeyRotationStatus({ KeyId: id }),
      kms.listResourceTags({ KeyId: id }),
    ]);
    return {
      arn: found.Arn,
      keyId: found.KeyId,
      description: found.Description,
      isEnabled: found.Enabled,
      multiRegion: found.MultiRegion ?? false,
      policy: policy.Policy,
      enableKeyRotation: rotation.KeyRotationEnabled ?? false,
      tagsAll: Object.fromEntries(
        (tags.Tags ?? []).map(({ TagKey, TagValue }) => [TagKey ?? "", TagValue ?? ""]),
      ),
    };
  },
  update: async ({ id, news, changed }, { aws }) => {
    const kms = await aws.kms();
    if (changed.has("description")) {
      await kms.updateKeyDescription({ KeyId: id, Description: news.description ?? "" });
    }
    if (changed.has("policy")) {
      await kms.putKeyPolicy({ KeyId: id, PolicyName: "default", Policy: news.policy });
    }
    if (changed.has("enableKeyRotation")) {
      await (news.enableKeyRotation === true
        ? kms.enableKeyRotation({ KeyId: id })
        : kms.disableKeyRotation({ KeyId: id }));
    }
  },
  remove: async (id, state, { aws }) => {
    const days = state["deletionWindowInDays"];
    await (
      await aws.kms()
    ).scheduleKeyDeletion({
      KeyId: id,
      PendingWindowInDays: typeof days === "number" ? days : 30,
    });
  },
});

function tagList(tags: Tags): { TagKey: string; TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
}

/** aws.kms.Alias */
export const alias = awsResource({
  type: "aws:kms/alias:Alias",
  fields: { name: text({ replaces: true }), targetKeyId: text({ required: true }) },
  computed: ["arn", "targetKeyArn"],
  autoname: { field: "name", maxLength: 256, prefix: "alias/" },
  missing,
  create: async (inputs, { aws }) => {
    const AliasName = inputs.name ?? "";
    await (await aws.kms()).createAlias({ AliasName, TargetKeyId: inputs.targetKeyId });
    return AliasName;
  },
  read: async (id, state, aws) => {
    const found = await findAlias(aws, id);
    if (found?.TargetKeyId === undefined) {
      return undefined;
    }
    const { KeyMetadata } = await (await aws.kms()).describeKey({ KeyId: found.TargetKeyId });
    // The program may name the key by its ARN; that is not another key.
    const named = textOf(state, "targetKeyId");
    return {
      arn: found.AliasArn,
      name: found.AliasName,
      targetKeyArn: KeyMetadata?.Arn,
      targetKeyId: named === KeyMetadata?.Arn ? named : found.TargetKeyId,
    };
  },
  update: async ({ id, news }, { aws }) => {
    await (await aws.kms()).updateAlias({ AliasName: id, TargetKeyId: news.targetKeyId });
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.kms()).deleteAlias({ AliasName: id });
  },
});

async function findAlias(aws: Aws, name: string) {
  const kms = await aws.kms();
  let Marker: string | undefined;
  do {
    const page = await kms.listAliases({ Marker });
    const found = page.Aliases?.find(({ AliasName }) => AliasName === name);
    if (found !== undefined) {
      return found;
    }
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  return undefined;
}
