import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import {
  firewall,
  securityGroups,
  type FirewallRule,
  type GroupName,
  type Peer,
} from "./plan/firewall";

/** What a Firewall needs. */
export interface FirewallArgs {
  vpcId: pulumi.Input<string>;
  region: string;
  clusterName: string;
  /** Blocks from which administrators reach the bastion. */
  adminCidrs: readonly string[];
  /** Blocks from which clients reach etcd, beside the members of the clients' group. */
  clientCidrs: readonly string[];
  /** Security group of the endpoints through which AWS is reached; undefined where there is a NAT gateway. */
  endpointSecurityGroupId: pulumi.Output<string> | undefined;
  tags: Record<string, pulumi.Input<string>>;
}

/**
 * The cluster's security groups, for members, balancer, bastion and clients, and the rules of plan/firewall.ts. Groups name each
 * other instead of addresses, and rules are resources of their own, so that others may add theirs.
 */
export class Firewall extends pulumi.ComponentResource {
  /** Ids of the groups. */
  readonly groupIds: Readonly<Record<GroupName, pulumi.Output<string>>>;
  /** All rules, for whatever must not start before they stand. */
  readonly rules: pulumi.Resource[];

  constructor(name: string, args: FirewallArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Firewall", name, {}, opts);
    const group = (part: GroupName): pulumi.Output<string> =>
      new aws.ec2.SecurityGroup(
        `${name}-${part}`,
        {
          vpcId: args.vpcId,
          name: `${args.clusterName}-${part}`,
          description: securityGroups[part],
          tags: { ...args.tags, Name: `${args.clusterName}-${part}` },
        },
        { parent: this },
      ).id;
    this.groupIds = {
      members: group("members"),
      balancer: group("balancer"),
      bastion: group("bastion"),
      clients: group("clients"),
    };
    const closed = args.endpointSecurityGroupId !== undefined;
    this.rules = firewall({ ...args, closed }).map((rule) => this.rule(name, rule, args));
    this.registerOutputs({ groupIds: this.groupIds });
  }

  private rule(name: string, rule: FirewallRule, args: FirewallArgs): pulumi.Resource {
    const rules = {
      ingress: aws.vpc.SecurityGroupIngressRule,
      egress: aws.vpc.SecurityGroupEgressRule,
    };
    return new rules[rule.direction](
      `${name}-${rule.name}`,
      {
        securityGroupId: this.groupIds[rule.group],
        description: rule.description,
        ipProtocol: "tcp",
        fromPort: rule.port,
        toPort: rule.port,
        ...this.peer(rule.peer, args),
        tags: args.tags,
      },
      { parent: this },
    );
  }

  private peer(peer: Peer, args: FirewallArgs) {
    switch (peer.kind) {
      case "group":
        return { referencedSecurityGroupId: this.groupIds[peer.group] };
      case "cidr":
        return { cidrIpv4: peer.cidr };
      case "endpoints":
        return { referencedSecurityGroupId: args.endpointSecurityGroupId };
      case "s3":
        return {
          prefixListId: aws.ec2.getPrefixListOutput(
            { name: `com.amazonaws.${args.region}.s3` },
            { parent: this },
          ).id,
        };
    }
  }
}
