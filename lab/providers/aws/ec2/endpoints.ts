import { flag, set, text } from "../../shared/schema.ts";
import { awsResource, difference, fromTagList, given, single } from "../awsResource.ts";
import { arn } from "../environment.ts";
import { unlessMissing, until } from "../waiting.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.VpcEndpoint, of gateway or interface type */
export const vpcEndpoint = awsResource({
  type: "aws:ec2/vpcEndpoint:VpcEndpoint",
  fields: {
    vpcId: text({ required: true, replaces: true }),
    serviceName: text({ required: true, replaces: true }),
    vpcEndpointType: text({ replaces: true }),
    routeTableIds: set(text()),
    subnetIds: set(text()),
    securityGroupIds: set(text()),
    privateDnsEnabled: flag(),
    policy: text(),
  },
  computed: ["arn", "state", "ownerId", "networkInterfaceIds", "prefixListId", "policy"],
  normalize: (inputs) => ({ vpcEndpointType: "Gateway", ...inputs }),
  missing: ["InvalidVpcEndpointId.NotFound"],
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { VpcEndpoint } = await (
      await aws.ec2()
    ).createVpcEndpoint({
      VpcId: inputs.vpcId,
      ServiceName: inputs.serviceName,
      VpcEndpointType: inputs.vpcEndpointType === "Interface" ? "Interface" : "Gateway",
      RouteTableIds: copy(inputs.routeTableIds),
      SubnetIds: copy(inputs.subnetIds),
      SecurityGroupIds: copy(inputs.securityGroupIds),
      PrivateDnsEnabled: inputs.privateDnsEnabled,
      PolicyDocument: inputs.policy,
      ...tagSpecifications("vpc-endpoint", tags),
    });
    return given(VpcEndpoint?.VpcEndpointId, "the endpoint's id");
  },
  ready: async (id, _state, { aws, context }) => {
    const ec2 = await aws.ec2();
    await until(`VPC endpoint ${id}`, context, 10 * 60, async () => {
      const { VpcEndpoints } = await ec2.describeVpcEndpoints({ VpcEndpointIds: [id] });
      return single(VpcEndpoints)?.State?.toLowerCase() === "available" ? true : undefined;
    });
  },
  read: async (id, _state, aws) => {
    const ec2 = await aws.ec2();
    const found = single((await ec2.describeVpcEndpoints({ VpcEndpointIds: [id] })).VpcEndpoints);
    if (found === undefined || found.State?.toLowerCase() === "deleted") {
      return undefined;
    }
    const { PrefixLists } = await ec2.describePrefixLists({
      Filters: [{ Name: "prefix-list-name", Values: [found.ServiceName ?? ""] }],
    });
    return {
      arn: arn(aws, "ec2", `vpc-endpoint/${id}`),
      ownerId: found.OwnerId ?? aws.accountId,
      state: found.State?.toLowerCase(),
      vpcId: found.VpcId,
      serviceName: found.ServiceName,
      vpcEndpointType: found.VpcEndpointType,
      routeTableIds: found.RouteTableIds ?? [],
      subnetIds: found.SubnetIds ?? [],
      securityGroupIds: (found.Groups ?? []).map(({ GroupId }) => GroupId ?? ""),
      networkInterfaceIds: found.NetworkInterfaceIds ?? [],
      prefixListId: single(PrefixLists)?.PrefixListId,
      policy: found.PolicyDocument,
      tagsAll: fromTagList(found.Tags),
    };
  },
  update: async ({ id, olds, news, changed }, { aws }) => {
    const tables = difference(olds.routeTableIds, news.routeTableIds);
    const subnets = difference(olds.subnetIds, news.subnetIds);
    const groups = difference(olds.securityGroupIds, news.securityGroupIds);
    if (changed.size === 0) {
      return;
    }
    await (
      await aws.ec2()
    ).modifyVpcEndpoint({
      VpcEndpointId: id,
      AddRouteTableIds: some(tables.added),
      RemoveRouteTableIds: some(tables.removed),
      AddSubnetIds: some(subnets.added),
      RemoveSubnetIds: some(subnets.removed),
      AddSecurityGroupIds: some(groups.added),
      RemoveSecurityGroupIds: some(groups.removed),
      PrivateDnsEnabled: changed.has("privateDnsEnabled") ? news.privateDnsEnabled : undefined,
      PolicyDocument: changed.has("policy") ? news.policy : undefined,
    });
  },
  remove: async (id, _state, { aws, context }) => {
    const ec2 = await aws.ec2();
    const gone = async (): Promise<true | undefined> => {
      const found = await unlessMissing(["InvalidVpcEndpointId.NotFound"], () =>
        ec2.describeVpcEndpoints({ VpcEndpointIds: [id] }),
      );
      const state = single(found?.VpcEndpoints)?.State?.toLowerCase() ?? "deleted";
      return state === "deleted" ? true : undefined;
    };
    // An interrupted destroy comes here again.
    if ((await gone()) === true) {
      return;
    }
    const { Unsuccessful } = await ec2.deleteVpcEndpoints({ VpcEndpointIds: [id] });
    const failure = single(Unsuccessful)?.Error;
    if (failure !== undefined && failure.Code !== "InvalidVpcEndpoint.NotFound") {
      throw new Error(`deleting VPC endpoint ${id}: ${failure.Code}: ${failure.Message}`);
    }
    await until(`VPC endpoint ${id} to go`, context, 10 * 60, gone);
  },
});

function copy(items: readonly string[] | undefined): string[] | undefined {
  return items === undefined ? undefined : [...items];
}

function some(items: string[]): string[] | undefined {
  return items.length === 0 ? undefined : items;
}
