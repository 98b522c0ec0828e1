import { flag, set, text } from "../../shared/schema.ts";
import { awsResource, completing, fromTagList, given, single } from "../awsResource.ts";
import { arn } from "../environment.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

/** aws.ec2.NetworkInterface */
export const networkInterface = awsResource({
  type: "aws:ec2/networkInterface:NetworkInterface",
  fields: {
    subnetId: text({ required: true, replaces: true }),
    // The real provider also replaces when the first address changes; further addresses are not used here.
    privateIps: set(text(), { replaces: true }),
    securityGroups: set(text()),
    description: text(),
    sourceDestCheck: flag(),
  },
  computed: [
    "arn",
    "macAddress",
    "ownerId",
    "privateDnsName",
    "privateIp",
    "privateIps",
    "securityGroups",
  ],
  normalize: (inputs) => ({ sourceDestCheck: true, ...inputs }),
  missing: ["InvalidNetworkInterfaceID.NotFound"],
  // A terminating machine lets go of its interface a little later.
  busy: { codes: ["InvalidParameterValue", "InvalidNetworkInterface.InUse"], seconds: 10 * 60 },
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const ec2 = await aws.ec2();
    const { NetworkInterface } = await ec2.createNetworkInterface({
      SubnetId: inputs.subnetId,
      Groups: inputs.securityGroups === undefined ? undefined : [...inputs.securityGroups],
      Description: inputs.description,
      ...(inputs.privateIps?.[0] === undefined ? {} : { PrivateIpAddress: inputs.privateIps[0] }),
      ...tagSpecifications("network-interface", tags),
    });
    const id = given(NetworkInterface?.NetworkInterfaceId, "the interface's id");
    return completing(id, async () => {
      if (inputs.sourceDestCheck === false) {
        await ec2.modifyNetworkInterfaceAttribute({
          NetworkInterfaceId: id,
          SourceDestCheck: { Value: false },
        });
      }
    });
  },
  read: async (id, state, aws) => {
    const { NetworkInterfaces } = await (
      await aws.ec2()
    ).describeNetworkInterfaces({ NetworkInterfaceIds: [id] });
    const found = single(NetworkInterfaces);
    return (
      found && {
        arn: arn(aws, "ec2", `network-interface/${id}`),
        ownerId: found.OwnerId ?? aws.accountId,
        subnetId: found.SubnetId,
        description: found.Description === "" ? state["description"] : found.Description,
        macAddress: found.MacAddress,
        privateDnsName: found.PrivateDnsName,
        privateIp: found.PrivateIpAddress,
        privateIps: (found.PrivateIpAddresses ?? []).map(
          ({ PrivateIpAddress }) => PrivateIpAddress ?? "",
        ),
        securityGroups: (found.Groups ?? []).map(({ GroupId }) => GroupId ?? ""),
        sourceDestCheck: found.SourceDestCheck,
        tagsAll: fromTagList(found.TagSet),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    const ec2 = await aws.ec2();
    // AWS takes one attribute at a time.
    if (changed.has("securityGroups")) {
      await ec2.modifyNetworkInterfaceAttribute({
        NetworkInterfaceId: id,
        Groups: [...(news.securityGroups ?? [])],
      });
    }
    if (changed.has("description")) {
      await ec2.modifyNetworkInterfaceAttribute({
        NetworkInterfaceId: id,
        Description: { Value: news.description ?? "" },
      });
    }
    if (changed.has("sourceDestCheck")) {
      await ec2.modifyNetworkInterfaceAttribute({
        NetworkInterfaceId: id,
        SourceDestCheck: { Value: news.sourceDestCheck ?? true },
      });
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteNetworkInterface({ NetworkInterfaceId: id });
  },
});
