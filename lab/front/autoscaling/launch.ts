import type {
  LaunchTemplateVersion,
  ResponseLaunchTemplateData,
  RunInstancesRequest,
  Tag,
  TagSpecification,
} from "@aws-sdk/client-ec2";
import type { Group } from "./model.ts";

/** What of a launch template the lab can hand to RunInstances; anything else in a template is refused when it is created. */
export const knownTemplateFields = [
  "BlockDeviceMappings",
  "DisableApiStop",
  "DisableApiTermination",
  "EbsOptimized",
  "IamInstanceProfile",
  "ImageId",
  "InstanceInitiatedShutdownBehavior",
  "InstanceType",
  "KeyName",
  "MetadataOptions",
  "Monitoring",
  "NetworkInterfaces",
  "Placement",
  "SecurityGroupIds",
  "TagSpecifications",
  "UserData",
] as const satisfies readonly (keyof ResponseLaunchTemplateData)[];

function instanceTags(group: Group, template: LaunchTemplateVersion): Tag[] {
  const fromTemplate = (template.LaunchTemplateData?.TagSpecifications ?? [])
    .filter(({ ResourceType }) => ResourceType === "instance")
    .flatMap(({ Tags = [] }) => Tags);
  const tags = new Map(fromTemplate.map(({ Key, Value }) => [Key, Value]));
  for (const { key, value, propagateAtLaunch } of group.tags) {
    if (propagateAtLaunch) tags.set(key, value);
  }
  tags.set("aws:autoscaling:groupName", group.name);
  tags.set("aws:ec2launchtemplate:id", template.LaunchTemplateId ?? "");
  tags.set("aws:ec2launchtemplate:version", String(template.VersionNumber ?? ""));
  return [...tags].map(([Key, Value]) => ({ Key, Value }));
}

/** The call that launches one machine of a group: the launch template, spelled out. */
export function runRequest(group: Group, template: LaunchTemplateVersion): RunInstancesRequest {
  const data = template.LaunchTemplateData ?? {};
  const specifications: TagSpecification[] = [
    { ResourceType: "instance", Tags: instanceTags(group, template) },
    ...(data.TagSpecifications ?? [])
      .filter(({ ResourceType }) => ResourceType === "volume")
      .map(({ Tags }) => ({ ResourceType: "volume" as const, Tags })),
  ];
  const subnets = group.vpcZoneIdentifier.split(",").filter((id) => id !== "");
  const interfaces = data.NetworkInterfaces ?? [];
  const onInterface = interfaces.some(
    ({ NetworkInterfaceId, SubnetId }) =>
      NetworkInterfaceId !== undefined || SubnetId !== undefined,
  );
  const subnetId = onInterface ? undefined : subnets[0];
  const zone = subnets.length === 0 ? group.availabilityZones[0] : undefined;
  return {
    MinCount: 1,
    MaxCount: 1,
    ImageId: data.ImageId,
    InstanceType: data.InstanceType,
    KeyName: data.KeyName,
    UserData: data.UserData,
    // A group that names zones instead of subnets launches there; moto does not look at the interface for it.
    Placement: { ...data.Placement, AvailabilityZone: zone },
    EbsOptimized: data.EbsOptimized,
    DisableApiTermination: data.DisableApiTermination,
    DisableApiStop: data.DisableApiStop,
    InstanceInitiatedShutdownBehavior: data.InstanceInitiatedShutdownBehavior,
    Monitoring:
      data.Monitoring?.Enabled === undefined ? undefined : { Enabled: data.Monitoring.Enabled },
    IamInstanceProfile: data.IamInstanceProfile,
    BlockDeviceMappings: data.BlockDeviceMappings,
    MetadataOptions:
      data.MetadataOptions === undefined
        ? undefined
        : {
            HttpTokens: data.MetadataOptions.HttpTokens,
            HttpPutResponseHopLimit: data.MetadataOptions.HttpPutResponseHopLimit,
            HttpEndpoint: data.MetadataOptions.HttpEndpoint,
            InstanceMetadataTags: data.MetadataOptions.InstanceMetadataTags,
          },
    NetworkInterfaces:
      interfaces.length === 0
        ? undefined
        : interfaces.map((item) => ({
            DeviceIndex: item.DeviceIndex ?? 0,
            NetworkInterfaceId: item.NetworkInterfaceId,
            SubnetId:
              item.NetworkInterfaceId === undefined ? (item.SubnetId ?? subnetId) : undefined,
            Groups: item.Groups,
            AssociatePublicIpAddress: item.AssociatePublicIpAddress,
            DeleteOnTermination: item.DeleteOnTermination,
          })),
    SubnetId: interfaces.length === 0 ? subnetId : undefined,
    SecurityGroupIds: data.SecurityGroupIds,
    TagSpecifications: specifications,
  };
}
