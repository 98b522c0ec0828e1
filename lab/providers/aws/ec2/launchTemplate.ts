import type {
  RequestLaunchTemplateData,
  ResourceType,
  ShutdownBehavior,
  VolumeType,
  _InstanceType,
} from "@aws-sdk/client-ec2";

import {
  flag,
  list,
  map,
  number,
  object,
  set,
  text,
  type InputsOf,
  type Problem,
} from "../../shared/schema.ts";
import type { Values } from "../../shared/value.ts";
import { awsResource, fromTagList, given, single, toTagList } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { retagEc2, tagSpecifications } from "./common.ts";
import { metadataOptions, metadataRequest } from "./metadataOptions.ts";

/** What a version of the template says. (Several yes-or-no values are texts in the real provider.) */
const versionFields = {
  description: text(),
  imageId: text(),
  instanceType: text(),
  keyName: text(),
  ebsOptimized: text(),
  userData: text(),
  disableApiTermination: flag(),
  instanceInitiatedShutdownBehavior: text(),
  vpcSecurityGroupIds: set(text()),
  iamInstanceProfile: object({ name: text(), arn: text() }),
  monitoring: object({ enabled: flag() }),
  metadataOptions,
  networkInterfaces: list(
    object({
      deviceIndex: number(),
      networkInterfaceId: text(),
      subnetId: text(),
      securityGroups: set(text()),
      associatePublicIpAddress: text(),
      deleteOnTermination: text(),
      description: text(),
    }),
  ),
  blockDeviceMappings: list(
    object({
      deviceName: text(),
      ebs: object({
        volumeType: text(),
        volumeSize: number(),
        iops: number(),
        throughput: number(),
        encrypted: text(),
        kmsKeyId: text(),
        deleteOnTermination: text(),
        snapshotId: text(),
      }),
    }),
  ),
  tagSpecifications: list(object({ resourceType: text(), tags: map(text()) })),
} as const;

const fields = {
  name: text({ replaces: true }),
  updateDefaultVersion: flag(),
  defaultVersion: number(),
  ...versionFields,
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.ec2.LaunchTemplate. Any change of what machines are launched with makes a new version. */
export const launchTemplate = awsResource({
  type: "aws:ec2/launchTemplate:LaunchTemplate",
  fields,
  computed: ["arn", "defaultVersion", "latestVersion"],
  autoname: { field: "name", maxLength: 125 },
  validate,
  unsettles: (changed) => {
    if (!touchesVersion(changed)) {
      return [];
    }
    return ["latestVersion", "defaultVersion"];
  },
  missing: ["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"],
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const { LaunchTemplate } = await (
      await aws.ec2()
    ).createLaunchTemplate({
      LaunchTemplateName: inputs.name,
      VersionDescription: inputs.description,
      LaunchTemplateData: templateData(inputs),
      ...tagSpecifications("launch-template", tags),
    });
    return given(LaunchTemplate?.LaunchTemplateId, "the launch template's id");
  },
  read: async (id, _state, aws) => {
    const { LaunchTemplates } = await (
      await aws.ec2()
    ).describeLaunchTemplates({ LaunchTemplateIds: [id] });
    const found = single(LaunchTemplates);
    return (
      found && {
        arn: arn(aws, "ec2", `launch-template/${id}`),
        name: found.LaunchTemplateName,
        latestVersion: found.LatestVersionNumber,
        defaultVersion: found.DefaultVersionNumber,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    const latest = touchesVersion(changed) ? await newVersion(aws, id, news) : undefined;
    const standard =
      news.updateDefaultVersion === true
        ? latest
        : changed.has("defaultVersion")
          ? news.defaultVersion
          : undefined;
    if (standard !== undefined) {
      await (
        await aws.ec2()
      ).modifyLaunchTemplate({ LaunchTemplateId: id, DefaultVersion: String(standard) });
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteLaunchTemplate({ LaunchTemplateId: id });
  },
});

function touchesVersion(changed: ReadonlySet<string>): boolean {
  return Object.keys(versionFields).some((key) => changed.has(key));
}

function validate(inputs: Values): Problem[] {
  const userData = inputs["userData"];
  const problems: Problem[] = [];
  if (typeof userData === "string" && !/^[A-Za-z0-9+/]*={0,2}$/.test(userData)) {
    problems.push({ path: "userData", reason: "user data of a launch template must be base64" });
  }
  if (inputs["updateDefaultVersion"] === true && inputs["defaultVersion"] !== undefined) {
    problems.push({
      path: "defaultVersion",
      reason: "conflicts with updateDefaultVersion: give one of them",
    });
  }
  return problems;
}

async function newVersion(aws: Aws, id: string, inputs: Inputs): Promise<number | undefined> {
  const { LaunchTemplateVersion } = await (
    await aws.ec2()
  ).createLaunchTemplateVersion({
    LaunchTemplateId: id,
    VersionDescription: inputs.description,
    LaunchTemplateData: templateData(inputs),
  });
  return LaunchTemplateVersion?.VersionNumber;
}

function templateData(inputs: Inputs): RequestLaunchTemplateData {
  const { iamInstanceProfile, monitoring } = inputs;
  return {
    ImageId: inputs.imageId,
    InstanceType: inputs.instanceType as _InstanceType | undefined,
    KeyName: inputs.keyName,
    UserData: inputs.userData,
    EbsOptimized: truth(inputs.ebsOptimized),
    DisableApiTermination: inputs.disableApiTermination,
    InstanceInitiatedShutdownBehavior: inputs.instanceInitiatedShutdownBehavior as
      ShutdownBehavior | undefined,
    SecurityGroupIds: copy(inputs.vpcSecurityGroupIds),
    IamInstanceProfile: iamInstanceProfile && {
      Name: iamInstanceProfile.name,
      Arn: iamInstanceProfile.arn,
    },
    Monitoring: monitoring && { Enabled: monitoring.enabled },
    MetadataOptions: metadataRequest(inputs.metadataOptions),
    NetworkInterfaces: inputs.networkInterfaces?.map(networkInterfaceRequest),
    BlockDeviceMappings: inputs.blockDeviceMappings?.map(blockDeviceRequest),
    TagSpecifications: inputs.tagSpecifications?.map(({ resourceType, tags }) => ({
      ResourceType: resourceType as ResourceType | undefined,
      Tags: toTagList(tags ?? {}),
    })),
  };
}

function networkInterfaceRequest(from: NonNullable<Inputs["networkInterfaces"]>[number]) {
  return {
    DeviceIndex: from.deviceIndex,
    NetworkInterfaceId: from.networkInterfaceId,
    SubnetId: from.subnetId,
    Groups: copy(from.securityGroups),
    AssociatePublicIpAddress: truth(from.associatePublicIpAddress),
    DeleteOnTermination: truth(from.deleteOnTermination),
    Description: from.description,
  };
}

function blockDeviceRequest(from: NonNullable<Inputs["blockDeviceMappings"]>[number]) {
  const { ebs } = from;
  return {
    DeviceName: from.deviceName,
    Ebs: ebs && {
      VolumeType: ebs.volumeType as VolumeType | undefined,
      VolumeSize: ebs.volumeSize,
      Iops: ebs.iops,
      Throughput: ebs.throughput,
      Encrypted: truth(ebs.encrypted),
      KmsKeyId: ebs.kmsKeyId,
      DeleteOnTermination: truth(ebs.deleteOnTermination),
      SnapshotId: ebs.snapshotId,
    },
  };
}

function truth(value: string | undefined): boolean | undefined {
  return value === undefined || value === "" ? undefined : value === "true";
}

function copy(items: readonly string[] | undefined): string[] | undefined {
  return items === undefined ? undefined : [...items];
}
