import { text, type InputsOf } from "../shared/schema.ts";
import { awsResource, fromTagList, given, textOf, toTagList } from "./awsResource.ts";
import { sameJson } from "./json.ts";

const topicFields = {
  name: text({ replaces: true }),
  displayName: text(),
  kmsMasterKeyId: text(),
  policy: text(),
} as const;

/** Arguments that are attributes, and what AWS calls them. */
const attributeNames = {
  displayName: "DisplayName",
  kmsMasterKeyId: "KmsMasterKeyId",
  policy: "Policy",
} as const;

const missing = ["NotFound", "NotFoundException"];

/** aws.sns.Topic, a standard one. What is wrong with an attribute is said before anything is made: they are given at creation. */
export const topic = awsResource({
  type: "aws:sns/topic:Topic",
  fields: topicFields,
  computed: ["arn", "owner", "policy"],
  autoname: { field: "name", maxLength: 256 },
  missing,
  retag: async (aws, id, { set, unset }) => {
    const sns = await aws.sns();
    if (unset.length > 0) {
      await sns.untagResource({ ResourceArn: id, TagKeys: [...unset] });
    }
    if (Object.keys(set).length > 0) {
      await sns.tagResource({ ResourceArn: id, Tags: toTagList(set) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    const { TopicArn } = await (
      await aws.sns()
    ).createTopic({
      Name: inputs.name ?? "",
      Attributes: attributesOf(inputs),
      Tags: toTagList(tags),
    });
    return given(TopicArn, "the topic's ARN");
  },
  read: async (id, state, aws) => {
    const sns = await aws.sns();
    const { Attributes: found = {} } = await sns.getTopicAttributes({ TopicArn: id });
    const { Tags } = await sns.listTagsForResource({ ResourceArn: id });
    const orNothing = (value: string | undefined) => (value === "" ? undefined : value);
    return {
      arn: id,
      name: id.slice(id.lastIndexOf(":") + 1),
      owner: found["Owner"],
      displayName: orNothing(found["DisplayName"]),
      kmsMasterKeyId: orNothing(found["KmsMasterKeyId"]),
      policy: sameJson(found["Policy"], textOf(state, "policy")),
      tagsAll: fromTagList(Tags),
    };
  },
  update: async ({ id, news, changed }, { aws }) => {
    const sns = await aws.sns();
    for (const [key, AttributeName] of Object.entries(attributeNames)) {
      if (changed.has(key)) {
        const AttributeValue = news[key as keyof typeof attributeNames] ?? "";
        await sns.setTopicAttributes({ TopicArn: id, AttributeName, AttributeValue });
      }
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.sns()).deleteTopic({ TopicArn: id });
  },
});

function attributesOf(inputs: InputsOf<typeof topicFields>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributeNames).flatMap(([key, name]): [string, string][] => {
      const value = inputs[key as keyof typeof attributeNames];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** aws.sns.TopicSubscription. Whoever is subscribed by e-mail has to confirm; until then AWS cannot take the subscription back. */
export const topicSubscription = awsResource({
  type: "aws:sns/topicSubscription:TopicSubscription",
  fields: {
    topic: text({ required: true, replaces: true }),
    protocol: text({ required: true, replaces: true }),
    endpoint: text({ required: true, replaces: true }),
  },
  computed: ["arn", "ownerId", "pendingConfirmation"],
  missing,
  create: async (inputs, { aws }) => {
    const { SubscriptionArn } = await (
      await aws.sns()
    ).subscribe({
      TopicArn: inputs.topic,
      Protocol: inputs.protocol,
      Endpoint: inputs.endpoint,
      // Otherwise it is called "pending confirmation" until it is confirmed.
      ReturnSubscriptionArn: true,
    });
    return given(SubscriptionArn, "the subscription's ARN");
  },
  read: async (id, _state, aws) => {
    const { Attributes: found = {} } = await (
      await aws.sns()
    ).getSubscriptionAttributes({ SubscriptionArn: id });
    return {
      arn: id,
      topic: found["TopicArn"],
      protocol: found["Protocol"],
      endpoint: found["Endpoint"],
      ownerId: found["Owner"],
      pendingConfirmation: found["PendingConfirmation"] === "true",
    };
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.sns()).unsubscribe({ SubscriptionArn: id });
  },
});
