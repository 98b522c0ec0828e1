/** What the lab's auto scaling service remembers. Names follow the API. */

/** A machine of a group. */
export interface GroupInstance {
  readonly instanceId: string;
  readonly instanceType: string;
  readonly availabilityZone: string;
  readonly launchTemplateVersion: string;
  readonly lifecycleState: "InService" | "Terminating";
  readonly healthStatus: "Healthy" | "Unhealthy";
  readonly launchedAt: string;
}

/** One thing a group did or tried. */
export interface Activity {
  readonly activityId: string;
  readonly description: string;
  readonly cause: string;
  readonly startTime: string;
  readonly endTime?: string;
  readonly statusCode: "InProgress" | "Successful" | "Failed";
  readonly statusMessage?: string;
}

/** A group's tag. */
export interface GroupTag {
  readonly key: string;
  readonly value: string;
  readonly propagateAtLaunch: boolean;
}

/** Which launch template a group uses. */
export interface TemplateReference {
  readonly launchTemplateId: string;
  readonly launchTemplateName: string;
  /** A number, "$Latest" or "$Default". */
  readonly version: string;
}

/** An auto scaling group. */
export interface Group {
  readonly name: string;
  readonly arn: string;
  readonly region: string;
  readonly createdTime: string;
  readonly minSize: number;
  readonly maxSize: number;
  readonly desiredCapacity: number;
  readonly launchTemplate: TemplateReference;
  readonly availabilityZones: readonly string[];
  readonly vpcZoneIdentifier: string;
  readonly healthCheckType: string;
  readonly healthCheckGracePeriod: number;
  readonly defaultCooldown: number;
  readonly terminationPolicies: readonly string[];
  readonly newInstancesProtectedFromScaleIn: boolean;
  readonly maintenance?: { readonly min: number; readonly max: number };
  readonly maxInstanceLifetime?: number;
  readonly defaultInstanceWarmup?: number;
  readonly targetGroupArns: readonly string[];
  readonly tags: readonly GroupTag[];
  readonly instances: readonly GroupInstance[];
  /** Newest first. */
  readonly activities: readonly Activity[];
  /** Set by a forced deletion: the group goes when its last machine has gone. */
  readonly deleting: boolean;
  /** Failed launches since the last one that worked, and when the next may be tried. */
  readonly failedLaunches: number;
  readonly nextLaunchAt: number;
}

/** How long a group's activities are remembered, by count. */
const maxActivities = 100;

/** A group with one more activity. */
export function withActivity(group: Group, activity: Activity): Group {
  return { ...group, activities: [activity, ...group.activities].slice(0, maxActivities) };
}
