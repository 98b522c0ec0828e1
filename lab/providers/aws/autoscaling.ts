import type { AutoScalingGroup } from "@aws-sdk/client-auto-scaling";

import { flag, list, number, object, set, text, type InputsOf } from "../shared/schema.ts";
import { awsResource, single, textOf } from "./awsResource.ts";
import type { Aws } from "./environment.ts";
import { until, whileBusy } from "./waiting.ts";

const tag = object({
  key: text({ required: true }),
  value: text({ required: true }),
  propagateAtLaunch: flag({ required: true }),
});

const fields = {
  name: text({ replaces: true }),
  minSize: number({ required: true }),
  maxSize: number({ required: true }),
  desiredCapacity: number(),
  availabilityZones: set(text()),
  vpcZoneIdentifiers: set(text()),
  launchTemplate: object({ id: text(), name: text(), version: text() }, { required: true }),
  healthCheckType: text(),
  healthCheckGracePeriod: number(),
  defaultCooldown: number(),
  instanceMaintenancePolicy: object({
    minHealthyPercentage: number({ required: true }),
    maxHealthyPercentage: number({ required: true }),
  }),
  terminationPolicies: list(text()),
  forceDelete: flag(),
  waitForCapacityTimeout: text(),
  tags: set(tag),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.autoscaling.Group. The provider's default tags do not reach it, as with the real provider. */
export const group = awsResource({
  type: "aws:autoscaling/group:Group",
  fields,
  computed: ["arn", "availabilityZones", "desiredCapacity", "vpcZoneIdentifiers"],
  autoname: { field: "name", maxLength: 255 },
  normalize: (inputs) => ({
    forceDelete: false,
    healthCheckGracePeriod: 300,
    waitForCapacityTimeout: "10m",
    ...inputs,
  }),
  missing: ["GroupNotFound"],
  create: async (inputs, { aws }) => {
    const name = inputs.name ?? "";
    await (
      await aws.autoscaling()
    ).createAutoScalingGroup({
      AutoScalingGroupName: name,
      ...settings(inputs),
      Tags: inputs.tags?.map((one) => tagRequest(name, one)),
    });
    return name;
  },
  ready: async (id, state, { aws, context }) => {
    const wait = textOf(state, "waitForCapacityTimeout");
    const seconds = durationSeconds(wait);
    if (seconds === 0) {
      return;
    }
    await until(`group ${id} to reach its capacity`, context, seconds, async () => {
      const found = await find(aws, id);
      const healthy = found?.Instances?.filter(
        ({ HealthStatus, LifecycleState }) =>
          HealthStatus?.toLowerCase() === "healthy" && LifecycleState === "InService",
      );
      const wanted = found?.DesiredCapacity ?? found?.MinSize ?? 0;
      return (healthy?.length ?? 0) >= wanted ? true : undefined;
    });
  },
  read: async (id, _state, aws) => {
    const found = await find(aws, id);
    if (found === undefined || found.Status === "Delete in progress") {
      return undefined;
    }
    const { LaunchTemplate: template } = found;
    return {
      arn: found.AutoScalingGroupARN,
      name: found.AutoScalingGroupName,
      minSize: found.MinSize,
      maxSize: found.MaxSize,
      desiredCapacity: found.DesiredCapacity,
      availabilityZones: found.AvailabilityZones,
      vpcZoneIdentifiers: (found.VPCZoneIdentifier ?? "").split(",").filter((one) => one !== ""),
      healthCheckType: found.HealthCheckType,
      healthCheckGracePeriod: found.HealthCheckGracePeriod,
      launchTemplate: template && {
        id: template.LaunchTemplateId ?? "",
        name: template.LaunchTemplateName ?? "",
        version: template.Version ?? "",
      },
    };
  },
  update: async ({ id, olds, news, changed }, { aws }) => {
    const autoscaling = await aws.autoscaling();
    await autoscaling.updateAutoScalingGroup({ AutoScalingGroupName: id, ...settings(news) });
    if (!changed.has("tags")) {
      return;
    }
    const kept = new Set(news.tags?.map(({ key }) => key));
    const gone = (olds.tags ?? []).filter(({ key }) => !kept.has(key));
    if (gone.length > 0) {
      await autoscaling.deleteTags({ Tags: gone.map((one) => tagRequest(id, one)) });
    }
    if (news.tags !== undefined && news.tags.length > 0) {
      await autoscaling.createOrUpdateTags({ Tags: news.tags.map((one) => tagRequest(id, one)) });
    }
  },
  remove: async (id, state, { aws, context }) => {
    const autoscaling = await aws.autoscaling();
    const force = state["forceDelete"] === true;
    if (!force) {
      await autoscaling.updateAutoScalingGroup({
        AutoScalingGroupName: id,
        MinSize: 0,
        MaxSize: 0,
        DesiredCapacity: 0,
      });
      await until(`group ${id} to be empty`, context, 10 * 60, async () => {
        const found = await find(aws, id);
        return (found?.Instances?.length ?? 0) === 0 ? true : undefined;
      });
    }
    await whileBusy(["ResourceInUse", "ScalingActivityInProgress"], context, 10 * 60, () =>
      autoscaling.deleteAutoScalingGroup({ AutoScalingGroupName: id, ForceDelete: force }),
    );
    await until(`group ${id} to go`, context, 10 * 60, async () =>
      (await find(aws, id)) === undefined ? true : undefined,
    );
  },
});

function settings(inputs: Inputs) {
  const { launchTemplate: template, instanceMaintenancePolicy: policy } = inputs;
  return {
    MinSize: inputs.minSize,
    MaxSize: inputs.maxSize,
    DesiredCapacity: inputs.desiredCapacity,
    AvailabilityZones: inputs.availabilityZones && [...inputs.availabilityZones],
    VPCZoneIdentifier: inputs.vpcZoneIdentifiers?.join(","),
    LaunchTemplate: {
      LaunchTemplateId: template.id,
      LaunchTemplateName: template.name,
      Version: template.version,
    },
    HealthCheckType: inputs.healthCheckType,
    HealthCheckGracePeriod: inputs.healthCheckGracePeriod,
    DefaultCooldown: inputs.defaultCooldown,
    TerminationPolicies: inputs.terminationPolicies && [...inputs.terminationPolicies],
    InstanceMaintenancePolicy: policy && {
      MinHealthyPercentage: policy.minHealthyPercentage,
      MaxHealthyPercentage: policy.maxHealthyPercentage,
    },
  };
}

function tagRequest(group: string, one: NonNullable<Inputs["tags"]>[number]) {
  return {
    ResourceId: group,
    ResourceType: "auto-scaling-group",
    Key: one.key,
    Value: one.value,
    PropagateAtLaunch: one.propagateAtLaunch,
  };
}

async function find(aws: Aws, name: string): Promise<AutoScalingGroup | undefined> {
  const { AutoScalingGroups } = await (
    await aws.autoscaling()
  ).describeAutoScalingGroups({ AutoScalingGroupNames: [name] });
  return single(AutoScalingGroups);
}

/** A Go duration of hours, minutes and seconds, such as `1h30m`. */
function durationSeconds(text: string): number {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };
  return [...text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? "s"] ?? 1),
    0,
  );
}
