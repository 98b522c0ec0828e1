import type { EC2Client } from "@aws-sdk/client-ec2";
import * as ec2 from "@aws-sdk/client-ec2";

/** Tag by which everything of a cluster is known. */
export const clusterTag = "etcd-cluster:cluster";

/** Tag by which a member's own things are known. */
export const memberTag = "etcd-cluster:member";

/** A thing in EC2 that carries the cluster's tag. */
export interface Tagged {
  readonly id: string;
  readonly tags: Readonly<Record<string, string>>;
}

async function tags(
  client: EC2Client,
  filter: { Name: string; Values: string[] },
): Promise<ec2.TagDescription[]> {
  const found: ec2.TagDescription[] = [];
  for await (const page of ec2.paginateDescribeTags({ client }, { Filters: [filter] })) {
    found.push(...(page.Tags ?? []));
  }
  return found;
}

/** Everything in EC2 that carries the cluster's tag and still exists, with all its tags. */
export async function taggedThings(client: EC2Client, cluster: string): Promise<Tagged[]> {
  const marked = await tags(client, { Name: "key", Values: [clusterTag] });
  const ids = marked.flatMap(({ ResourceId, Value }) =>
    ResourceId !== undefined && Value === cluster ? [ResourceId] : [],
  );
  const byId = new Map<string, Record<string, string>>(ids.map((id) => [id, {}]));
  for (let at = 0; at < ids.length; at += 100) {
    const all = await tags(client, { Name: "resource-id", Values: ids.slice(at, at + 100) });
    for (const { ResourceId, Key, Value } of all) {
      const entry = byId.get(ResourceId ?? "");
      if (entry !== undefined && Key !== undefined) entry[Key] = Value ?? "";
    }
  }
  const live = await liveIds(client, ids);
  return [...byId]
    .filter(([id]) => live.has(id))
    .map(([id, all]) => ({ id, tags: all }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Asks which of some ids exist; a filter, because naming an id that does not exist is an error. */
type Describe = (client: EC2Client, ids: string[]) => Promise<(string | undefined)[]>;

const filter = (Name: string, Values: string[]) => ({ Filters: [{ Name, Values }] });

/** By the beginnings of ids. Tags outlive what bore them, by up to an hour. */
const describes: Readonly<Record<string, Describe>> = {
  "vpc-": async (client, ids) => {
    const answer = await client.send(new ec2.DescribeVpcsCommand(filter("vpc-id", ids)));
    return (answer.Vpcs ?? []).map(({ VpcId }) => VpcId);
  },
  "subnet-": async (client, ids) => {
    const answer = await client.send(new ec2.DescribeSubnetsCommand(filter("subnet-id", ids)));
    return (answer.Subnets ?? []).map(({ SubnetId }) => SubnetId);
  },
  "igw-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeInternetGatewaysCommand(filter("internet-gateway-id", ids)),
    );
    return (answer.InternetGateways ?? []).map(({ InternetGatewayId }) => InternetGatewayId);
  },
  "rtb-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeRouteTablesCommand(filter("route-table-id", ids)),
    );
    return (answer.RouteTables ?? []).map(({ RouteTableId }) => RouteTableId);
  },
  "sg-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeSecurityGroupsCommand(filter("group-id", ids)),
    );
    return (answer.SecurityGroups ?? []).map(({ GroupId }) => GroupId);
  },
  "sgr-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeSecurityGroupRulesCommand(filter("security-group-rule-id", ids)),
    );
    return (answer.SecurityGroupRules ?? []).map((rule) => rule.SecurityGroupRuleId);
  },
  "nat-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeNatGatewaysCommand({ Filter: [{ Name: "nat-gateway-id", Values: ids }] }),
    );
    return (answer.NatGateways ?? [])
      .filter(({ State }) => State === "pending" || State === "available")
      .map(({ NatGatewayId }) => NatGatewayId);
  },
  // One by one: there are few, and by id is how everybody understands the question.
  "vpce-": async (client, ids) => {
    const answers = ids.map(async (id) => {
      try {
        const { VpcEndpoints } = await client.send(
          new ec2.DescribeVpcEndpointsCommand({ VpcEndpointIds: [id] }),
        );
        const state = VpcEndpoints?.[0]?.State?.toLowerCase() ?? "deleted";
        return state.startsWith("delet") ? undefined : id;
      } catch (error) {
        if (error instanceof Error && /NotFound/.test(error.name)) return undefined;
        throw error;
      }
    });
    return Promise.all(answers);
  },
  "eipalloc-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeAddressesCommand(filter("allocation-id", ids)),
    );
    return (answer.Addresses ?? []).map(({ AllocationId }) => AllocationId);
  },
  "eni-": async (client, ids) => {
    const answer = await client.send(
      new ec2.DescribeNetworkInterfacesCommand(filter("network-interface-id", ids)),
    );
    return (answer.NetworkInterfaces ?? []).map(({ NetworkInterfaceId }) => NetworkInterfaceId);
  },
  "vol-": async (client, ids) => {
    const answer = await client.send(new ec2.DescribeVolumesCommand(filter("volume-id", ids)));
    return (answer.Volumes ?? [])
      .filter(({ State }) => State !== "deleting" && State !== "deleted")
      .map(({ VolumeId }) => VolumeId);
  },
  "i-": async (client, ids) => {
    const answer = await client.send(new ec2.DescribeInstancesCommand(filter("instance-id", ids)));
    return (answer.Reservations ?? [])
      .flatMap(({ Instances }) => Instances ?? [])
      .filter(({ State }) => State?.Name !== "shutting-down" && State?.Name !== "terminated")
      .map(({ InstanceId }) => InstanceId);
  },
};

/** Those of some ids that exist. Of a kind that is not known here, all. */
async function liveIds(client: EC2Client, ids: readonly string[]): Promise<Set<string>> {
  const live = new Set<string>(
    ids.filter((id) => !Object.keys(describes).some((prefix) => id.startsWith(prefix))),
  );
  for (const [prefix, describe] of Object.entries(describes)) {
    const mine = ids.filter((id) => id.startsWith(prefix));
    // AWS takes 200 values in a filter.
    for (let at = 0; at < mine.length; at += 100) {
      for (const id of await describe(client, mine.slice(at, at + 100))) {
        if (id !== undefined) live.add(id);
      }
    }
  }
  return live;
}

/** Whether a thing is made by the cluster itself and not by Pulumi: a group's machine, and a machine's root disk. */
export function isMadeByCluster({ id, tags }: Tagged): boolean {
  return (
    (id.startsWith("i-") && tags[memberTag] !== undefined) ||
    (id.startsWith("vol-") && tags[memberTag] === undefined)
  );
}
