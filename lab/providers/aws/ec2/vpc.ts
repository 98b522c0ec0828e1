import { flag, text } from "../../shared/schema.ts";
import { awsResource, completing, fromTagList, given, single } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { dependants, retagEc2, tagSpecifications } from "./common.ts";

const outputs = ["arn", "ownerId", "mainRouteTableId", "defaultRouteTableId"] as const;

/** aws.ec2.Vpc */
export const vpc = awsResource({
  type: "aws:ec2/vpc:Vpc",
  fields: {
    cidrBlock: text({ required: true, replaces: true }),
    enableDnsHostnames: flag(),
    enableDnsSupport: flag(),
    instanceTenancy: text({ replaces: true }),
  },
  computed: [...outputs, "defaultSecurityGroupId", "defaultNetworkAclId", "dhcpOptionsId"],
  normalize: (inputs) => ({
    enableDnsSupport: true,
    enableDnsHostnames: false,
    instanceTenancy: "default",
    ...inputs,
  }),
  missing: ["InvalidVpcID.NotFound"],
  busy: dependants,
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const ec2 = await aws.ec2();
    const { Vpc } = await ec2.createVpc({
      CidrBlock: inputs.cidrBlock,
      ...(inputs.instanceTenancy === "dedicated" ? { InstanceTenancy: "dedicated" } : {}),
      ...tagSpecifications("vpc", tags),
    });
    const id = given(Vpc?.VpcId, "the VPC's id");
    return completing(id, async () => {
      await setDns(aws, id, "EnableDnsSupport", inputs.enableDnsSupport ?? true);
      await setDns(aws, id, "EnableDnsHostnames", inputs.enableDnsHostnames ?? false);
    });
  },
  read: async (id, _state, aws) => {
    const ec2 = await aws.ec2();
    const found = single((await ec2.describeVpcs({ VpcIds: [id] })).Vpcs);
    if (found === undefined) {
      return undefined;
    }
    const ofVpc = [{ Name: "vpc-id", Values: [id] }];
    const [support, hostnames, tables, groups] = await Promise.all([
      ec2.describeVpcAttribute({ VpcId: id, Attribute: "enableDnsSupport" }),
      ec2.describeVpcAttribute({ VpcId: id, Attribute: "enableDnsHostnames" }),
      ec2.describeRouteTables({
        Filters: [...ofVpc, { Name: "association.main", Values: ["true"] }],
      }),
      ec2.describeSecurityGroups({
        Filters: [...ofVpc, { Name: "group-name", Values: ["default"] }],
      }),
    ]);
    const mainTable = single(tables.RouteTables)?.RouteTableId;
    return {
      arn: arn(aws, "ec2", `vpc/${id}`),
      cidrBlock: found.CidrBlock,
      instanceTenancy: found.InstanceTenancy ?? "default",
      enableDnsSupport: support.EnableDnsSupport?.Value,
      enableDnsHostnames: hostnames.EnableDnsHostnames?.Value,
      ownerId: found.OwnerId ?? aws.accountId,
      mainRouteTableId: mainTable,
      defaultRouteTableId: mainTable,
      defaultSecurityGroupId: single(groups.SecurityGroups)?.GroupId,
      dhcpOptionsId: found.DhcpOptionsId,
      tagsAll: fromTagList(found.Tags),
    };
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (changed.has("enableDnsSupport")) {
      await setDns(aws, id, "EnableDnsSupport", news.enableDnsSupport ?? true);
    }
    if (changed.has("enableDnsHostnames")) {
      await setDns(aws, id, "EnableDnsHostnames", news.enableDnsHostnames ?? false);
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteVpc({ VpcId: id });
  },
});

/** AWS takes one attribute at a time. */
async function setDns(
  aws: Aws,
  id: string,
  attribute: "EnableDnsSupport" | "EnableDnsHostnames",
  value: boolean,
): Promise<void> {
  await (await aws.ec2()).modifyVpcAttribute({ VpcId: id, [attribute]: { Value: value } });
}
