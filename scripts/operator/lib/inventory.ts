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
  const gone = await goneIds(client, ids);
  return [...byId]
    .filter(([id]) => !gone.has(id))
    .map(([id, all]) => ({ id, tags: all }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Machines and gateways that AWS still shows for an hour after their end. */
async function goneIds(client: EC2Client, ids: readonly string[]): Promise<Set<string>> {
  const gone = new Set<string>();
  const of = (prefix: string): string[] => ids.filter((id) => id.startsWith(prefix));
  if (of("nat-").length > 0) {
    const { NatGateways } = await client.send(
      new ec2.DescribeNatGatewaysCommand({
        Filter: [{ Name: "nat-gateway-id", Values: of("nat-") }],
      }),
    );
    const live = new Set(
      NatGateways?.flatMap(({ NatGatewayId, State }) =>
        State === "deleted" || State === "deleting" || State === "failed" ? [] : [NatGatewayId],
      ),
    );
    for (const id of of("nat-")) if (!live.has(id)) gone.add(id);
  }
  if (of("i-").length > 0) {
    const { Reservations } = await client.send(
      new ec2.DescribeInstancesCommand({
        Filters: [
          { Name: "instance-id", Values: of("i-") },
          { Name: "instance-state-name", Values: ["pending", "running", "stopping", "stopped"] },
        ],
      }),
    );
    const live = new Set(
      Reservations?.flatMap(
        ({ Instances }) => Instances?.map(({ InstanceId }) => InstanceId) ?? [],
      ),
    );
    for (const id of of("i-")) if (!live.has(id)) gone.add(id);
  }
  return gone;
}

/** Whether a thing is made by the cluster itself and not by Pulumi: a group's machine, and a machine's root disk. */
export function isMadeByCluster({ id, tags }: Tagged): boolean {
  return (
    (id.startsWith("i-") && tags[memberTag] !== undefined) ||
    (id.startsWith("vol-") && tags[memberTag] === undefined)
  );
}
