import {
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeNatGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVolumesCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  type Address,
  type Instance,
  type NatGateway,
  type NetworkInterface,
  type RouteTable,
  type SecurityGroup,
  type Subnet,
  type Volume,
  type Vpc,
  type VpcEndpoint,
} from "@aws-sdk/client-ec2";
import {
  DescribeListenerAttributesCommand,
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type Listener,
  type LoadBalancer,
  type TargetDescription,
  type TargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import {
  GetHostedZoneCommand,
  ListHostedZonesCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from "@aws-sdk/client-route-53";
import type { Records } from "../front/records.ts";

/** What EC2's records say of a region. */
export interface Ec2Snapshot {
  readonly vpcs: readonly Vpc[];
  readonly subnets: readonly Subnet[];
  readonly routeTables: readonly RouteTable[];
  readonly natGateways: readonly NatGateway[];
  readonly endpoints: readonly VpcEndpoint[];
  readonly securityGroups: readonly SecurityGroup[];
  readonly interfaces: readonly NetworkInterface[];
  readonly elasticIps: readonly Address[];
  readonly instances: readonly Instance[];
  readonly volumes: readonly Volume[];
}

/** What the balancers' records say of a region. */
export interface ElbSnapshot {
  readonly balancers: readonly LoadBalancer[];
  readonly listeners: readonly (Listener & { readonly idleTimeoutSeconds: number })[];
  readonly targetGroups: readonly (TargetGroup & {
    readonly targets: readonly TargetDescription[];
  })[];
}

/** The private zones and where they are seen. */
export interface Route53Snapshot {
  readonly zones: readonly {
    readonly name: string;
    readonly vpcIds: readonly string[];
    readonly records: readonly ResourceRecordSet[];
  }[];
}

/** All records from which a world is computed. */
export interface Snapshot {
  readonly region: string;
  readonly ec2: Ec2Snapshot;
  readonly elb: ElbSnapshot;
  readonly route53: Route53Snapshot;
}

/** Idle time-out of a TCP listener of which nothing else is known: AWS's default. */
const defaultIdleTimeoutSeconds = 350;

/** Reads EC2's part. */
export async function readEc2(records: Records, region: string): Promise<Ec2Snapshot> {
  const ec2 = records.ec2(region);
  const [
    vpcs,
    subnets,
    routeTables,
    natGateways,
    endpoints,
    securityGroups,
    interfaces,
    elasticIps,
    instances,
    volumes,
  ] = await Promise.all([
    ec2.send(new DescribeVpcsCommand({})),
    ec2.send(new DescribeSubnetsCommand({})),
    ec2.send(new DescribeRouteTablesCommand({})),
    ec2.send(new DescribeNatGatewaysCommand({})),
    ec2.send(new DescribeVpcEndpointsCommand({})),
    ec2.send(new DescribeSecurityGroupsCommand({})),
    ec2.send(new DescribeNetworkInterfacesCommand({})),
    ec2.send(new DescribeAddressesCommand({})),
    ec2.send(new DescribeInstancesCommand({ MaxResults: 1000 })),
    ec2.send(new DescribeVolumesCommand({})),
  ]);
  return {
    vpcs: (vpcs.Vpcs ?? []).filter((vpc) => vpc.IsDefault !== true),
    subnets: subnets.Subnets ?? [],
    routeTables: routeTables.RouteTables ?? [],
    natGateways: natGateways.NatGateways ?? [],
    endpoints: endpoints.VpcEndpoints ?? [],
    securityGroups: securityGroups.SecurityGroups ?? [],
    interfaces: interfaces.NetworkInterfaces ?? [],
    elasticIps: elasticIps.Addresses ?? [],
    instances: (instances.Reservations ?? []).flatMap((one) => one.Instances ?? []),
    volumes: volumes.Volumes ?? [],
  };
}

/** What a description says, or nothing when its subject was deleted since it was listed: the next look will not list it. */
async function unlessDeleted<T>(description: Promise<T>): Promise<T | undefined> {
  try {
    return await description;
  } catch (error) {
    if (error instanceof Error && /NotFound(Exception)?$/.test(error.name)) return undefined;
    throw error;
  }
}

/** Reads the balancers' part. */
export async function readElb(records: Records, region: string): Promise<ElbSnapshot> {
  const elb = records.elb(region);
  const { LoadBalancers = [] } = await elb.send(new DescribeLoadBalancersCommand({}));
  const { TargetGroups = [] } = await elb.send(new DescribeTargetGroupsCommand({}));
  const listeners = await Promise.all(
    LoadBalancers.map(async ({ LoadBalancerArn }) => {
      const found = await unlessDeleted(
        elb.send(new DescribeListenersCommand({ LoadBalancerArn })),
      );
      return found?.Listeners ?? [];
    }),
  );
  return {
    balancers: LoadBalancers,
    listeners: await Promise.all(
      listeners.flat().map(async (listener) => {
        const found = await unlessDeleted(
          elb.send(new DescribeListenerAttributesCommand({ ListenerArn: listener.ListenerArn })),
        );
        const idle = found?.Attributes?.find(
          ({ Key }) => Key === "tcp.idle_timeout.seconds",
        )?.Value;
        return { ...listener, idleTimeoutSeconds: Number(idle ?? defaultIdleTimeoutSeconds) };
      }),
    ),
    targetGroups: await Promise.all(
      TargetGroups.map(async (group) => {
        const found = await unlessDeleted(
          elb.send(new DescribeTargetHealthCommand({ TargetGroupArn: group.TargetGroupArn })),
        );
        return {
          ...group,
          targets: (found?.TargetHealthDescriptions ?? []).flatMap(({ Target }) =>
            Target === undefined ? [] : [Target],
          ),
        };
      }),
    ),
  };
}

/** Reads the private zones. */
export async function readRoute53(records: Records): Promise<Route53Snapshot> {
  const route53 = records.route53();
  const { HostedZones = [] } = await route53.send(new ListHostedZonesCommand({}));
  const zones = HostedZones.filter((zone) => zone.Config?.PrivateZone === true);
  return {
    zones: await Promise.all(
      zones.map(async ({ Id, Name }) => {
        const [zone, sets] = await Promise.all([
          route53.send(new GetHostedZoneCommand({ Id })),
          route53.send(new ListResourceRecordSetsCommand({ HostedZoneId: Id })),
        ]);
        return {
          name: Name ?? "",
          vpcIds: (zone.VPCs ?? []).map(({ VPCId }) => VPCId ?? ""),
          records: sets.ResourceRecordSets ?? [],
        };
      }),
    ),
  };
}
