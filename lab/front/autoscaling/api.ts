import { randomUUID } from "node:crypto";
import { accountId } from "../../paths.ts";
import type { Answer, Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Rule } from "../rule.ts";
import { queryAnswer } from "../xml.ts";
import { checkGroup, resolveTemplate } from "./check.ts";
import type { GroupEngine } from "./engine.ts";
import type { Activity, Group, GroupTag } from "./model.ts";
import type { Params } from "../params.ts";
import { renderActivity, renderGroup, renderInstance } from "./render.ts";
import type { Records } from "../records.ts";

/** Parameters of a group that the lab understands. Any other is refused by name. */
const groupParams = [
  "AutoScalingGroupName",
  "AvailabilityZones",
  "CapacityRebalance",
  "DefaultCooldown",
  "DefaultInstanceWarmup",
  "DesiredCapacity",
  "HealthCheckGracePeriod",
  "HealthCheckType",
  "InstanceMaintenancePolicy",
  "LaunchTemplate",
  "MaxInstanceLifetime",
  "MaxSize",
  "MinSize",
  "NewInstancesProtectedFromScaleIn",
  "ServiceLinkedRoleARN",
  "Tags",
  "TargetGroupARNs",
  "TerminationPolicies",
  "VPCZoneIdentifier",
];

function onlyKnown(params: Params, known: readonly string[]): void {
  for (const [name] of params.entries()) {
    const [top = ""] = name.split(".");
    if (!["Action", "Version", ...known].includes(top)) {
      throw new AwsError(
        "LabUnknownParameter",
        `The lab's auto scaling does not know the parameter ${top}.`,
      );
    }
  }
}

function invalid(message: string): AwsError {
  return new AwsError("ValidationError", message);
}

function existing(engine: GroupEngine, region: string, name: string | undefined): Group {
  const group = name === undefined ? undefined : engine.find(region, name);
  if (group === undefined) {
    throw invalid(`AutoScalingGroup name not found - AutoScalingGroup '${name ?? ""}' not found`);
  }
  return group;
}

function integer(params: Params, name: string): number | undefined {
  const text = params.text(name);
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) throw invalid(`${name} is not a whole number: ${text}`);
  return Number(text);
}

function tagsOf(params: Params): GroupTag[] {
  return params.items("Tags").map((tag) => ({
    key: tag.text("Key") ?? "",
    value: tag.text("Value") ?? "",
    propagateAtLaunch: tag.text("PropagateAtLaunch") === "true",
  }));
}

/** A group's settings as given by a call, over those it had. */
async function settings(call: Call, base: Group, records: Records): Promise<Group> {
  const { params, region } = call;
  const has = (name: string): boolean => params.has(name);
  const warmup = integer(params, "DefaultInstanceWarmup");
  const lifetime = integer(params, "MaxInstanceLifetime");
  const maintenance = params.below("InstanceMaintenancePolicy");
  return {
    ...base,
    minSize: integer(params, "MinSize") ?? base.minSize,
    maxSize: integer(params, "MaxSize") ?? base.maxSize,
    desiredCapacity:
      integer(params, "DesiredCapacity") ??
      Math.max(base.desiredCapacity, integer(params, "MinSize") ?? base.minSize),
    launchTemplate: has("LaunchTemplate")
      ? await resolveTemplate(records, region, params.below("LaunchTemplate"))
      : base.launchTemplate,
    availabilityZones: has("AvailabilityZones")
      ? params.list("AvailabilityZones")
      : base.availabilityZones,
    vpcZoneIdentifier: params.text("VPCZoneIdentifier") ?? base.vpcZoneIdentifier,
    healthCheckType: params.text("HealthCheckType") ?? base.healthCheckType,
    healthCheckGracePeriod:
      integer(params, "HealthCheckGracePeriod") ?? base.healthCheckGracePeriod,
    defaultCooldown: integer(params, "DefaultCooldown") ?? base.defaultCooldown,
    terminationPolicies: has("TerminationPolicies")
      ? params.list("TerminationPolicies")
      : base.terminationPolicies,
    newInstancesProtectedFromScaleIn: has("NewInstancesProtectedFromScaleIn")
      ? params.text("NewInstancesProtectedFromScaleIn") === "true"
      : base.newInstancesProtectedFromScaleIn,
    targetGroupArns: has("TargetGroupARNs") ? params.list("TargetGroupARNs") : base.targetGroupArns,
    ...(warmup === undefined ? {} : { defaultInstanceWarmup: warmup }),
    ...(lifetime === undefined ? {} : { maxInstanceLifetime: lifetime }),
    ...(has("InstanceMaintenancePolicy")
      ? {
          maintenance: {
            min: Number(maintenance.text("MinHealthyPercentage") ?? -1),
            max: Number(maintenance.text("MaxHealthyPercentage") ?? -1),
          },
        }
      : {}),
  };
}

function blank(region: string, name: string): Group {
  return {
    name,
    region,
    arn: `arn:aws:autoscaling:${region}:${accountId}:autoScalingGroup:${randomUUID()}:autoScalingGroupName/${name}`,
    createdTime: new Date().toISOString(),
    minSize: -1,
    maxSize: -1,
    desiredCapacity: -1,
    launchTemplate: { launchTemplateId: "", launchTemplateName: "", version: "" },
    availabilityZones: [],
    vpcZoneIdentifier: "",
    healthCheckType: "EC2",
    healthCheckGracePeriod: 0,
    defaultCooldown: 300,
    terminationPolicies: ["Default"],
    newInstancesProtectedFromScaleIn: false,
    targetGroupArns: [],
    tags: [],
    instances: [],
    activities: [],
    deleting: false,
    failedLaunches: 0,
    nextLaunchAt: 0,
  };
}

const ok = (operation: string): Answer => queryAnswer(operation, {});

/** The auto scaling API over the group engine. moto's own service ignores interfaces in launch templates. */
export function autoscalingRules(engine: GroupEngine): Record<string, Rule> {
  const rule = (
    operation: string,
    answer: (call: Call, records: Records) => Promise<Answer> | Answer,
  ): [string, Rule] => [
    `autoscaling:${operation}`,
    { instead: (call, context) => answer(call, context.records) },
  ];
  return Object.fromEntries([
    rule("CreateAutoScalingGroup", async (call, records) => {
      onlyKnown(call.params, groupParams);
      const name = call.params.text("AutoScalingGroupName") ?? "";
      if (engine.find(call.region, name) !== undefined) {
        throw new AwsError(
          "AlreadyExists",
          `AutoScalingGroup by this name already exists - A group with the name ${name} already exists`,
        );
      }
      const group = {
        ...(await settings(call, blank(call.region, name), records)),
        tags: tagsOf(call.params),
      };
      engine.put(await checkGroup(records, group));
      return ok("CreateAutoScalingGroup");
    }),
    rule("UpdateAutoScalingGroup", async (call, records) => {
      onlyKnown(
        call.params,
        groupParams.filter((name) => name !== "Tags" && name !== "TargetGroupARNs"),
      );
      const group = existing(engine, call.region, call.params.text("AutoScalingGroupName"));
      const changed = await settings(call, group, records);
      // A new template or size is worth a try at once.
      engine.put({ ...(await checkGroup(records, changed)), nextLaunchAt: 0 });
      return ok("UpdateAutoScalingGroup");
    }),
    rule("DeleteAutoScalingGroup", (call) => {
      onlyKnown(call.params, ["AutoScalingGroupName", "ForceDelete"]);
      const group = existing(engine, call.region, call.params.text("AutoScalingGroupName"));
      if (group.instances.length > 0 && call.params.text("ForceDelete") !== "true") {
        throw new AwsError(
          "ResourceInUse",
          "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
        );
      }
      engine.put({ ...group, deleting: true, desiredCapacity: 0, minSize: 0 });
      return ok("DeleteAutoScalingGroup");
    }),
    rule("SetDesiredCapacity", (call) => {
      onlyKnown(call.params, ["AutoScalingGroupName", "DesiredCapacity", "HonorCooldown"]);
      const group = existing(engine, call.region, call.params.text("AutoScalingGroupName"));
      const desired = integer(call.params, "DesiredCapacity") ?? -1;
      if (desired < group.minSize || desired > group.maxSize) {
        throw invalid(
          `New SetDesiredCapacity value ${desired} is ${desired < group.minSize ? "below min" : "above max"} value ${desired < group.minSize ? group.minSize : group.maxSize} for the AutoScalingGroup.`,
        );
      }
      engine.put({ ...group, desiredCapacity: desired });
      return ok("SetDesiredCapacity");
    }),
    rule("CreateOrUpdateTags", (call) => {
      onlyKnown(call.params, ["Tags"]);
      for (const item of call.params.items("Tags")) {
        const group = existing(engine, call.region, item.text("ResourceId"));
        const key = item.text("Key") ?? "";
        engine.put({
          ...group,
          tags: [
            ...group.tags.filter((tag) => tag.key !== key),
            {
              key,
              value: item.text("Value") ?? "",
              propagateAtLaunch: item.text("PropagateAtLaunch") === "true",
            },
          ],
        });
      }
      return ok("CreateOrUpdateTags");
    }),
    rule("DeleteTags", (call) => {
      onlyKnown(call.params, ["Tags"]);
      for (const item of call.params.items("Tags")) {
        const group = existing(engine, call.region, item.text("ResourceId"));
        engine.put({ ...group, tags: group.tags.filter((tag) => tag.key !== item.text("Key")) });
      }
      return ok("DeleteTags");
    }),
    rule("DescribeTags", (call) => {
      onlyKnown(call.params, ["Filters", "MaxRecords"]);
      const wanted = filterValues(call.params, "auto-scaling-group");
      return queryAnswer("DescribeTags", {
        Tags: engine
          .list(call.region)
          .filter((group) => wanted === undefined || wanted.includes(group.name))
          .flatMap((group) => renderGroup(group).Tags),
      });
    }),
    rule("DescribeAutoScalingGroups", (call) => {
      onlyKnown(call.params, [
        "AutoScalingGroupNames",
        "Filters",
        "MaxRecords",
        "IncludeInstances",
      ]);
      const names = call.params.list("AutoScalingGroupNames");
      return queryAnswer("DescribeAutoScalingGroups", {
        AutoScalingGroups: engine
          .list(call.region)
          .filter((group) => names.length === 0 || names.includes(group.name))
          .filter((group) => matchesTags(group, call.params))
          .map(renderGroup),
      });
    }),
    rule("DescribeAutoScalingInstances", (call) => {
      onlyKnown(call.params, ["InstanceIds", "MaxRecords"]);
      const ids = call.params.list("InstanceIds");
      return queryAnswer("DescribeAutoScalingInstances", {
        AutoScalingInstances: engine.list(call.region).flatMap((group) =>
          group.instances
            .filter(({ instanceId }) => ids.length === 0 || ids.includes(instanceId))
            .map((instance) => ({
              ...renderInstance(group, instance),
              AutoScalingGroupName: group.name,
            })),
        ),
      });
    }),
    rule("DescribeScalingActivities", (call) => {
      onlyKnown(call.params, [
        "AutoScalingGroupName",
        "ActivityIds",
        "MaxRecords",
        "IncludeDeletedGroups",
      ]);
      const name = call.params.text("AutoScalingGroupName");
      const groups =
        name === undefined ? engine.list(call.region) : [existing(engine, call.region, name)];
      return queryAnswer("DescribeScalingActivities", {
        Activities: groups
          .flatMap((group) => group.activities.map((activity) => renderActivity(group, activity)))
          .slice(0, integer(call.params, "MaxRecords") ?? 100),
      });
    }),
    rule("SetInstanceHealth", (call) => {
      onlyKnown(call.params, ["InstanceId", "HealthStatus", "ShouldRespectGracePeriod"]);
      const { group, instance } = member(engine, call);
      const health = call.params.text("HealthStatus");
      if (health !== "Healthy" && health !== "Unhealthy") {
        throw invalid("Valid instance health states are: [Healthy, Unhealthy].");
      }
      const young =
        Date.now() - Date.parse(instance.launchedAt) < group.healthCheckGracePeriod * 1000;
      if (
        health === "Unhealthy" &&
        young &&
        call.params.text("ShouldRespectGracePeriod") !== "false"
      ) {
        return ok("SetInstanceHealth");
      }
      engine.put({
        ...group,
        instances: group.instances.map((one) =>
          one.instanceId === instance.instanceId ? { ...one, healthStatus: health } : one,
        ),
      });
      return ok("SetInstanceHealth");
    }),
    rule("TerminateInstanceInAutoScalingGroup", async (call) => {
      onlyKnown(call.params, ["InstanceId", "ShouldDecrementDesiredCapacity"]);
      const { group, instance } = member(engine, call);
      const decrement = call.params.text("ShouldDecrementDesiredCapacity") === "true";
      if (decrement) {
        if (group.desiredCapacity - 1 < group.minSize) {
          throw invalid(
            `Currently, desiredSize equals minSize (${group.minSize}). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.`,
          );
        }
        engine.put({ ...group, desiredCapacity: group.desiredCapacity - 1 });
      }
      const activity: Activity = await engine.terminate(
        group,
        instance.instanceId,
        "an instance was taken out of service in response to a user request",
      );
      return queryAnswer("TerminateInstanceInAutoScalingGroup", {
        Activity: renderActivity(group, activity),
      });
    }),
  ]);
}

function member(engine: GroupEngine, call: Call) {
  const id = call.params.text("InstanceId") ?? "";
  const group = engine.groupOf(call.region, id);
  const instance = group?.instances.find(({ instanceId }) => instanceId === id);
  if (group === undefined || instance === undefined) {
    throw invalid(`Instance Id not found - No managed instance found for instance ID ${id}`);
  }
  return { group, instance };
}

function filterValues(params: Params, name: string): string[] | undefined {
  return params
    .items("Filters")
    .find((filter) => filter.text("Name") === name)
    ?.list("Values");
}

function matchesTags(group: Group, params: Params): boolean {
  return params.items("Filters").every((filter) => {
    const name = filter.text("Name") ?? "";
    const values = filter.list("Values");
    if (name === "tag-key") return group.tags.some((tag) => values.includes(tag.key));
    if (name === "tag-value") return group.tags.some((tag) => values.includes(tag.value));
    if (name.startsWith("tag:")) {
      return group.tags.some((tag) => tag.key === name.slice(4) && values.includes(tag.value));
    }
    throw invalid(
      `Filter type ${name} is not correct. Allowed Filter types are: [tag-key, tag-value, tag:<key>]`,
    );
  });
}
