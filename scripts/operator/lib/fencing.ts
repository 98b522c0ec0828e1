import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  type AutoScalingGroup,
} from "@aws-sdk/client-auto-scaling";
import { DescribeInstancesCommand, DescribeVolumesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { clusterTag } from "./inventory.ts";
import type { Member } from "./stack.ts";

/**
 * Whether a member that does not answer is certainly off. Asked with the operator's own credentials: no machine may say of another
 * that it is dead.
 */

/** The tag with a member's name. */
const memberTag = "etcd-cluster:member";

/** What AWS says about a member. */
export interface FencingFacts {
  /** Machines that the group is to have, and has. */
  readonly wanted: number;
  readonly machines: readonly string[];
  /** State of every instance that bears the member's tags. */
  readonly instances: readonly { readonly id: string; readonly state: string }[];
  /** Volumes with the member's tags that are attached. */
  readonly attached: readonly { readonly id: string; readonly to: string }[];
}

/** Why the member may still be alive; undefined when it is not. */
export function judgeFencing(facts: FencingFacts): string | undefined {
  if (facts.wanted !== 0)
    return `its group is to have ${facts.wanted} machine; set that to 0 (make fence)`;
  if (facts.machines.length > 0) return `its group still has ${facts.machines.join(", ")}`;
  const alive = facts.instances.find(({ state }) => state !== "terminated");
  if (alive !== undefined) return `${alive.id} is ${alive.state}, not terminated`;
  const [volume] = facts.attached;
  return volume === undefined ? undefined : `${volume.id} is still attached to ${volume.to}`;
}

/** The member's group, and the cluster that its tag names; or what is wrong with it. */
export async function groupOf({
  groupName,
}: Member): Promise<{ group: AutoScalingGroup; cluster: string } | string> {
  const groups = await new AutoScalingClient({}).send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [groupName] }),
  );
  const group = groups.AutoScalingGroups?.[0];
  if (group === undefined) return `there is no group ${groupName}`;
  const cluster = group.Tags?.find(({ Key }) => Key === clusterTag)?.Value;
  return cluster === undefined ? `its group bears no tag ${clusterTag}` : { group, cluster };
}

/** The cluster that the members' groups belong to, by their tags; an error when that is not one. */
export async function clusterOf(members: readonly Member[]): Promise<string> {
  const names = new Set<string>();
  for (const member of members) {
    const found = await groupOf(member);
    if (typeof found === "string") throw new Error(`${member.name}: ${found}`);
    names.add(found.cluster);
  }
  const [name, ...others] = names;
  if (name === undefined) throw new Error("the stack has no members");
  if (others.length > 0) {
    throw new Error(`the members' groups belong to several clusters: ${[...names].join(", ")}`);
  }
  return name;
}

/** Asks AWS, and judges. */
export async function fencingProblem(member: Member): Promise<string | undefined> {
  const found = await groupOf(member);
  if (typeof found === "string") return found;
  const { group, cluster } = found;
  const Filters = [
    { Name: `tag:${clusterTag}`, Values: [cluster] },
    { Name: `tag:${memberTag}`, Values: [member.name] },
  ];
  const ec2 = new EC2Client({});
  const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ Filters }));
  const { Volumes = [] } = await ec2.send(new DescribeVolumesCommand({ Filters }));
  return judgeFencing({
    wanted: Math.max(group.DesiredCapacity ?? 0, group.MinSize ?? 0),
    machines: (group.Instances ?? []).map(({ InstanceId = "" }) => InstanceId),
    instances: Reservations.flatMap(({ Instances = [] }) => Instances).map((instance) => ({
      id: instance.InstanceId ?? "",
      state: instance.State?.Name ?? "unknown",
    })),
    attached: Volumes.flatMap(({ VolumeId = "", Attachments = [] }) =>
      Attachments.filter(({ State }) => State !== "detached").map(({ InstanceId }) => ({
        id: VolumeId,
        to: InstanceId ?? "a machine",
      })),
    ),
  });
}
