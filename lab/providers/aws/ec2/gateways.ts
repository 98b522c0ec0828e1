import { text } from "../../shared/schema.ts";
import { awsResource, completing, fromTagList, given, single, textOf } from "../awsResource.ts";
import { arn } from "../environment.ts";
import { unlessMissing, until } from "../waiting.ts";
import { dependants, retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.InternetGateway */
export const internetGateway = awsResource({
  type: "aws:ec2/internetGateway:InternetGateway",
  fields: { vpcId: text() },
  computed: ["arn", "ownerId"],
  missing: ["InvalidInternetGatewayID.NotFound"],
  busy: dependants,
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const ec2 = await aws.ec2();
    const { InternetGateway } = await ec2.createInternetGateway(
      tagSpecifications("internet-gateway", tags),
    );
    const id = given(InternetGateway?.InternetGatewayId, "the gateway's id");
    return completing(id, async () => {
      if (inputs.vpcId !== undefined) {
        await ec2.attachInternetGateway({ InternetGatewayId: id, VpcId: inputs.vpcId });
      }
    });
  },
  read: async (id, _state, aws) => {
    const { InternetGateways } = await (
      await aws.ec2()
    ).describeInternetGateways({ InternetGatewayIds: [id] });
    const found = single(InternetGateways);
    return (
      found && {
        arn: arn(aws, "ec2", `internet-gateway/${id}`),
        ownerId: found.OwnerId ?? aws.accountId,
        vpcId: single(found.Attachments)?.VpcId,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, olds, news, changed }, { aws }) => {
    if (!changed.has("vpcId")) {
      return;
    }
    const ec2 = await aws.ec2();
    if (olds.vpcId !== undefined) {
      await ec2.detachInternetGateway({ InternetGatewayId: id, VpcId: olds.vpcId });
    }
    if (news.vpcId !== undefined) {
      await ec2.attachInternetGateway({ InternetGatewayId: id, VpcId: news.vpcId });
    }
  },
  remove: async (id, state, { aws }) => {
    const ec2 = await aws.ec2();
    const VpcId = textOf(state, "vpcId");
    if (VpcId !== "") {
      await unlessMissing(["Gateway.NotAttached"], () =>
        ec2.detachInternetGateway({ InternetGatewayId: id, VpcId }),
      );
    }
    await ec2.deleteInternetGateway({ InternetGatewayId: id });
  },
});

/** aws.ec2.NatGateway */
export const natGateway = awsResource({
  type: "aws:ec2/natGateway:NatGateway",
  fields: {
    subnetId: text({ required: true, replaces: true }),
    allocationId: text({ replaces: true }),
    connectivityType: text({ replaces: true }),
  },
  computed: ["associationId", "networkInterfaceId", "privateIp", "publicIp"],
  normalize: (inputs) => ({ connectivityType: "public", ...inputs }),
  missing: ["NatGatewayNotFound"],
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { NatGateway } = await (
      await aws.ec2()
    ).createNatGateway({
      SubnetId: inputs.subnetId,
      AllocationId: inputs.allocationId,
      ConnectivityType: inputs.connectivityType === "private" ? "private" : "public",
      ...tagSpecifications("natgateway", tags),
    });
    return given(NatGateway?.NatGatewayId, "the NAT gateway's id");
  },
  ready: async (id, _state, { aws, context }) => {
    const ec2 = await aws.ec2();
    await until(`NAT gateway ${id}`, context, 10 * 60, async () => {
      const found = single((await ec2.describeNatGateways({ NatGatewayIds: [id] })).NatGateways);
      if (found?.State === "failed") {
        throw new Error(`NAT gateway ${id}: ${found.FailureCode}: ${found.FailureMessage}`);
      }
      return found?.State === "available" ? found : undefined;
    });
  },
  read: async (id, _state, aws) => {
    const { NatGateways } = await (await aws.ec2()).describeNatGateways({ NatGatewayIds: [id] });
    const found = single(NatGateways);
    if (found === undefined || found.State === "deleted" || found.State === "deleting") {
      return undefined;
    }
    const address = single(found.NatGatewayAddresses);
    return {
      subnetId: found.SubnetId,
      connectivityType: found.ConnectivityType,
      allocationId: address?.AllocationId,
      associationId: address?.AssociationId ?? "",
      networkInterfaceId: address?.NetworkInterfaceId,
      privateIp: address?.PrivateIp,
      publicIp: address?.PublicIp,
      tagsAll: fromTagList(found.Tags),
    };
  },
  remove: async (id, _state, { aws, context }) => {
    const ec2 = await aws.ec2();
    const gone = async () => {
      const { NatGateways } = await ec2.describeNatGateways({ NatGatewayIds: [id] });
      return NatGateways?.some(({ State }) => State !== "deleted") === true ? undefined : true;
    };
    // AWS still shows a deleted gateway for an hour.
    if ((await gone()) === undefined) {
      await ec2.deleteNatGateway({ NatGatewayId: id });
      await until(`NAT gateway ${id} to go`, context, 30 * 60, gone);
    }
  },
});
