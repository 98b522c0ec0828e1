import type { ProtocolEnum, TargetTypeEnum } from "@aws-sdk/client-elastic-load-balancing-v2";

import { flag, number, object, text, type InputsOf } from "../../shared/schema.ts";
import { awsResource, completing, given, single, textOf } from "../awsResource.ts";
import type { Aws } from "../environment.ts";
import { until } from "../waiting.ts";
import { arnSuffix, attributes, creationTags, retagBalancing, tagsOf } from "./common.ts";

const missing = ["TargetGroupNotFound", "TargetGroupNotFoundException"];

const fields = {
  name: text({ replaces: true }),
  port: number({ replaces: true }),
  protocol: text({ replaces: true }),
  targetType: text({ replaces: true }),
  vpcId: text({ replaces: true }),
  deregistrationDelay: number(),
  preserveClientIp: text(),
  connectionTermination: flag(),
  healthCheck: object({
    enabled: flag(),
    protocol: text(),
    port: text(),
    path: text(),
    matcher: text(),
    interval: number(),
    timeout: number(),
    healthyThreshold: number(),
    unhealthyThreshold: number(),
  }),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.lb.TargetGroup */
export const targetGroup = awsResource({
  type: "aws:lb/targetGroup:TargetGroup",
  fields,
  computed: ["arn", "arnSuffix"],
  autoname: { field: "name", maxLength: 32 },
  normalize: (inputs) => ({ targetType: "instance", deregistrationDelay: 300, ...inputs }),
  missing,
  busy: { codes: ["ResourceInUse", "ResourceInUseException"], seconds: 5 * 60 },
  retag: retagBalancing,
  create: async (inputs, { aws, tags }) => {
    const { TargetGroups } = await (
      await aws.balancing()
    ).createTargetGroup({
      Name: inputs.name,
      Port: inputs.port,
      Protocol: inputs.protocol as ProtocolEnum | undefined,
      TargetType: inputs.targetType as TargetTypeEnum | undefined,
      VpcId: inputs.vpcId,
      ...healthCheck(inputs),
      ...creationTags(tags),
    });
    const arn = given(single(TargetGroups)?.TargetGroupArn, "the target group's ARN");
    return completing(arn, () => setAttributes(aws, arn, inputs));
  },
  read: async (id, _state, aws) => {
    const { TargetGroups } = await (
      await aws.balancing()
    ).describeTargetGroups({ TargetGroupArns: [id] });
    const found = single(TargetGroups);
    return (
      found && {
        arn: id,
        arnSuffix: arnSuffix(id, "targetgroup"),
        name: found.TargetGroupName,
        port: found.Port,
        protocol: found.Protocol,
        targetType: found.TargetType,
        vpcId: found.VpcId,
        tagsAll: await tagsOf(aws, id),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (changed.has("healthCheck")) {
      await (await aws.balancing()).modifyTargetGroup({ TargetGroupArn: id, ...healthCheck(news) });
    }
    await setAttributes(aws, id, news);
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.balancing()).deleteTargetGroup({ TargetGroupArn: id });
  },
});

function healthCheck({ healthCheck: check }: Inputs) {
  return check === undefined
    ? {}
    : {
        HealthCheckEnabled: check.enabled,
        HealthCheckProtocol: check.protocol as ProtocolEnum | undefined,
        HealthCheckPort: check.port,
        HealthCheckPath: check.path,
        HealthCheckIntervalSeconds: check.interval,
        HealthCheckTimeoutSeconds: check.timeout,
        HealthyThresholdCount: check.healthyThreshold,
        UnhealthyThresholdCount: check.unhealthyThreshold,
        Matcher: check.matcher === undefined ? undefined : { HttpCode: check.matcher },
      };
}

async function setAttributes(aws: Aws, TargetGroupArn: string, inputs: Inputs): Promise<void> {
  await (
    await aws.balancing()
  ).modifyTargetGroupAttributes({
    TargetGroupArn,
    Attributes: attributes({
      "deregistration_delay.timeout_seconds": inputs.deregistrationDelay,
      "preserve_client_ip.enabled": inputs.preserveClientIp,
      "deregistration_delay.connection_termination.enabled": inputs.connectionTermination,
    }),
  });
}

const attachmentFields = {
  targetGroupArn: text({ required: true, replaces: true }),
  targetId: text({ required: true, replaces: true }),
  port: number({ replaces: true }),
  availabilityZone: text({ replaces: true }),
} as const;

/** aws.lb.TargetGroupAttachment */
export const targetGroupAttachment = awsResource({
  type: "aws:lb/targetGroupAttachment:TargetGroupAttachment",
  fields: attachmentFields,
  computed: [],
  missing: [...missing, "InvalidTarget", "InvalidTargetException"],
  create: async (inputs, { aws }) => {
    await (
      await aws.balancing()
    ).registerTargets({ TargetGroupArn: inputs.targetGroupArn, Targets: [target(inputs)] });
    return `${inputs.targetGroupArn}-${process.hrtime.bigint()}`;
  },
  read: async (_id, state, aws) => {
    const inputs = state as InputsOf<typeof attachmentFields>;
    const health = await registered(aws, inputs);
    return health === undefined || health === "unused" || health === "draining" ? undefined : {};
  },
  remove: async (_id, state, { aws, context }) => {
    const inputs = state as InputsOf<typeof attachmentFields>;
    await (
      await aws.balancing()
    ).deregisterTargets({
      TargetGroupArn: textOf(state, "targetGroupArn"),
      Targets: [target(inputs)],
    });
    await until(`target ${inputs.targetId} to go`, context, 10 * 60, async () => {
      const health = await registered(aws, inputs);
      return health === undefined || health === "unused" || health === "draining"
        ? true
        : undefined;
    });
  },
});

async function registered(
  aws: Aws,
  inputs: InputsOf<typeof attachmentFields>,
): Promise<string | undefined> {
  const { TargetHealthDescriptions } = await (
    await aws.balancing()
  ).describeTargetHealth({ TargetGroupArn: inputs.targetGroupArn, Targets: [target(inputs)] });
  return single(TargetHealthDescriptions)?.TargetHealth?.State;
}

function target(inputs: InputsOf<typeof attachmentFields>) {
  return {
    Id: inputs.targetId,
    Port: inputs.port,
    AvailabilityZone: inputs.availabilityZone,
  };
}
