import * as ec2 from "@aws-sdk/client-ec2";
import type { StateResource } from "./deployment.ts";
import { input } from "./find.ts";

/**
 * Connections between things, which carry no data, bear no name, and whose second creation AWS refuses. What a killed Pulumi made of
 * them is taken away, and the next `up` makes it again.
 */

/** Something to take away, and how. */
export interface Removal {
  readonly what: string;
  remove(): Promise<void>;
}

type Remover = (
  client: ec2.EC2Client,
  wanted: StateResource,
  known: ReadonlySet<string>,
) => Promise<Removal[]>;

async function tableOf(
  client: ec2.EC2Client,
  wanted: StateResource,
): Promise<ec2.RouteTable | undefined> {
  const id = input(wanted, "routeTableId");
  const { RouteTables } = await client.send(
    new ec2.DescribeRouteTablesCommand({ Filters: [{ Name: "route-table-id", Values: [id] }] }),
  );
  return RouteTables?.[0];
}

function rules(direction: "ingress" | "egress"): Remover {
  return async (client, wanted, known) => {
    const GroupId = input(wanted, "securityGroupId");
    const { SecurityGroupRules } = await client.send(
      new ec2.DescribeSecurityGroupRulesCommand({
        Filters: [{ Name: "group-id", Values: [GroupId] }],
      }),
    );
    const mine = (SecurityGroupRules ?? []).filter(
      (rule) =>
        rule.IsEgress === (direction === "egress") &&
        !known.has(rule.SecurityGroupRuleId ?? "") &&
        sameRule(rule, wanted),
    );
    return mine.flatMap(({ SecurityGroupRuleId }): Removal[] => {
      if (SecurityGroupRuleId === undefined) return [];
      const ids = { GroupId, SecurityGroupRuleIds: [SecurityGroupRuleId] };
      return [
        {
          what: SecurityGroupRuleId,
          remove: async () => {
            await (direction === "egress"
              ? client.send(new ec2.RevokeSecurityGroupEgressCommand(ids))
              : client.send(new ec2.RevokeSecurityGroupIngressCommand(ids)));
          },
        },
      ];
    });
  };
}

/** Whether a rule in AWS is the one that was wanted. */
export function sameRule(rule: ec2.SecurityGroupRule, wanted: StateResource): boolean {
  const same = (found: string | undefined, key: string): boolean =>
    (found ?? "") === input(wanted, key);
  return (
    same(rule.IpProtocol, "ipProtocol") &&
    rule.FromPort === wanted.inputs?.["fromPort"] &&
    rule.ToPort === wanted.inputs?.["toPort"] &&
    same(rule.CidrIpv4, "cidrIpv4") &&
    same(rule.PrefixListId, "prefixListId") &&
    same(rule.ReferencedGroupInfo?.GroupId, "referencedSecurityGroupId")
  );
}

/** The types, by Pulumi's names. */
export const removers: Readonly<Record<string, Remover>> = {
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": rules("ingress"),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": rules("egress"),
  "aws:ec2/route:Route": async (client, wanted) => {
    const table = await tableOf(client, wanted);
    const DestinationCidrBlock = input(wanted, "destinationCidrBlock");
    const found = table?.Routes?.some(
      (route) => route.DestinationCidrBlock === DestinationCidrBlock,
    );
    const RouteTableId = table?.RouteTableId;
    return found === true && RouteTableId !== undefined
      ? [
          {
            what: `${RouteTableId} ${DestinationCidrBlock}`,
            remove: async () => {
              await client.send(new ec2.DeleteRouteCommand({ RouteTableId, DestinationCidrBlock }));
            },
          },
        ]
      : [];
  },
  "aws:ec2/routeTableAssociation:RouteTableAssociation": async (client, wanted, known) => {
    const table = await tableOf(client, wanted);
    const subnet = input(wanted, "subnetId");
    const AssociationId = table?.Associations?.find(
      ({ SubnetId }) => SubnetId === subnet,
    )?.RouteTableAssociationId;
    return AssociationId !== undefined && !known.has(AssociationId)
      ? [
          {
            what: AssociationId,
            remove: async () => {
              await client.send(new ec2.DisassociateRouteTableCommand({ AssociationId }));
            },
          },
        ]
      : [];
  },
};
