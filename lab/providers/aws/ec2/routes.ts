import { crc32 } from "node:zlib";

import { text, type InputsOf } from "../../shared/schema.ts";
import { awsResource, fromTagList, given, single, textOf } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { dependants, retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.RouteTable. Routes are resources of their own here; inline ones are refused as unknown. */
export const routeTable = awsResource({
  type: "aws:ec2/routeTable:RouteTable",
  fields: { vpcId: text({ required: true, replaces: true }) },
  computed: ["arn", "ownerId"],
  missing: ["InvalidRouteTableID.NotFound"],
  busy: dependants,
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { RouteTable } = await (
      await aws.ec2()
    ).createRouteTable({ VpcId: inputs.vpcId, ...tagSpecifications("route-table", tags) });
    return given(RouteTable?.RouteTableId, "the route table's id");
  },
  read: async (id, _state, aws) => {
    const found = await table(aws, id);
    return (
      found && {
        arn: arn(aws, "ec2", `route-table/${id}`),
        ownerId: found.OwnerId ?? aws.accountId,
        vpcId: found.VpcId,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteRouteTable({ RouteTableId: id });
  },
});

const routeFields = {
  routeTableId: text({ required: true, replaces: true }),
  destinationCidrBlock: text({ required: true, replaces: true }),
  gatewayId: text(),
  natGatewayId: text(),
  networkInterfaceId: text(),
} as const;

/** aws.ec2.Route */
export const route = awsResource({
  type: "aws:ec2/route:Route",
  fields: routeFields,
  computed: ["origin", "state", "instanceId", "instanceOwnerId"],
  missing: ["InvalidRoute.NotFound", "InvalidRouteTableID.NotFound"],
  create: async (inputs, { aws }) => {
    await (
      await aws.ec2()
    ).createRoute({
      RouteTableId: inputs.routeTableId,
      DestinationCidrBlock: inputs.destinationCidrBlock,
      ...targetOf(inputs),
    });
    return `r-${inputs.routeTableId}${crc32(inputs.destinationCidrBlock)}`;
  },
  read: async (_id, state, aws) => {
    const destination = textOf(state, "destinationCidrBlock");
    const routes = (await table(aws, textOf(state, "routeTableId")))?.Routes;
    const found = routes?.find(({ DestinationCidrBlock }) => DestinationCidrBlock === destination);
    return (
      found && {
        gatewayId: found.GatewayId,
        natGatewayId: found.NatGatewayId,
        networkInterfaceId: found.NetworkInterfaceId,
        origin: found.Origin,
        state: found.State,
      }
    );
  },
  update: async ({ news }, { aws }) => {
    await (
      await aws.ec2()
    ).replaceRoute({
      RouteTableId: news.routeTableId,
      DestinationCidrBlock: news.destinationCidrBlock,
      ...targetOf(news),
    });
  },
  remove: async (_id, state, { aws }) => {
    await (
      await aws.ec2()
    ).deleteRoute({
      RouteTableId: textOf(state, "routeTableId"),
      DestinationCidrBlock: textOf(state, "destinationCidrBlock"),
    });
  },
});

/** aws.ec2.RouteTableAssociation. A subnet has one at a time, so another table means: the old association goes first. */
export const routeTableAssociation = awsResource({
  type: "aws:ec2/routeTableAssociation:RouteTableAssociation",
  fields: {
    subnetId: text({ required: true, replaces: true }),
    routeTableId: text({ required: true, replaces: true }),
  },
  computed: [],
  deleteBeforeReplace: true,
  missing: ["InvalidAssociationID.NotFound", "InvalidRouteTableID.NotFound"],
  create: async (inputs, { aws }) => {
    const { AssociationId } = await (
      await aws.ec2()
    ).associateRouteTable({ SubnetId: inputs.subnetId, RouteTableId: inputs.routeTableId });
    return given(AssociationId, "the association's id");
  },
  read: async (id, _state, aws) => {
    const { RouteTables } = await (
      await aws.ec2()
    ).describeRouteTables({
      Filters: [{ Name: "association.route-table-association-id", Values: [id] }],
    });
    const found = RouteTables?.flatMap(({ Associations = [] }) => Associations).find(
      ({ RouteTableAssociationId }) => RouteTableAssociationId === id,
    );
    return found && { subnetId: found.SubnetId, routeTableId: found.RouteTableId };
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).disassociateRouteTable({ AssociationId: id });
  },
});

function targetOf(inputs: InputsOf<typeof routeFields>) {
  return {
    GatewayId: inputs.gatewayId,
    NatGatewayId: inputs.natGatewayId,
    NetworkInterfaceId: inputs.networkInterfaceId,
  };
}

async function table(aws: Aws, id: string) {
  const { RouteTables } = await (await aws.ec2()).describeRouteTables({ RouteTableIds: [id] });
  return single(RouteTables);
}
