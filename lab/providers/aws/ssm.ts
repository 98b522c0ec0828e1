import type { ParameterTier, ParameterType } from "@aws-sdk/client-ssm";

import { text, type InputsOf } from "../shared/schema.ts";
import { awsResource, fromTagList, single, toTagList, type TagChange } from "./awsResource.ts";
import { arn } from "./environment.ts";

const fields = {
  name: text({ replaces: true }),
  type: text({ required: true }),
  value: text({ required: true }),
  keyId: text(),
  description: text(),
  tier: text(),
  dataType: text({ replaces: true }),
  allowedPattern: text(),
} as const;

/** aws.ssm.Parameter. Its value is always a secret. */
export const parameter = awsResource({
  type: "aws:ssm/parameter:Parameter",
  fields,
  computed: ["arn", "version", "tier", "dataType", "keyId"],
  secretOutputs: ["value"],
  autoname: { field: "name", maxLength: 1011 },
  unsettles: (changed) => ([...changed].some((key) => key !== "tags") ? ["version"] : []),
  // The second is what its tags say.
  missing: ["ParameterNotFound", "InvalidResourceId"],
  retag: async (aws, id, { set, unset }: TagChange) => {
    const ssm = await aws.ssm();
    const target = { ResourceType: "Parameter", ResourceId: id } as const;
    if (unset.length > 0) {
      await ssm.removeTagsFromResource({ ...target, TagKeys: [...unset] });
    }
    if (Object.keys(set).length > 0) {
      await ssm.addTagsToResource({ ...target, Tags: toTagList(set) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    await (await aws.ssm()).putParameter({ ...request(inputs), Tags: toTagList(tags) });
    return inputs.name ?? "";
  },
  read: async (id, state, aws) => {
    const ssm = await aws.ssm();
    const [{ Parameter: found }, described, tags] = await Promise.all([
      ssm.getParameter({ Name: id, WithDecryption: true }),
      ssm.describeParameters({
        ParameterFilters: [{ Key: "Name", Option: "Equals", Values: [id] }],
      }),
      ssm.listTagsForResource({ ResourceType: "Parameter", ResourceId: id }),
    ]);
    const details = single(described.Parameters);
    return (
      found && {
        arn: found.ARN ?? arn(aws, "ssm", `parameter/${id.replace(/^\//, "")}`),
        name: found.Name,
        type: found.Type,
        value: found.Value,
        version: found.Version,
        dataType: found.DataType,
        tier: details?.Tier ?? "Standard",
        keyId: details?.KeyId ?? state["keyId"],
        tagsAll: fromTagList(tags.TagList),
      }
    );
  },
  update: async ({ news, changed }, { aws }) => {
    if ([...changed].some((key) => key !== "tags")) {
      await (await aws.ssm()).putParameter({ ...request(news), Overwrite: true });
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ssm()).deleteParameter({ Name: id });
  },
});

function request(inputs: InputsOf<typeof fields>) {
  return {
    Name: inputs.name,
    Type: inputs.type as ParameterType,
    Value: inputs.value,
    KeyId: inputs.keyId,
    Description: inputs.description,
    Tier: inputs.tier as ParameterTier | undefined,
    DataType: inputs.dataType,
    AllowedPattern: inputs.allowedPattern,
  };
}
