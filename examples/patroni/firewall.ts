import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { ports } from "./plan";

/** What a PatroniFirewall needs. */
export interface PatroniFirewallArgs {
  readonly vpcId: pulumi.Input<string>;
  /** Security group of the bastion. */
  readonly bastion: pulumi.Input<string>;
  /** Security groups of PostgreSQL's clients, by a name for each. */
  readonly clients: Readonly<Record<string, pulumi.Input<string>>>;
  readonly tags: Record<string, pulumi.Input<string>>;
}

/**
 * The machines' own security group, and both sides of each connection: PostgreSQL and Patroni's REST interface among the machines and
 * from clients, SSH and REST from the bastion, and out of the machines HTTPS, for AWS and Debian's archive. (etcd is reached by the
 * cluster's `clientSecurityGroup`, which the machines bear as well.)
 */
export class PatroniFirewall extends pulumi.ComponentResource {
  /** Id of the machines' group. */
  readonly groupId: pulumi.Output<string>;
  /** All rules, for what must not start before they stand. */
  readonly rules: pulumi.Resource[] = [];

  constructor(
    private readonly base: string,
    args: PatroniFirewallArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("patroni:index:PatroniFirewall", base, {}, opts);
    this.groupId = new aws.ec2.SecurityGroup(
      base,
      {
        name: base,
        description: "PostgreSQL machines",
        vpcId: args.vpcId,
        tags: { ...args.tags, Name: base },
      },
      { parent: this },
    ).id;
    const { postgres, rest, ssh } = ports;
    this.connect("peers", this.groupId, { postgres, rest });
    this.connect("bastion", args.bastion, { ssh, rest });
    for (const [name, group] of Object.entries(args.clients)) {
      this.connect(`client-${name}`, group, { postgres, rest });
    }
    this.rule("https-out", this.groupId, "egress", ports.https, { cidrIpv4: "0.0.0.0/0" });
    this.registerOutputs({ groupId: this.groupId });
  }

  /** A way out of one group and into the machines', for every port. */
  private connect(
    who: string,
    group: pulumi.Input<string>,
    open: Readonly<Record<string, number>>,
  ): void {
    for (const [what, port] of Object.entries(open)) {
      const [here, there] = [this.groupId, group];
      this.rule(`${who}-${what}-out`, there, "egress", port, { referencedSecurityGroupId: here });
      this.rule(`${who}-${what}-in`, here, "ingress", port, { referencedSecurityGroupId: there });
    }
  }

  private rule(
    name: string,
    securityGroupId: pulumi.Input<string>,
    direction: "ingress" | "egress",
    port: number,
    peer: { cidrIpv4: string } | { referencedSecurityGroupId: pulumi.Input<string> },
  ): void {
    const kind = {
      ingress: aws.vpc.SecurityGroupIngressRule,
      egress: aws.vpc.SecurityGroupEgressRule,
    };
    const rule = new kind[direction](
      `${this.base}-${name}`,
      {
        securityGroupId,
        description: `${this.base} ${name}`,
        ipProtocol: "tcp",
        fromPort: port,
        toPort: port,
        ...peer,
      },
      { parent: this },
    );
    this.rules.push(rule);
  }
}
