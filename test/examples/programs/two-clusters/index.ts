import * as aws from "@pulumi/aws";
import { Config } from "@pulumi/pulumi";
import { EtcdCluster, type EtcdClusterArgs } from "etcd-cluster";

/** Two clusters of one member each in a VPC that is somebody else's. */
const region = new Config("aws").require("region");
const zone = `${region}a`;
const tags = { Name: "two-clusters" };
const vpc = new aws.ec2.Vpc("shared", {
  cidrBlock: "10.60.0.0/16",
  enableDnsSupport: true,
  enableDnsHostnames: true,
  tags,
});
const gateway = new aws.ec2.InternetGateway("shared", { vpcId: vpc.id, tags });
const subnet = (name: string, cidrBlock: string): aws.ec2.Subnet =>
  new aws.ec2.Subnet(name, { vpcId: vpc.id, availabilityZone: zone, cidrBlock, tags });
const open = subnet("open", "10.60.0.0/24");
const closed = subnet("closed", "10.60.1.0/24");
const routes = (name: string, to: aws.ec2.Subnet, route: object): aws.ec2.RouteTableAssociation => {
  const table = new aws.ec2.RouteTable(name, { vpcId: vpc.id, tags });
  new aws.ec2.Route(name, {
    routeTableId: table.id,
    destinationCidrBlock: "0.0.0.0/0",
    ...route,
  });
  return new aws.ec2.RouteTableAssociation(name, { subnetId: to.id, routeTableId: table.id });
};
const out = routes("open", open, { gatewayId: gateway.id });
const address = new aws.ec2.Eip("nat", { domain: "vpc", tags }, { dependsOn: out });
const nat = new aws.ec2.NatGateway(
  "nat",
  { subnetId: open.id, allocationId: address.allocationId, connectivityType: "public", tags },
  { dependsOn: out },
);
const way = routes("closed", closed, { natGatewayId: nat.id });

const args: EtcdClusterArgs = {
  region,
  adminCidrs: new Config().requireObject("adminCidrs"),
  artifacts: new Config().requireObject("artifacts"),
  size: 1,
  existingNetwork: {
    vpcId: vpc.id,
    subnets: [{ zone, privateSubnetId: closed.id, publicSubnetId: open.id }],
  },
  instanceType: "t3.small",
  deletionProtection: false,
};
/** What a test sees refused. */
const mistake = new Config().get("mistake");
const mistakes: Record<string, object> = {
  options: { sise: 3, size: 3, clientCidrs: "10.0.0.0/8" },
  region: { region: "eu-west-1" },
};
const wrong = mistakes[mistake ?? ""] ?? {};
const provider =
  mistake === "provider" ? new aws.Provider("elsewhere", { region: "eu-west-1" }) : undefined;
const clusters = ["one", "two"].map(
  (name) =>
    new EtcdCluster(
      name,
      { ...args, ...wrong },
      { dependsOn: [out, way], ...(provider && { provider }) },
    ),
);

export const connections = clusters.map(({ connection }) => connection);
export const health = clusters.map((cluster) => cluster.health);
export const bastions = clusters.map(({ bastionHost }) => bastionHost);
