import { randomUUID } from "node:crypto";
import {
  DescribeInstancesCommand,
  DescribeLaunchTemplateVersionsCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
  type EC2Client,
} from "@aws-sdk/client-ec2";
import { backoffMs, decide, type InstanceState, type Step } from "./decide.ts";
import { withActivity, type Activity, type Group } from "./model.ts";
import { runRequest } from "./launch.ts";

/** What the engine needs of its surroundings. */
export interface EngineParts {
  /** EC2 as the auto scaling service calls it: through the front, which checks and records. */
  readonly ec2: (region: string) => EC2Client;
  /** Keeps the groups where a person can read them; they are not read back, because moto forgets as well. */
  readonly save: (groups: readonly Group[]) => void;
  readonly log: (line: string) => void;
}

/** The groups, and the actor that keeps each at its desired capacity. */
export class GroupEngine {
  private readonly parts: EngineParts;
  private readonly groups = new Map<string, Group>();
  private running: Promise<void> | undefined;
  private again = false;

  constructor(parts: EngineParts) {
    this.parts = parts;
  }

  /** All groups of a region. */
  list(region: string): readonly Group[] {
    return [...this.groups.values()].filter((group) => group.region === region);
  }

  /** One group by name. */
  find(region: string, name: string): Group | undefined {
    return this.groups.get(`${region}/${name}`);
  }

  /** The group a machine belongs to. */
  groupOf(region: string, instanceId: string): Group | undefined {
    return this.list(region).find((group) =>
      group.instances.some((instance) => instance.instanceId === instanceId),
    );
  }

  /** Stores a group, new or changed. */
  put(group: Group): void {
    this.groups.set(`${group.region}/${group.name}`, group);
    this.save();
  }

  /** When the next launch that has failed before may be tried again (milliseconds since 1970), if one waits. */
  nextDue(): number | undefined {
    const due = [...this.groups.values()]
      .filter((group) => group.failedLaunches > 0 && !group.deleting)
      .map((group) => group.nextLaunchAt);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** Lets every group take its next steps. Calls while one is under way lead to one more round, not to two at once. */
  async tick(): Promise<void> {
    if (this.running !== undefined) {
      this.again = true;
      return this.running;
    }
    this.running = this.rounds();
    try {
      await this.running;
    } finally {
      this.running = undefined;
    }
  }

  private async rounds(): Promise<void> {
    do {
      this.again = false;
      for (const region of new Set([...this.groups.values()].map((group) => group.region))) {
        // One look for all groups: what they launch meanwhile is looked at in the next round.
        const states = await this.states(region);
        for (const group of this.list(region)) await this.round(group, states);
      }
    } while (this.again as boolean);
  }

  private async round(group: Group, states: ReadonlyMap<string, InstanceState>): Promise<void> {
    try {
      for (const step of decide(group, states, Date.now())) {
        await this.take(group.region, group.name, step);
      }
    } catch (error) {
      this.parts.log(`auto scaling group ${group.name}: ${String(error)}`);
    }
  }

  private async states(region: string): Promise<Map<string, InstanceState>> {
    const ids = this.list(region).flatMap((group) =>
      group.instances.map((instance) => instance.instanceId),
    );
    if (ids.length === 0) return new Map();
    const { Reservations = [] } = await this.parts
      .ec2(region)
      .send(new DescribeInstancesCommand({ Filters: [{ Name: "instance-id", Values: ids }] }));
    return new Map(
      Reservations.flatMap(({ Instances = [] }) => Instances).map((instance) => [
        instance.InstanceId ?? "",
        instance.State?.Name ?? "gone",
      ]),
    );
  }

  private async take(region: string, name: string, step: Step): Promise<void> {
    const group = this.find(region, name);
    if (group === undefined) return;
    switch (step.kind) {
      case "remove":
        this.groups.delete(`${region}/${name}`);
        this.save();
        return;
      case "forget":
        this.put({
          ...group,
          instances: group.instances.filter(({ instanceId }) => instanceId !== step.instanceId),
        });
        return;
      case "terminate":
        await this.terminate(group, step.instanceId, step.cause);
        return;
      case "launch":
        await this.launch(group, step.cause);
    }
  }

  /** Terminates a machine of a group, as an activity. */
  async terminate(group: Group, instanceId: string, cause: string): Promise<Activity> {
    const activity = newActivity(`Terminating EC2 instance: ${instanceId}`, cause);
    this.parts.log(`auto scaling group ${group.name}: terminating ${instanceId}: ${cause}`);
    this.update(group, (current) =>
      withActivity(
        {
          ...current,
          instances: current.instances.map((instance) =>
            instance.instanceId === instanceId
              ? { ...instance, lifecycleState: "Terminating" }
              : instance,
          ),
        },
        finished(activity),
      ),
    );
    try {
      await this.parts
        .ec2(group.region)
        .send(new TerminateInstancesCommand({ InstanceIds: [instanceId] }));
    } catch (error) {
      if (!(error instanceof Error && error.name === "InvalidInstanceID.NotFound")) throw error;
    }
    return activity;
  }

  private async launch(group: Group, cause: string): Promise<void> {
    const activity = newActivity("Launching a new EC2 instance", cause);
    try {
      const ec2 = this.parts.ec2(group.region);
      const { launchTemplateId, version } = group.launchTemplate;
      const { LaunchTemplateVersions = [] } = await ec2.send(
        new DescribeLaunchTemplateVersionsCommand({
          LaunchTemplateId: launchTemplateId,
          Versions: [version],
        }),
      );
      const template = LaunchTemplateVersions[0];
      if (template === undefined)
        throw new Error(`launch template ${launchTemplateId} has no version ${version}`);
      const { Instances = [] } = await ec2.send(
        new RunInstancesCommand(runRequest(group, template)),
      );
      const instance = Instances[0];
      const instanceId = instance?.InstanceId ?? "";
      this.parts.log(`auto scaling group ${group.name}: launched ${instanceId}`);
      this.update(group, (current) =>
        withActivity(
          {
            ...current,
            failedLaunches: 0,
            nextLaunchAt: 0,
            instances: [
              ...current.instances,
              {
                instanceId,
                instanceType: instance?.InstanceType ?? "",
                availabilityZone: instance?.Placement?.AvailabilityZone ?? "",
                launchTemplateVersion: String(template.VersionNumber ?? version),
                lifecycleState: "InService",
                healthStatus: "Healthy",
                launchedAt: new Date().toISOString(),
              },
            ],
          },
          finished({ ...activity, description: `Launching a new EC2 instance: ${instanceId}` }),
        ),
      );
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.parts.log(`auto scaling group ${group.name}: launch failed: ${message}`);
      this.update(group, (current) =>
        withActivity(
          {
            ...current,
            failedLaunches: current.failedLaunches + 1,
            nextLaunchAt: Date.now() + backoffMs(current.failedLaunches + 1),
          },
          {
            ...finished(activity),
            statusCode: "Failed",
            statusMessage: `${message} Launching EC2 instance failed.`,
          },
        ),
      );
    }
  }

  private update(group: Group, change: (current: Group) => Group): void {
    const current = this.find(group.region, group.name);
    if (current !== undefined) this.put(change(current));
  }

  private save(): void {
    this.parts.save([...this.groups.values()]);
  }
}

function newActivity(description: string, cause: string): Activity {
  const startTime = new Date().toISOString();
  return {
    activityId: randomUUID(),
    description,
    cause: `At ${startTime} ${cause}.`,
    startTime,
    statusCode: "InProgress",
  };
}

function finished(activity: Activity): Activity {
  return { ...activity, statusCode: "Successful", endTime: new Date().toISOString() };
}
