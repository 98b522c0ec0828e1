import { ports } from "./ports";

/** Who may talk to whom: the complete table of the cluster's security group rules. */

/** The cluster's security groups. */
export const securityGroups = {
  members: "etcd members",
  balancer: "the balancer before the members",
  bastion: "the bastion: the only way in by SSH",
  clients: "clients of etcd: whoever bears this group may reach the client port",
} as const;

/** One of the cluster's security groups. */
export type GroupName = keyof typeof securityGroups;

/** The other side of a rule. */
export type Peer =
  | { readonly kind: "group"; readonly group: GroupName }
  | { readonly kind: "cidr"; readonly cidr: string }
  | { readonly kind: "s3" }
  | { readonly kind: "endpoints" };

/** One rule; all are TCP. */
export interface FirewallRule {
  readonly name: string;
  readonly group: GroupName;
  readonly direction: "ingress" | "egress";
  readonly port: number;
  readonly peer: Peer;
  readonly description: string;
}

/** What the table depends on. */
export interface FirewallOptions {
  readonly adminCidrs: readonly string[];
  readonly clientCidrs: readonly string[];
  /** True when AWS is reached through endpoints in the VPC, and nothing else outside is. */
  readonly closed: boolean;
}

/** What a block of addresses adds to a rule's name: the block itself, so that removing one leaves the others alone. */
function slug(cidr: string): string {
  return cidr.replace(/[./]/g, "-");
}

/** A connection between two groups: a way out of one and a way into the other. */
function between(from: GroupName, to: GroupName, what: string, port: number): FirewallRule[] {
  return [
    {
      name: `${from}-to-${to}-${what}`,
      group: from,
      direction: "egress",
      port,
      peer: { kind: "group", group: to },
      description: `${what} to ${to}`,
    },
    {
      name: `${to}-from-${from}-${what}`,
      group: to,
      direction: "ingress",
      port,
      peer: { kind: "group", group: from },
      description: `${what} from ${from}`,
    },
  ];
}

/** HTTPS to AWS: anywhere where there is a NAT gateway (AWS's addresses change), else to the endpoints alone. */
function toAws(group: GroupName, closed: boolean): FirewallRule[] {
  const peers: Record<string, Peer> = closed
    ? { endpoints: { kind: "endpoints" }, s3: { kind: "s3" } }
    : { https: { kind: "cidr", cidr: "0.0.0.0/0" } };
  return Object.entries(peers).map(([what, peer]) => ({
    name: `${group}-to-${what}`,
    group,
    direction: "egress",
    port: ports.https,
    peer,
    description: "the AWS API",
  }));
}

/** The table. No rule lets anyone in from everywhere, unless `adminCidrs` says so itself. */
export function firewall(options: FirewallOptions): FirewallRule[] {
  return [
    ...between("members", "members", "client", ports.client),
    ...between("members", "members", "peer", ports.peer),
    ...between("balancer", "members", "client", ports.client),
    ...between("balancer", "members", "readyz", ports.metrics),
    ...between("clients", "members", "client", ports.client),
    ...between("clients", "balancer", "client", ports.client),
    ...between("bastion", "members", "ssh", ports.ssh),
    ...toAws("members", options.closed),
    // The bastion stands in a public subnet and fetches its host key only; S3 is nothing to it.
    ...toAws("bastion", options.closed).filter((rule) => rule.peer.kind !== "s3"),
    ...options.adminCidrs.map((cidr): FirewallRule => ({
      name: `bastion-from-${slug(cidr)}`,
      group: "bastion",
      direction: "ingress",
      port: ports.ssh,
      peer: { kind: "cidr", cidr },
      description: "administrators",
    })),
    ...options.clientCidrs.flatMap((cidr) =>
      (["members", "balancer"] as const).map((group): FirewallRule => ({
        name: `${group}-from-${slug(cidr)}`,
        group,
        direction: "ingress",
        port: ports.client,
        peer: { kind: "cidr", cidr },
        description: "clients",
      })),
    ),
  ];
}
