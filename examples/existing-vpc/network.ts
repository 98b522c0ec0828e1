import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

/** Subnets of one zone. */
export interface ZoneSubnets {
  readonly zone: string;
  readonly privateSubnetId: pulumi.Output<string>;
  readonly publicSubnetId: pulumi.Output<string>;
}

/**
 * The network of a program that has other things than etcd in it: a VPC, and in each zone a public subnet, and a private one whose way
 * out is the NAT gateway. It stands for whatever there is where you are; what the cluster needs of it is in the README.
 */
export class OurNetwork extends pulumi.ComponentResource {
  readonly vpcId: pulumi.Output<string>;
  readonly subnets: readonly ZoneSubnets[];

  constructor(name: string, zones: readonly string[], opts?: pulumi.ComponentResourceOptions) {
    super("existing-vpc:index:OurNetwork", name, {}, opts);
    const inside = { parent: this };
    const vpc = new aws.ec2.Vpc(
      name,
      { cidrBlock: "10.77.0.0/16", enableDnsSupport: true, enableDnsHostnames: true },
      inside,
    );
    const internet = new aws.ec2.InternetGateway(name, { vpcId: vpc.id }, inside);
    const open = table(`${name}-public`, vpc, { gatewayId: internet.id }, this);
    const rows = zones.map((zone, at) => ({
      zone,
      public: subnet(`${name}-public-${at}`, vpc, zone, `10.77.${at}.0/24`, open, this),
      cidr: `10.77.${16 + at}.0/24`,
      name: `${name}-private-${at}`,
    }));
    const address = new aws.ec2.Eip(name, { domain: "vpc" }, { ...inside, dependsOn: [internet] });
    const nat = new aws.ec2.NatGateway(
      name,
      { subnetId: rows[0]?.public ?? "", allocationId: address.allocationId },
      inside,
    );
    const closed = table(`${name}-private`, vpc, { natGatewayId: nat.id }, this);
    this.vpcId = vpc.id;
    this.subnets = rows.map((row) => ({
      zone: row.zone,
      publicSubnetId: row.public,
      privateSubnetId: subnet(row.name, vpc, row.zone, row.cidr, closed, this),
    }));
    this.registerOutputs({ vpcId: this.vpcId });
  }
}

/** A route table with a way out, and the route, before which nothing may start that needs it. */
interface Table {
  readonly table: aws.ec2.RouteTable;
  readonly route: aws.ec2.Route;
}

function table(
  name: string,
  vpc: aws.ec2.Vpc,
  wayOut: { gatewayId: pulumi.Output<string> } | { natGatewayId: pulumi.Output<string> },
  parent: pulumi.Resource,
): Table {
  const routes = new aws.ec2.RouteTable(name, { vpcId: vpc.id }, { parent });
  const route = new aws.ec2.Route(
    name,
    { routeTableId: routes.id, destinationCidrBlock: "0.0.0.0/0", ...wayOut },
    { parent },
  );
  return { table: routes, route };
}

/** The id of a subnet, known when its way out is there: machines call AWS as soon as they start. */
function subnet(
  name: string,
  vpc: aws.ec2.Vpc,
  zone: string,
  cidrBlock: string,
  { table: routes, route }: Table,
  parent: pulumi.Resource,
): pulumi.Output<string> {
  const made = new aws.ec2.Subnet(
    name,
    { vpcId: vpc.id, availabilityZone: zone, cidrBlock },
    { parent },
  );
  const association = new aws.ec2.RouteTableAssociation(
    name,
    { subnetId: made.id, routeTableId: routes.id },
    { parent },
  );
  return pulumi.all([made.id, route.id, association.id]).apply(([id]) => id);
}
