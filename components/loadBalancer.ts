import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { ports } from "./plan/ports";

/** What a LoadBalancer needs. */
export interface LoadBalancerArgs {
  /** Name of the balancer; at most 32 characters. */
  balancerName: string;
  /** Name of its target group; at most 32 characters. */
  targetGroupName: string;
  vpcId: pulumi.Input<string>;
  /** One subnet per zone. */
  subnetIds: pulumi.Input<string>[];
  /** Its security group. A network balancer that is born without one can never get one. */
  securityGroupId: pulumi.Input<string>;
  /** Refuse deletion through the API. */
  deletionProtection: boolean;
  tags: Record<string, pulumi.Input<string>>;
}

/** Seconds without traffic after which the balancer forgets a connection; etcd and its clients ping within a minute. */
const idleTimeoutSeconds = 350;

/**
 * An internal network load balancer on 2379 that passes TCP through, so that TLS stays between client and member:
 *
 * 1. the balancer with a security group of its own, balancing across zones, because a zone has one member;
 * 2. a target group of addresses, checked by HTTP on the members' plaintext /readyz (a check cannot bear a client certificate);
 *    the client's address is not preserved: a member that reached itself through the balancer would otherwise talk to itself;
 * 3. the listener.
 *
 * Clients do better with the members' own endpoints; this is for discovery, and for clients that can have only one.
 */
export class LoadBalancer extends pulumi.ComponentResource {
  /** DNS name of the balancer. */
  readonly dnsName: pulumi.Output<string>;
  /** `https://<name>:2379` */
  readonly endpoint: pulumi.Output<string>;

  private readonly base: string;
  private readonly targetGroup: aws.lb.TargetGroup;

  constructor(name: string, args: LoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:LoadBalancer", name, {}, opts);
    this.base = name;
    const balancer = new aws.lb.LoadBalancer(
      name,
      {
        name: args.balancerName,
        loadBalancerType: "network",
        internal: true,
        subnets: args.subnetIds,
        securityGroups: [args.securityGroupId],
        enableCrossZoneLoadBalancing: true,
        enableDeletionProtection: args.deletionProtection,
        tags: args.tags,
      },
      { parent: this },
    );
    this.targetGroup = new aws.lb.TargetGroup(
      name,
      {
        name: args.targetGroupName,
        vpcId: args.vpcId,
        protocol: "TCP",
        port: ports.client,
        targetType: "ip",
        preserveClientIp: "false",
        deregistrationDelay: 30,
        healthCheck: {
          protocol: "HTTP",
          port: String(ports.metrics),
          path: "/readyz",
          matcher: "200",
          interval: 5,
          timeout: 3,
          healthyThreshold: 2,
          unhealthyThreshold: 2,
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
        port: ports.client,
        tcpIdleTimeoutSeconds: idleTimeoutSeconds,
        defaultActions: [{ type: "forward", targetGroupArn: this.targetGroup.arn }],
        tags: args.tags,
      },
      { parent: this },
    );
    this.dnsName = balancer.dnsName;
    this.endpoint = pulumi.interpolate`https://${balancer.dnsName}:${ports.client}`;
    this.registerOutputs({ dnsName: this.dnsName, endpoint: this.endpoint });
  }

  /** Adds a member's address to the targets, once it is in service. */
  attach(
    member: string,
    address: pulumi.Input<string>,
    inService: readonly pulumi.Resource[],
  ): aws.lb.TargetGroupAttachment {
    return new aws.lb.TargetGroupAttachment(
      `${this.base}-${member}`,
      { targetGroupArn: this.targetGroup.arn, targetId: address, port: ports.client },
      { parent: this, dependsOn: [...inService] },
    );
  }
}
