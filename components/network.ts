import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { subnetLayout } from "./plan/layout";
import { Egress } from "./plan/options";
import { ports } from "./plan/ports";

/** An existing VPC to build in. */
export interface ExistingNetworkArgs {
  /** Id of the VPC. It needs DNS support and DNS host names, for the private zone. */
  vpcId: pulumi.Input<string>;
  /** Subnets, one entry for each zone; their zones are the cluster's zones unless `zones` names a part of them. */
  subnets: ExistingSubnetsArgs[];
}

/** Existing subnets of one zone. */
export interface ExistingSubnetsArgs {
  /** Availability zone, for instance `eu-central-1a`. */
  zone: string;
  /** Subnet for members and the balancer. Its way to the AWS API is the VPC owner's affair. */
  privateSubnetId: pulumi.Input<string>;
  /** Subnet for the bastion, with a route to an internet gateway. */
  publicSubnetId: pulumi.Input<string>;
}

/** What a Network needs. */
export interface NetworkArgs {
  region: string;
  /** Availability zones, in the order in which subnets are laid out. */
  zones: readonly string[];
  /** CIDR of the new VPC. */
  vpcCidr: string;
  /** Way out of the private subnets of a new VPC. */
  egress: Egress;
  /** Use this VPC instead of making one. */
  existing?: ExistingNetworkArgs | undefined;
  /** Name, for the Name tags. */
  clusterName: string;
  tags: Record<string, pulumi.Input<string>>;
}

/** APIs that machines call, for which a VPC without a way out needs endpoints. */
const endpointServices = ["ec2", "ssm", "monitoring"] as const;

/**
 * Where the cluster stands:
 *
 * 1. a VPC with an internet gateway, and per zone a public and a private subnet, each private one with its own route table;
 * 2. the S3 gateway endpoint;
 * 3. the private subnets' way out: one NAT gateway, one per zone, or interface endpoints and no way out.
 *
 * Or nothing of it, when an existing VPC is handed in. NAT gateways and interface endpoints cost money by the hour.
 */
export class Network extends pulumi.ComponentResource {
  /** Id of the VPC. */
  readonly vpcId: pulumi.Output<string>;
  /** Ids of the private subnets by zone. */
  readonly privateSubnetIds: Readonly<Record<string, pulumi.Output<string>>>;
  /** Ids of the public subnets by zone. */
  readonly publicSubnetIds: Readonly<Record<string, pulumi.Output<string>>>;
  /** Security group of the interface endpoints, when there are any. */
  readonly endpointSecurityGroupId: pulumi.Output<string> | undefined;
  /** What a machine's first call to AWS needs, beside its subnet. */
  readonly waysOut: pulumi.Resource[];

  private readonly base: string;

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Network", name, {}, opts);
    this.base = name;
    if (args.existing !== undefined) {
      const used = args.existing.subnets.filter(({ zone }) => args.zones.includes(zone));
      const ids = (pick: (subnets: ExistingSubnetsArgs) => pulumi.Input<string>) =>
        Object.fromEntries(used.map((subnets) => [subnets.zone, pulumi.output(pick(subnets))]));
      this.vpcId = pulumi.output(args.existing.vpcId);
      this.privateSubnetIds = ids((subnets) => subnets.privateSubnetId);
      this.publicSubnetIds = ids((subnets) => subnets.publicSubnetId);
      this.waysOut = [];
    } else {
      const vpc = this.vpc(args);
      this.vpcId = vpc.id;
      const open = this.publicSubnets(vpc, args);
      const closed = this.privateSubnets(vpc, args);
      this.publicSubnetIds = idsByZone(open.subnets);
      this.privateSubnetIds = idsByZone(closed.subnets);
      const s3 = this.s3Endpoint(vpc, Object.values(closed.tables), args);
      const { waysOut, endpointGroup } = this.waysOutOf(vpc, open, closed, args);
      this.endpointSecurityGroupId = endpointGroup?.id;
      this.waysOut = [s3, ...open.waysOut, ...closed.associations, ...waysOut];
    }
    this.registerOutputs({
      vpcId: this.vpcId,
      privateSubnetIds: this.privateSubnetIds,
      publicSubnetIds: this.publicSubnetIds,
    });
  }

  private tags(args: NetworkArgs, part: string): Record<string, pulumi.Input<string>> {
    return { ...args.tags, Name: `${args.clusterName}-${part}` };
  }

  private vpc(args: NetworkArgs): aws.ec2.Vpc {
    return new aws.ec2.Vpc(
      this.base,
      {
        cidrBlock: args.vpcCidr,
        // The private zone and the endpoints' private names need both.
        enableDnsSupport: true,
        enableDnsHostnames: true,
        tags: this.tags(args, "vpc"),
      },
      { parent: this },
    );
  }

  private publicSubnets(vpc: aws.ec2.Vpc, args: NetworkArgs): PublicPart {
    const gateway = new aws.ec2.InternetGateway(
      `${this.base}-internet`,
      { vpcId: vpc.id, tags: this.tags(args, "internet") },
      { parent: this },
    );
    const table = new aws.ec2.RouteTable(
      `${this.base}-public`,
      { vpcId: vpc.id, tags: this.tags(args, "public") },
      { parent: this },
    );
    const route = new aws.ec2.Route(
      `${this.base}-public-internet`,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
      { parent: this },
    );
    const subnets: Record<string, aws.ec2.Subnet> = {};
    const associations: pulumi.Resource[] = [];
    for (const { zone, publicCidr } of subnetLayout(args.vpcCidr, args.zones)) {
      const part = `public-${letterOf(zone, args.region)}`;
      const subnet = this.subnet(vpc, part, zone, publicCidr, args);
      subnets[zone] = subnet;
      associations.push(this.associate(part, subnet, table));
    }
    return { subnets, waysOut: [route, ...associations] };
  }

  private privateSubnets(vpc: aws.ec2.Vpc, args: NetworkArgs): PrivatePart {
    const subnets: Record<string, aws.ec2.Subnet> = {};
    const tables: Record<string, aws.ec2.RouteTable> = {};
    const associations: pulumi.Resource[] = [];
    for (const { zone, privateCidr } of subnetLayout(args.vpcCidr, args.zones)) {
      const part = `private-${letterOf(zone, args.region)}`;
      const subnet = this.subnet(vpc, part, zone, privateCidr, args);
      const table = new aws.ec2.RouteTable(
        `${this.base}-${part}`,
        { vpcId: vpc.id, tags: this.tags(args, part) },
        { parent: this },
      );
      subnets[zone] = subnet;
      tables[zone] = table;
      associations.push(this.associate(part, subnet, table));
    }
    return { subnets, tables, associations };
  }

  private subnet(
    vpc: aws.ec2.Vpc,
    part: string,
    zone: string,
    cidrBlock: string,
    args: NetworkArgs,
  ): aws.ec2.Subnet {
    return new aws.ec2.Subnet(
      `${this.base}-${part}`,
      {
        vpcId: vpc.id,
        availabilityZone: zone,
        cidrBlock,
        mapPublicIpOnLaunch: false,
        tags: this.tags(args, part),
      },
      { parent: this },
    );
  }

  private associate(
    part: string,
    subnet: aws.ec2.Subnet,
    table: aws.ec2.RouteTable,
  ): aws.ec2.RouteTableAssociation {
    return new aws.ec2.RouteTableAssociation(
      `${this.base}-${part}`,
      { subnetId: subnet.id, routeTableId: table.id },
      { parent: this },
    );
  }

  private s3Endpoint(
    vpc: aws.ec2.Vpc,
    tables: aws.ec2.RouteTable[],
    args: NetworkArgs,
  ): aws.ec2.VpcEndpoint {
    return new aws.ec2.VpcEndpoint(
      `${this.base}-s3`,
      {
        vpcId: vpc.id,
        serviceName: `com.amazonaws.${args.region}.s3`,
        vpcEndpointType: "Gateway",
        routeTableIds: tables.map((table) => table.id),
        tags: this.tags(args, "s3"),
      },
      { parent: this },
    );
  }

  private waysOutOf(
    vpc: aws.ec2.Vpc,
    open: PublicPart,
    closed: PrivatePart,
    args: NetworkArgs,
  ): { waysOut: pulumi.Resource[]; endpointGroup?: aws.ec2.SecurityGroup } {
    switch (args.egress) {
      case Egress.nat: {
        const gateway = this.natGateway("nat", args.zones[0] ?? "", open, args);
        return { waysOut: this.routes(closed, args, () => gateway) };
      }
      case Egress.natPerZone: {
        const gateways = Object.fromEntries(
          args.zones.map((zone) => [
            zone,
            this.natGateway(`nat-${letterOf(zone, args.region)}`, zone, open, args),
          ]),
        );
        return { waysOut: this.routes(closed, args, (zone) => gateways[zone]) };
      }
      case Egress.vpcEndpoints:
        return this.interfaceEndpoints(vpc, closed, args);
    }
  }

  private natGateway(
    part: string,
    zone: string,
    open: PublicPart,
    args: NetworkArgs,
  ): aws.ec2.NatGateway {
    const address = new aws.ec2.Eip(
      `${this.base}-${part}`,
      { domain: "vpc", tags: this.tags(args, part) },
      // AWS refuses an address in a VPC which has no way to the internet yet.
      { parent: this, dependsOn: open.waysOut },
    );
    return new aws.ec2.NatGateway(
      `${this.base}-${part}`,
      {
        subnetId: open.subnets[zone]?.id ?? "",
        allocationId: address.allocationId,
        connectivityType: "public",
        tags: this.tags(args, part),
      },
      { parent: this, dependsOn: open.waysOut },
    );
  }

  private routes(
    closed: PrivatePart,
    args: NetworkArgs,
    gatewayOf: (zone: string) => aws.ec2.NatGateway | undefined,
  ): aws.ec2.Route[] {
    return Object.entries(closed.tables).map(
      ([zone, table]) =>
        new aws.ec2.Route(
          `${this.base}-private-${letterOf(zone, args.region)}-nat`,
          {
            routeTableId: table.id,
            destinationCidrBlock: "0.0.0.0/0",
            natGatewayId: gatewayOf(zone)?.id ?? "",
          },
          { parent: this },
        ),
    );
  }

  private interfaceEndpoints(
    vpc: aws.ec2.Vpc,
    closed: PrivatePart,
    args: NetworkArgs,
  ): { waysOut: pulumi.Resource[]; endpointGroup: aws.ec2.SecurityGroup } {
    const endpointGroup = new aws.ec2.SecurityGroup(
      `${this.base}-endpoints`,
      {
        vpcId: vpc.id,
        name: `${args.clusterName}-endpoints`,
        description: "AWS endpoints inside the VPC",
        tags: this.tags(args, "endpoints"),
      },
      { parent: this },
    );
    const rule = new aws.vpc.SecurityGroupIngressRule(
      `${this.base}-endpoints-https`,
      {
        securityGroupId: endpointGroup.id,
        description: "machines of the VPC call AWS",
        ipProtocol: "tcp",
        fromPort: ports.https,
        toPort: ports.https,
        cidrIpv4: args.vpcCidr,
      },
      { parent: this },
    );
    const endpoints = endpointServices.map(
      (service) =>
        new aws.ec2.VpcEndpoint(
          `${this.base}-${service}`,
          {
            vpcId: vpc.id,
            serviceName: `com.amazonaws.${args.region}.${service}`,
            vpcEndpointType: "Interface",
            privateDnsEnabled: true,
            subnetIds: Object.values(closed.subnets).map((subnet) => subnet.id),
            securityGroupIds: [endpointGroup.id],
            tags: this.tags(args, service),
          },
          { parent: this },
        ),
    );
    return { waysOut: [rule, ...endpoints], endpointGroup };
  }
}

interface PublicPart {
  readonly subnets: Readonly<Record<string, aws.ec2.Subnet>>;
  readonly waysOut: pulumi.Resource[];
}

interface PrivatePart {
  readonly subnets: Readonly<Record<string, aws.ec2.Subnet>>;
  readonly tables: Readonly<Record<string, aws.ec2.RouteTable>>;
  readonly associations: pulumi.Resource[];
}

/** `b` of `eu-central-1b`: logical names stay short, and follow the zone instead of a position. */
function letterOf(zone: string, region: string): string {
  return zone.slice(region.length);
}

function idsByZone(
  subnets: Readonly<Record<string, aws.ec2.Subnet>>,
): Record<string, pulumi.Output<string>> {
  return Object.fromEntries(Object.entries(subnets).map(([zone, subnet]) => [zone, subnet.id]));
}
