import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { ports } from "./plan/ports";

/** What a Discovery needs. */
export interface DiscoveryArgs {
  vpcId: pulumi.Input<string>;
  /** Domain of the private zone, without a final dot. */
  domain: string;
  /** Members and their addresses. */
  members: readonly { readonly member: string; readonly address: pulumi.Input<string> }[];
  /** What must be done before clients are told of a change of the members. */
  inService: readonly pulumi.Resource[];
  tags: Record<string, pulumi.Input<string>>;
}

/** Seconds for which a resolver may keep an answer. Addresses outlive machines, so this is about adding and removing members. */
const ttl = 60;

/**
 * Names, in a private zone of the VPC:
 *
 * 1. an A record per member, `m1.<domain>`;
 * 2. the SRV records of etcd's DNS discovery, for clients (`_etcd-client-ssl._tcp`) and for members (`_etcd-server-ssl._tcp`).
 */
export class Discovery extends pulumi.ComponentResource {
  constructor(name: string, args: DiscoveryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Discovery", name, {}, opts);
    const zone = new aws.route53.Zone(
      name,
      {
        name: args.domain,
        vpcs: [{ vpcId: args.vpcId }],
        comment: "etcd members",
        tags: args.tags,
      },
      { parent: this },
    );
    const record = (what: string, host: string, type: string, records: pulumi.Input<string>[]) =>
      new aws.route53.Record(
        `${name}-${what}`,
        { zoneId: zone.zoneId, name: `${host}.${args.domain}`, type, ttl, records },
        { parent: this, dependsOn: [...args.inService] },
      );
    for (const { member, address } of args.members) {
      record(member, member, "A", [address]);
    }
    const services = { "client-ssl": ports.client, "server-ssl": ports.peer };
    for (const [service, port] of Object.entries(services)) {
      record(
        service,
        `_etcd-${service}._tcp`,
        "SRV",
        args.members.map(({ member }) => `0 0 ${port} ${member}.${args.domain}.`),
      );
    }
    this.registerOutputs({});
  }
}
