import { accountId } from "../../paths.ts";
import type { Activity, Group, GroupInstance } from "./model.ts";

/** A group in the API's words. */
export function renderGroup(group: Group) {
  return {
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: group.arn,
    LaunchTemplate: template(group),
    MinSize: group.minSize,
    MaxSize: group.maxSize,
    DesiredCapacity: group.desiredCapacity,
    DefaultCooldown: group.defaultCooldown,
    AvailabilityZones: group.availabilityZones,
    LoadBalancerNames: [],
    TargetGroupARNs: group.targetGroupArns,
    HealthCheckType: group.healthCheckType,
    HealthCheckGracePeriod: group.healthCheckGracePeriod,
    Instances: group.instances.map((instance) => renderInstance(group, instance)),
    CreatedTime: group.createdTime,
    SuspendedProcesses: [],
    VPCZoneIdentifier: group.vpcZoneIdentifier,
    EnabledMetrics: [],
    Status: group.deleting ? "Delete in progress" : undefined,
    Tags: group.tags.map((tag) => ({
      ResourceId: group.name,
      ResourceType: "auto-scaling-group",
      Key: tag.key,
      Value: tag.value,
      PropagateAtLaunch: tag.propagateAtLaunch,
    })),
    TerminationPolicies: group.terminationPolicies,
    NewInstancesProtectedFromScaleIn: group.newInstancesProtectedFromScaleIn,
    ServiceLinkedRoleARN: `arn:aws:iam::${accountId}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
    MaxInstanceLifetime: group.maxInstanceLifetime,
    DefaultInstanceWarmup: group.defaultInstanceWarmup,
    InstanceMaintenancePolicy:
      group.maintenance === undefined
        ? undefined
        : {
            MinHealthyPercentage: group.maintenance.min,
            MaxHealthyPercentage: group.maintenance.max,
          },
    TrafficSources: [],
  };
}

/** A group's machine in the API's words. */
export function renderInstance(group: Group, instance: GroupInstance) {
  return {
    InstanceId: instance.instanceId,
    InstanceType: instance.instanceType,
    AvailabilityZone: instance.availabilityZone,
    LifecycleState: instance.lifecycleState,
    HealthStatus: instance.healthStatus,
    LaunchTemplate: { ...template(group), Version: instance.launchTemplateVersion },
    ProtectedFromScaleIn: group.newInstancesProtectedFromScaleIn,
  };
}

/** An activity in the API's words. */
export function renderActivity(group: Group, activity: Activity) {
  return {
    ActivityId: activity.activityId,
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: group.arn,
    Description: activity.description,
    Cause: activity.cause,
    StartTime: activity.startTime,
    EndTime: activity.endTime,
    StatusCode: activity.statusCode,
    StatusMessage: activity.statusMessage,
    Progress: activity.statusCode === "InProgress" ? 50 : 100,
    Details: "{}",
  };
}

function template(group: Group) {
  return {
    LaunchTemplateId: group.launchTemplate.launchTemplateId,
    LaunchTemplateName: group.launchTemplate.launchTemplateName,
    Version: group.launchTemplate.version,
  };
}
