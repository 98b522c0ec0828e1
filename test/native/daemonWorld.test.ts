import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Snapshot } from "../../lab/daemon/snapshot.ts";
import { computeWorld } from "../../lab/daemon/world.ts";
import { balancerInterfacePrefix } from "../../lab/front/rules/balancers.ts";

const none: Snapshot = {
  region: "eu-central-1",
  ec2: {
    vpcs: [{ VpcId: "vpc-1", CidrBlock: "10.42.0.0/16" }],
    subnets: [],
    routeTables: [],
    natGateways: [],
    endpoints: [],
    securityGroups: [],
    interfaces: [],
    elasticIps: [],
    instances: [],
    volumes: [],
  },
  elb: { balancers: [], listeners: [], targetGroups: [] },
  route53: { zones: [] },
};

const world = (ec2: Partial<Snapshot["ec2"]>, more: Partial<Snapshot> = {}) =>
  computeWorld(
    { ...none, ...more, ec2: { ...none.ec2, ...ec2 } },
    { cutZones: new Set(["b", "a"]) },
  );
const vpc = (...given: Parameters<typeof world>) => {
  const [first] = world(...given).vpcs;
  assert.ok(first);
  return first;
};

describe("the world that the records declare", () => {
  test("a subnet's way is its route table's, or else the main one's", () => {
    const subnet = (SubnetId: string) => ({
      SubnetId,
      VpcId: "vpc-1",
      CidrBlock: "10.42.0.0/24",
      AvailabilityZone: "eu-central-1a",
    });
    const route = (to: object) => [{ DestinationCidrBlock: "0.0.0.0/0", ...to }];
    const { subnets, cutZones } = vpc({
      subnets: ["public", "private", "dead", "main"].map(subnet),
      natGateways: [
        { NatGatewayId: "nat-1", State: "available" },
        { NatGatewayId: "nat-2", State: "deleted" },
      ],
      routeTables: [
        { RouteTableId: "rtb-m", VpcId: "vpc-1", Associations: [{ Main: true }] },
        {
          RouteTableId: "rtb-1",
          VpcId: "vpc-1",
          Associations: [{ SubnetId: "public" }],
          Routes: route({ GatewayId: "igw-1" }),
        },
        {
          RouteTableId: "rtb-2",
          VpcId: "vpc-1",
          Associations: [{ SubnetId: "private" }],
          Routes: route({ NatGatewayId: "nat-1" }),
        },
        {
          RouteTableId: "rtb-3",
          VpcId: "vpc-1",
          Associations: [{ SubnetId: "dead" }],
          Routes: route({ NatGatewayId: "nat-2" }),
        },
      ],
      endpoints: [
        {
          VpcId: "vpc-1",
          VpcEndpointType: "Gateway",
          ServiceName: "com.amazonaws.eu-central-1.s3",
          RouteTableIds: ["rtb-2"],
          State: "Available",
        },
      ],
    });
    assert.deepEqual(
      subnets.map(({ id, way, s3Endpoint, interfaceEndpoints }) => [
        id,
        way,
        s3Endpoint,
        interfaceEndpoints,
      ]),
      [
        ["public", "internet", false, false],
        ["private", "nat", true, false],
        ["dead", "none", false, false],
        ["main", "none", false, false],
      ],
    );
    assert.deepEqual(cutZones, ["a", "b"]);
  });

  test("security group rules, one per peer; an unknown protocol is an error", () => {
    const group = (IpProtocol: string) =>
      vpc({
        securityGroups: [
          {
            GroupId: "sg-1",
            VpcId: "vpc-1",
            IpPermissions: [
              {
                IpProtocol,
                FromPort: 2379,
                ToPort: 2380,
                UserIdGroupPairs: [{ GroupId: "sg-2" }],
                IpRanges: [{ CidrIp: "10.0.0.0/8" }],
                PrefixListIds: [{ PrefixListId: "pl-1" }],
              },
            ],
            IpPermissionsEgress: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
          },
        ],
      }).securityGroups[0];
    const ports = { protocol: "tcp", fromPort: 2379, toPort: 2380 };
    assert.deepEqual(group("tcp")?.ingress, [
      { ...ports, peer: { kind: "cidr", cidr: "10.0.0.0/8" } },
      { ...ports, peer: { kind: "group", id: "sg-2" } },
      { ...ports, peer: { kind: "prefixList", id: "pl-1" } },
    ]);
    assert.deepEqual(group("tcp")?.egress, [
      { protocol: "all", peer: { kind: "cidr", cidr: "0.0.0.0/0" } },
    ]);
    assert.throws(() => group("gre"), /gre/);
  });

  test("interfaces, with their elastic address; what AWS holds is no place for a machine", () => {
    const one = (NetworkInterfaceId: string, more = {}) => ({
      NetworkInterfaceId,
      VpcId: "vpc-1",
      SubnetId: "s",
      PrivateIpAddress: "10.42.0.9",
      MacAddress: "02:00:00:00:00:01",
      Groups: [{ GroupId: "sg-1" }],
      ...more,
    });
    const { interfaces } = vpc({
      interfaces: [
        one("eni-free"),
        one("eni-used", { Attachment: { InstanceId: "i-1", DeviceIndex: 0 } }),
        one("eni-nat"),
        one("eni-endpoint"),
        one("eni-balancer", { Description: `${balancerInterfacePrefix}net/x/1` }),
      ],
      natGateways: [{ NatGatewayAddresses: [{ NetworkInterfaceId: "eni-nat" }] }],
      endpoints: [{ VpcId: "vpc-1", NetworkInterfaceIds: ["eni-endpoint"] }],
      elasticIps: [{ PublicIp: "203.0.113.10", InstanceId: "i-1", NetworkInterfaceId: "" }],
    });
    assert.deepEqual(
      interfaces.map(({ id, machineId, publicAddress }) => [id, machineId, publicAddress]),
      [
        ["eni-free", undefined, undefined],
        ["eni-used", "i-1", "203.0.113.10"],
      ],
    );
  });

  test("machines as they should be, and volumes where they should be; root disks are no disks", () => {
    const instance = (
      InstanceId: string,
      Name: "running" | "shutting-down" | "stopped" | "terminated",
    ) => ({
      InstanceId,
      VpcId: "vpc-1",
      InstanceType: "t3.medium" as const,
      PrivateIpAddress: "10.42.0.9",
      State: { Name },
      BlockDeviceMappings: [{ DeviceName: "/dev/xvda", Ebs: { VolumeId: `root-${InstanceId}` } }],
      NetworkInterfaces: [{ NetworkInterfaceId: "eni-1" }],
    });
    const { machines, disks } = world({
      instances: [
        instance("i-1", "running"),
        instance("i-2", "shutting-down"),
        instance("i-3", "stopped"),
        instance("i-4", "terminated"),
      ],
      volumes: [
        { VolumeId: "root-i-1", Size: 8 },
        { VolumeId: "vol-1", Size: 10, Attachments: [{ InstanceId: "i-1", Device: "/dev/sdf" }] },
        { VolumeId: "vol-2", Size: 20 },
      ],
    });
    assert.deepEqual(
      machines.map(({ id, desired }) => [id, desired]),
      [
        ["i-1", "running"],
        ["i-2", "terminated"],
        ["i-3", "stopped"],
      ],
    );
    assert.deepEqual(machines[0], {
      id: "i-1",
      vpcId: "vpc-1",
      interfaceIds: ["eni-1"],
      hostname: "ip-10-42-0-9",
      memoryMiB: 4096,
      desired: "running",
    });
    assert.deepEqual(disks, [
      { id: "vol-1", sizeGiB: 10, attachedTo: { machineId: "i-1", device: "/dev/sdf" } },
      { id: "vol-2", sizeGiB: 20 },
    ]);
  });

  test("balancers with their addresses, and names, aliases resolved", () => {
    const arn = "arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/net/n/1";
    const { balancers, zones } = vpc(
      {
        interfaces: [
          {
            NetworkInterfaceId: "e",
            VpcId: "vpc-1",
            SubnetId: "s",
            PrivateIpAddress: "10.42.0.7",
            Description: `${balancerInterfacePrefix}net/n/1`,
          },
        ],
      },
      {
        elb: {
          balancers: [
            {
              LoadBalancerArn: arn,
              DNSName: "n.elb.amazonaws.com",
              VpcId: "vpc-1",
              SecurityGroups: ["sg-1"],
            },
          ],
          listeners: [
            {
              LoadBalancerArn: arn,
              Port: 2379,
              idleTimeoutSeconds: 60,
              DefaultActions: [{ Type: "forward", TargetGroupArn: "tg" }],
            },
          ],
          targetGroups: [
            {
              TargetGroupArn: "tg",
              Port: 2379,
              HealthCheckPort: "2381",
              HealthCheckProtocol: "HTTP",
              HealthCheckPath: "/readyz",
              targets: [{ Id: "10.42.0.4" }],
            },
          ],
        },
        route53: {
          zones: [
            {
              name: "c.internal.",
              vpcIds: ["vpc-1"],
              records: [
                { Name: "c.internal.", Type: "SOA" },
                {
                  Name: "lb.c.internal.",
                  Type: "A",
                  AliasTarget: {
                    HostedZoneId: "Z",
                    DNSName: "n.elb.amazonaws.com.",
                    EvaluateTargetHealth: false,
                  },
                },
              ],
            },
            { name: "other.", vpcIds: ["vpc-2"], records: [] },
          ],
        },
      },
    );
    assert.deepEqual(balancers[0]?.addresses, [{ subnetId: "s", address: "10.42.0.7" }]);
    const listener = balancers[0].listeners[0];
    assert.ok(listener);
    assert.deepEqual(listener.targetGroup.targets, [{ address: "10.42.0.4", port: 2379 }]);
    assert.equal(listener.targetGroup.healthCheck.port, 2381);
    assert.deepEqual(zones, [
      {
        name: "c.internal",
        records: [{ name: "lb.c.internal", type: "A", ttl: 60, values: ["10.42.0.7"] }],
      },
    ]);
  });
});
