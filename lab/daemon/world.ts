import type { IpPermission, RouteTable, Subnet as Ec2Subnet } from "@aws-sdk/client-ec2";
import type {
  Balancer,
  Disk,
  HostedZone,
  Interface,
  Listener,
  Machine,
  NameRecord,
  Peer,
  Rule,
  SecurityGroup,
  Subnet,
  Vpc,
  World,
} from "../world.ts";
import { balancerInterfacePrefix } from "../front/rules/balancers.ts";
import { memoryOf } from "../front/instanceTypes.ts";
import type { Snapshot } from "./snapshot.ts";

/** What the lab adds to the records: zones that somebody has cut off. */
export interface WorldOptions {
  readonly cutZones: ReadonlySet<string>;
}

/** The world that the records declare. Pure: the same records give the same world, in the same order. */
export function computeWorld(snapshot: Snapshot, options: WorldOptions): World {
  const { region, ec2 } = snapshot;
  return {
    region,
    vpcs: ec2.vpcs.map((vpc) => {
      const id = vpc.VpcId ?? "";
      return {
        id,
        cidr: vpc.CidrBlock ?? "",
        subnets: subnetsOf(snapshot, id),
        securityGroups: securityGroupsOf(snapshot, id),
        interfaces: interfacesOf(snapshot, id),
        zones: zonesOf(snapshot, id),
        balancers: balancersOf(snapshot, id),
        cutZones: [...options.cutZones].sort(),
      } satisfies Vpc;
    }),
    machines: machinesOf(snapshot),
    disks: disksOf(snapshot),
  };
}

function routeTableOf(snapshot: Snapshot, subnet: Ec2Subnet): RouteTable | undefined {
  const tables = snapshot.ec2.routeTables.filter((table) => table.VpcId === subnet.VpcId);
  return (
    tables.find((table) =>
      table.Associations?.some((association) => association.SubnetId === subnet.SubnetId),
    ) ??
    tables.find((table) => table.Associations?.some((association) => association.Main === true))
  );
}

function subnetsOf(snapshot: Snapshot, vpcId: string): Subnet[] {
  const { subnets, endpoints, natGateways } = snapshot.ec2;
  const live = endpoints.filter(
    (one) => one.VpcId === vpcId && one.State?.toLowerCase() !== "deleted",
  );
  const liveNats = new Set(
    natGateways.filter((one) => one.State === "available").map((one) => one.NatGatewayId),
  );
  return subnets
    .filter((subnet) => subnet.VpcId === vpcId)
    .map((subnet) => {
      const table = routeTableOf(snapshot, subnet);
      const out = table?.Routes?.find((route) => route.DestinationCidrBlock === "0.0.0.0/0");
      const way =
        out?.NatGatewayId !== undefined && liveNats.has(out.NatGatewayId)
          ? "nat"
          : out?.GatewayId?.startsWith("igw-") === true
            ? "internet"
            : "none";
      return {
        id: subnet.SubnetId ?? "",
        cidr: subnet.CidrBlock ?? "",
        zone: subnet.AvailabilityZone ?? "",
        way,
        s3Endpoint: live.some(
          (one) =>
            one.VpcEndpointType === "Gateway" &&
            one.ServiceName?.endsWith(".s3") === true &&
            one.RouteTableIds?.includes(table?.RouteTableId ?? "") === true,
        ),
        // Endpoints answer in the whole VPC, by private DNS, from whichever subnet their interfaces are in.
        interfaceEndpoints: live.some((one) => one.VpcEndpointType === "Interface"),
      };
    });
}

function peersOf(permission: IpPermission): Peer[] {
  return [
    ...(permission.IpRanges ?? []).map(({ CidrIp = "" }): Peer => ({ kind: "cidr", cidr: CidrIp })),
    ...(permission.UserIdGroupPairs ?? []).map(({ GroupId = "" }): Peer => ({
      kind: "group",
      id: GroupId,
    })),
    ...(permission.PrefixListIds ?? []).map(({ PrefixListId = "" }): Peer => ({
      kind: "prefixList",
      id: PrefixListId,
    })),
  ];
}

function rulesOf(permissions: readonly IpPermission[] | undefined): Rule[] {
  return (permissions ?? []).flatMap((permission) => {
    const name = permission.IpProtocol ?? "-1";
    const protocol = name === "-1" ? "all" : name;
    if (protocol !== "tcp" && protocol !== "udp" && protocol !== "icmp" && protocol !== "all") {
      throw new Error(
        `the lab's network does not know the protocol ${name} of a security group rule`,
      );
    }
    const ports =
      protocol === "tcp" || protocol === "udp"
        ? { fromPort: permission.FromPort ?? 0, toPort: permission.ToPort ?? 65535 }
        : {};
    return peersOf(permission).map((peer) => ({ protocol, ...ports, peer }));
  });
}

function securityGroupsOf(snapshot: Snapshot, vpcId: string): SecurityGroup[] {
  return snapshot.ec2.securityGroups
    .filter((group) => group.VpcId === vpcId)
    .map((group) => ({
      id: group.GroupId ?? "",
      ingress: rulesOf(group.IpPermissions),
      egress: rulesOf(group.IpPermissionsEgress),
    }));
}

/** Interfaces of machines, and those that wait for one. What balancers, endpoints and NAT gateways hold is no place for a machine. */
function interfacesOf(snapshot: Snapshot, vpcId: string): Interface[] {
  const { interfaces, elasticIps, endpoints, natGateways } = snapshot.ec2;
  const managed = new Set([
    ...endpoints.flatMap((one) => one.NetworkInterfaceIds ?? []),
    ...natGateways.flatMap((one) =>
      (one.NatGatewayAddresses ?? []).map(({ NetworkInterfaceId }) => NetworkInterfaceId ?? ""),
    ),
  ]);
  return interfaces
    .filter((one) => one.VpcId === vpcId && !managed.has(one.NetworkInterfaceId ?? ""))
    .filter((one) => one.Description?.startsWith(balancerInterfacePrefix) !== true)
    .map((one) => {
      const id = one.NetworkInterfaceId ?? "";
      const machineId = one.Attachment?.InstanceId;
      const elastic = elasticIps.find(
        (address) =>
          address.NetworkInterfaceId === id ||
          (machineId !== undefined &&
            address.InstanceId === machineId &&
            one.Attachment?.DeviceIndex === 0),
      );
      const publicAddress = elastic?.PublicIp;
      return {
        id,
        subnetId: one.SubnetId ?? "",
        address: one.PrivateIpAddress ?? "",
        mac: one.MacAddress ?? "",
        securityGroupIds: (one.Groups ?? []).map(({ GroupId }) => GroupId ?? ""),
        ...(publicAddress === undefined ? {} : { publicAddress }),
        ...(machineId === undefined ? {} : { machineId }),
      };
    });
}

function withoutDot(name: string): string {
  // Route 53 writes a wildcard's asterisk as an octal escape.
  return name.replace(/\.$/, "").replace("\\052", "*");
}

function zonesOf(snapshot: Snapshot, vpcId: string): HostedZone[] {
  return snapshot.route53.zones
    .filter((zone) => zone.vpcIds.includes(vpcId))
    .map((zone) => ({
      name: withoutDot(zone.name),
      records: zone.records.flatMap((record): NameRecord[] => {
        const type = record.Type;
        if (type !== "A" && type !== "CNAME" && type !== "SRV") return [];
        const alias = record.AliasTarget?.DNSName;
        const values =
          alias === undefined
            ? (record.ResourceRecords ?? []).map(({ Value }) => Value ?? "")
            : addressesOfName(snapshot, withoutDot(alias));
        return [{ name: withoutDot(record.Name ?? ""), type, ttl: record.TTL ?? 60, values }];
      }),
    }));
}

function addressesOfName(snapshot: Snapshot, name: string): string[] {
  const balancer = snapshot.elb.balancers.find((one) => one.DNSName === name);
  return balancer === undefined
    ? []
    : addressesOf(snapshot, balancer.LoadBalancerArn ?? "").map(({ address }) => address);
}

/** A balancer's addresses: those of the interfaces the front made for it. */
function addressesOf(snapshot: Snapshot, arn: string): Balancer["addresses"] {
  const description = balancerInterfacePrefix + (arn.split(":loadbalancer/")[1] ?? "");
  return snapshot.ec2.interfaces
    .filter((one) => one.Description === description)
    .map((one) => ({ subnetId: one.SubnetId ?? "", address: one.PrivateIpAddress ?? "" }))
    .sort((a, b) => (a.subnetId < b.subnetId ? -1 : 1));
}

function balancersOf(snapshot: Snapshot, vpcId: string): Balancer[] {
  return snapshot.elb.balancers
    .filter((one) => one.VpcId === vpcId)
    .map((one) => ({
      arn: one.LoadBalancerArn ?? "",
      dnsName: one.DNSName ?? "",
      addresses: addressesOf(snapshot, one.LoadBalancerArn ?? ""),
      securityGroupIds: one.SecurityGroups ?? [],
      listeners: snapshot.elb.listeners
        .filter((listener) => listener.LoadBalancerArn === one.LoadBalancerArn)
        .flatMap((listener) => listenerOf(snapshot, listener)),
    }));
}

function listenerOf(
  snapshot: Snapshot,
  listener: Snapshot["elb"]["listeners"][number],
): Listener[] {
  const action = listener.DefaultActions?.[0];
  const arn =
    action?.TargetGroupArn ?? action?.ForwardConfig?.TargetGroups?.[0]?.TargetGroupArn ?? "";
  const group = snapshot.elb.targetGroups.find((one) => one.TargetGroupArn === arn);
  if (group === undefined) return [];
  const port = group.Port ?? 0;
  const checked = group.HealthCheckPort ?? "traffic-port";
  return [
    {
      port: listener.Port ?? 0,
      idleTimeoutSeconds: listener.idleTimeoutSeconds,
      targetGroup: {
        arn,
        port,
        healthCheck: {
          protocol: group.HealthCheckProtocol ?? "TCP",
          port: checked === "traffic-port" ? port : Number(checked),
          ...(group.HealthCheckPath === undefined ? {} : { path: group.HealthCheckPath }),
          intervalSeconds: group.HealthCheckIntervalSeconds ?? 30,
          timeoutSeconds: group.HealthCheckTimeoutSeconds ?? 10,
          healthyThreshold: group.HealthyThresholdCount ?? 5,
          unhealthyThreshold: group.UnhealthyThresholdCount ?? 2,
        },
        targets: group.targets
          .map(({ Id = "", Port }) => ({ address: Id, port: Port ?? port }))
          .sort((a, b) => (a.address < b.address ? -1 : 1)),
      },
    },
  ];
}

function machinesOf(snapshot: Snapshot): Machine[] {
  const vpcIds = new Set(snapshot.ec2.vpcs.map((vpc) => vpc.VpcId));
  return snapshot.ec2.instances
    .filter((one) => one.State?.Name !== "terminated" && vpcIds.has(one.VpcId))
    .map((one) => ({
      id: one.InstanceId ?? "",
      vpcId: one.VpcId ?? "",
      interfaceIds: [...(one.NetworkInterfaces ?? [])]
        .sort((a, b) => (a.Attachment?.DeviceIndex ?? 0) - (b.Attachment?.DeviceIndex ?? 0))
        .map(({ NetworkInterfaceId }) => NetworkInterfaceId ?? ""),
      hostname: `ip-${(one.PrivateIpAddress ?? "").replaceAll(".", "-")}`,
      memoryMiB: memoryOf(one.InstanceType ?? ""),
      desired: desiredOf(one.State?.Name),
    }));
}

function desiredOf(state: string | undefined): Machine["desired"] {
  if (state === "shutting-down" || state === "terminated") return "terminated";
  return state === "stopped" || state === "stopping" ? "stopped" : "running";
}

/** Data volumes. A machine's root volume is a record only: its real disk is the machine's overlay. */
function disksOf(snapshot: Snapshot): Disk[] {
  const roots = new Set(
    snapshot.ec2.instances.flatMap((instance) =>
      (instance.BlockDeviceMappings ?? [])
        .filter(({ DeviceName }) => DeviceName === "/dev/xvda" || DeviceName === "/dev/sda1")
        .map(({ Ebs }) => Ebs?.VolumeId),
    ),
  );
  return snapshot.ec2.volumes
    .filter((volume) => !roots.has(volume.VolumeId))
    .map((volume) => {
      const attachment = volume.Attachments?.[0];
      return {
        id: volume.VolumeId ?? "",
        sizeGiB: volume.Size ?? 0,
        ...(attachment?.InstanceId === undefined
          ? {}
          : { attachedTo: { machineId: attachment.InstanceId, device: attachment.Device ?? "" } }),
      };
    });
}
