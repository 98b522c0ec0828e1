import { flag, text } from "../../shared/schema.ts";
import { awsResource, completing, fromTagList, given, single } from "../awsResource.ts";
import { arn } from "../environment.ts";
import { dependants, retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.Subnet */
export const subnet = awsResource({
  type: "aws:ec2/subnet:Subnet",
  fields: {
    vpcId: text({ required: true, replaces: true }),
    cidrBlock: text({ required: true, replaces: true }),
    availabilityZone: text({ replaces: true }),
    mapPublicIpOnLaunch: flag(),
  },
  computed: ["arn", "ownerId", "availabilityZone", "availabilityZoneId"],
  normalize: (inputs) => ({ mapPublicIpOnLaunch: false, ...inputs }),
  missing: ["InvalidSubnetID.NotFound"],
  busy: dependants,
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const ec2 = await aws.ec2();
    const { Subnet } = await ec2.createSubnet({
      VpcId: inputs.vpcId,
      CidrBlock: inputs.cidrBlock,
      AvailabilityZone: inputs.availabilityZone,
      ...tagSpecifications("subnet", tags),
    });
    const id = given(Subnet?.SubnetId, "the subnet's id");
    return completing(id, async () => {
      if (inputs.mapPublicIpOnLaunch === true) {
        await ec2.modifySubnetAttribute({ SubnetId: id, MapPublicIpOnLaunch: { Value: true } });
      }
    });
  },
  read: async (id, _state, aws) => {
    const found = single((await (await aws.ec2()).describeSubnets({ SubnetIds: [id] })).Subnets);
    return (
      found && {
        arn: found.SubnetArn ?? arn(aws, "ec2", `subnet/${id}`),
        vpcId: found.VpcId,
        cidrBlock: found.CidrBlock,
        availabilityZone: found.AvailabilityZone,
        availabilityZoneId: found.AvailabilityZoneId,
        mapPublicIpOnLaunch: found.MapPublicIpOnLaunch,
        ownerId: found.OwnerId ?? aws.accountId,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (changed.has("mapPublicIpOnLaunch")) {
      await (
        await aws.ec2()
      ).modifySubnetAttribute({
        SubnetId: id,
        MapPublicIpOnLaunch: { Value: news.mapPublicIpOnLaunch ?? false },
      });
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteSubnet({ SubnetId: id });
  },
});
