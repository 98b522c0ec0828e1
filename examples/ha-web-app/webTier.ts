import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import * as aws from "@pulumi/aws";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

import { newestImage } from "../patroni/patroniCluster";
import { deploy, uploadPath } from "./commands";
import type { Order } from "./order";
import { timing } from "./timing";
import { WebMachine } from "./webMachine";

/** The way to the machines. */
export interface BastionWay {
  host: pulumi.Input<string>;
  hostKey: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  keyName: pulumi.Input<string>;
  privateKey: pulumi.Input<string>;
}

/** What a WebTier needs. */
export interface WebTierArgs {
  region: string;
  instanceType: string;
  vpcId: pulumi.Input<string>;
  /** Blocks from which the app may be asked. */
  clientCidrs: string[];
  /** Private subnets by zone; a machine in each. */
  subnetIds: Readonly<Record<string, pulumi.Input<string>>>;
  /** Groups whose bearers may reach etcd and the database. */
  joins: pulumi.Input<string>[];
  bastion: BastionWay;
  /** A release, as `npm run release` makes it. */
  releaseFile: string;
  /** What the app is told on each machine; a secret. */
  settings: (zone: string) => pulumi.Input<Order["settings"]>;
  /** By what the app and etcd know each other, PEM. */
  certificates: pulumi.Input<Order["certificates"]>;
  tags: Record<string, pulumi.Input<string>>;
}

const httpPort = 80;

/**
 * Machines behind a network load balancer, and the release that runs on them:
 *
 * 1. an internal balancer over the zones, with a group of its own, and the target group;
 * 2. a machine in every zone;
 * 3. the release, copied to all of them;
 * 4. machine after machine: `deploy`, which drains it, puts release and settings in place, proves them, and puts it back. A deployment
 *    that fails takes itself back, and the machines after it are not touched.
 */
export class WebTier extends pulumi.ComponentResource {
  /** Name under which the app is found in the VPC. */
  readonly dnsName: pulumi.Output<string>;
  /** Addresses of the machines by zone; they resolve when the release runs there. */
  readonly machines: pulumi.Output<Record<string, string>>;

  constructor(name: string, args: WebTierArgs, opts?: pulumi.ComponentResourceOptions) {
    super("ha-web-app:index:WebTier", name, {}, opts);
    const inside = { parent: this };
    const { tags } = args;
    const balancerGroup = this.group(`${name}-balancer`, args);
    const machineGroup = this.group(`${name}-machines`, args);
    const rules = this.rules(name, args, balancerGroup, machineGroup);
    const { balancer, targetGroup } = this.balancer(name, args, balancerGroup);
    const imageId = newestImage(inside);
    const sha256 = createHash("sha256").update(readFileSync(args.releaseFile)).digest("hex");
    const machines: Record<string, pulumi.Output<string>> = {};
    let before: pulumi.Resource[] = [];
    for (const [zone, subnetId] of Object.entries(args.subnetIds)) {
      const machine = new WebMachine(
        `${name}-${zone}`,
        {
          ...{ region: args.region, instanceType: args.instanceType, subnetId, imageId, tags },
          securityGroupIds: [machineGroup.id, ...args.joins],
          keyName: args.bastion.keyName,
          targetGroupArn: targetGroup.arn,
        },
        { parent: this, dependsOn: rules },
      );
      const connection = this.connection(machine, args.bastion);
      const release = new command.remote.CopyToRemote(
        `${name}-${zone}`,
        {
          connection,
          source: new pulumi.asset.FileAsset(args.releaseFile),
          remotePath: uploadPath,
          triggers: [machine.instanceId],
        },
        inside,
      );
      const order = pulumi
        .all([args.settings(zone), args.certificates, targetGroup.arn, machine.address])
        .apply(([settings, certificates, targetGroupArn, address]): Order => ({
          ...{ settings, certificates, limits: limits() },
          balancer: { region: args.region, targetGroupArn, address, port: httpPort },
        }));
      const deployed = new command.remote.Command(
        `${name}-${zone}`,
        {
          connection,
          create: deploy(sha256),
          stdin: pulumi.secret(order.apply((value) => JSON.stringify(value))),
          addPreviousOutputInEnv: false,
          triggers: [machine.instanceId],
        },
        { parent: this, dependsOn: [release, ...before] },
      );
      before = [deployed];
      machines[zone] = pulumi.all([machine.address, deployed.stdout]).apply(([address]) => address);
    }
    this.dnsName = balancer.dnsName;
    this.machines = pulumi.all(machines);
    this.registerOutputs({ dnsName: this.dnsName, machines: this.machines });
  }

  private group(name: string, { vpcId, tags }: WebTierArgs): aws.ec2.SecurityGroup {
    return new aws.ec2.SecurityGroup(
      name,
      { vpcId, description: name, tags: { ...tags, Name: name } },
      { parent: this },
    );
  }

  private rules(
    name: string,
    args: WebTierArgs,
    balancer: aws.ec2.SecurityGroup,
    machines: aws.ec2.SecurityGroup,
  ): pulumi.Resource[] {
    const at = (port: number) => ({ ipProtocol: "tcp", fromPort: port, toPort: port });
    const ingress = (what: string, rule: aws.vpc.SecurityGroupIngressRuleArgs) =>
      new aws.vpc.SecurityGroupIngressRule(`${name}-${what}`, rule, { parent: this });
    const egress = (what: string, rule: aws.vpc.SecurityGroupEgressRuleArgs) =>
      new aws.vpc.SecurityGroupEgressRule(`${name}-${what}`, rule, { parent: this });
    const bastion = args.bastion.securityGroupId;
    return [
      ...args.clientCidrs.map((cidrIpv4) =>
        ingress(`clients-${cidrIpv4.replace(/[./]/g, "-")}`, {
          ...{ securityGroupId: balancer.id, cidrIpv4, ...at(httpPort) },
        }),
      ),
      egress("to-machines", {
        ...{
          securityGroupId: balancer.id,
          referencedSecurityGroupId: machines.id,
          ...at(httpPort),
        },
      }),
      ingress("from-balancer", {
        ...{
          securityGroupId: machines.id,
          referencedSecurityGroupId: balancer.id,
          ...at(httpPort),
        },
      }),
      egress("bastion-ssh", {
        ...{ securityGroupId: bastion, referencedSecurityGroupId: machines.id, ...at(22) },
      }),
      ingress("ssh", {
        ...{ securityGroupId: machines.id, referencedSecurityGroupId: bastion, ...at(22) },
      }),
      // The bastion's tunnels: a way for people to look at the app.
      egress("bastion-http", {
        ...{ securityGroupId: bastion, referencedSecurityGroupId: balancer.id, ...at(httpPort) },
      }),
      ingress("http-bastion", {
        ...{ securityGroupId: balancer.id, referencedSecurityGroupId: bastion, ...at(httpPort) },
      }),
      // The AWS API, and Debian's packages.
      egress("https", {
        ...{ securityGroupId: machines.id, cidrIpv4: "0.0.0.0/0", ...at(443) },
      }),
    ];
  }

  private balancer(name: string, args: WebTierArgs, group: aws.ec2.SecurityGroup) {
    const balancer = new aws.lb.LoadBalancer(
      name,
      {
        loadBalancerType: "network",
        internal: true,
        subnets: Object.values(args.subnetIds),
        securityGroups: [group.id],
        // Whichever zone a client comes by: with one machine a zone, its own may be the one that is gone.
        enableCrossZoneLoadBalancing: true,
        tags: args.tags,
      },
      { parent: this },
    );
    const { interval, timeout, threshold } = timing.healthCheck;
    const targetGroup = new aws.lb.TargetGroup(
      name,
      {
        vpcId: args.vpcId,
        protocol: "TCP",
        port: httpPort,
        targetType: "ip",
        preserveClientIp: "false",
        deregistrationDelay: timing.deregistrationDelay,
        healthCheck: {
          ...{ protocol: "HTTP", port: String(httpPort), path: "/healthz", matcher: "200" },
          ...{ interval, timeout, healthyThreshold: threshold, unhealthyThreshold: threshold },
        },
        tags: args.tags,
      },
      { parent: this },
    );
    new aws.lb.Listener(
      name,
      {
        loadBalancerArn: balancer.arn,
        protocol: "TCP",
        port: httpPort,
        defaultActions: [{ type: "forward", targetGroupArn: targetGroup.arn }],
        tags: args.tags,
      },
      { parent: this },
    );
    return { balancer, targetGroup };
  }

  private connection(machine: WebMachine, bastion: BastionWay) {
    const login = { user: "admin", privateKey: bastion.privateKey, dialErrorLimit: 60 };
    return {
      ...{ ...login, host: machine.address, hostKey: machine.hostKey },
      proxy: { ...login, host: bastion.host, hostKey: bastion.hostKey },
    };
  }
}

/** How long the steps of a deployment may take, seconds. Generous: a balancer on AWS may take a minute more than what was declared. */
function limits(): Order["limits"] {
  const { interval, threshold } = timing.healthCheck;
  return {
    drain: timing.deregistrationDelay + 120,
    start: 60,
    healthy: interval * threshold + 180,
  };
}
