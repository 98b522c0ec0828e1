import type {
  Instance,
  RunInstancesCommandInput,
  VolumeType,
  _InstanceType,
} from "@aws-sdk/client-ec2";

import { flag, number, object, set, text, type InputsOf } from "../../shared/schema.ts";
import { equal, type Values } from "../../shared/value.ts";
import { awsResource, fromTagList, given, single } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { until, whileBusy } from "../waiting.ts";
import { retagEc2, tagSpecifications } from "./common.ts";
import { metadataOptions, metadataRequest } from "./metadataOptions.ts";

const fields = {
  ami: text({ required: true, replaces: true }),
  instanceType: text({ required: true }),
  keyName: text({ replaces: true }),
  iamInstanceProfile: text({ replaces: true }),
  availabilityZone: text({ replaces: true }),
  subnetId: text({ replaces: true }),
  privateIp: text({ replaces: true }),
  associatePublicIpAddress: flag({ replaces: true }),
  vpcSecurityGroupIds: set(text()),
  primaryNetworkInterface: object(
    { networkInterfaceId: text({ required: true }) },
    { replaces: true },
  ),
  userData: text(),
  userDataBase64: text(),
  userDataReplaceOnChange: flag(),
  metadataOptions,
  rootBlockDevice: object({
    volumeType: text(),
    volumeSize: number(),
    iops: number(),
    throughput: number(),
    encrypted: flag({ replaces: true }),
    kmsKeyId: text({ replaces: true }),
    deleteOnTermination: flag(),
  }),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.ec2.Instance */
export const instance = awsResource({
  type: "aws:ec2/instance:Instance",
  fields,
  computed: [
    "arn",
    "availabilityZone",
    "instanceState",
    "primaryNetworkInterfaceId",
    "privateDns",
    "privateIp",
    "publicDns",
    "publicIp",
    "subnetId",
    "vpcSecurityGroupIds",
  ],
  hiddenChange,
  missing: ["InvalidInstanceID.NotFound"],
  retag: retagEc2,
  create: async (inputs, { aws, tags, context }) => {
    const ec2 = await aws.ec2();
    const request = runRequest(inputs, tags);
    // A profile that was just made is not known everywhere at once.
    const { Instances } = await whileBusy(["InvalidParameterValue"], context, 120, () =>
      ec2.runInstances(request),
    );
    return given(single(Instances)?.InstanceId, "the instance's id");
  },
  ready: async (id, _state, { aws, context }) => {
    await until(`instance ${id} to run`, context, 10 * 60, async () => {
      const found = await find(aws, id);
      const state = found?.State?.Name;
      if (state !== undefined && !["pending", "running"].includes(state)) {
        throw new Error(
          `instance ${id} is ${state}: ${found?.StateReason?.Message ?? "no reason given"}`,
        );
      }
      return state === "running" ? true : undefined;
    });
  },
  read: async (id, _state, aws) => {
    const found = await find(aws, id);
    const state = found?.State?.Name;
    if (found === undefined || state === "terminated" || state === "shutting-down") {
      return undefined;
    }
    const primary = found.NetworkInterfaces?.find(
      ({ Attachment }) => (Attachment?.DeviceIndex ?? 0) === 0,
    );
    return {
      arn: arn(aws, "ec2", `instance/${id}`),
      ami: found.ImageId,
      instanceType: found.InstanceType,
      keyName: found.KeyName,
      availabilityZone: found.Placement?.AvailabilityZone,
      instanceState: state,
      primaryNetworkInterfaceId: primary?.NetworkInterfaceId,
      privateDns: found.PrivateDnsName,
      privateIp: found.PrivateIpAddress,
      publicDns: found.PublicDnsName,
      publicIp: found.PublicIpAddress,
      subnetId: found.SubnetId,
      vpcSecurityGroupIds: (found.SecurityGroups ?? []).map(({ GroupId }) => GroupId ?? ""),
      tagsAll: fromTagList(found.Tags),
    };
  },
  update: async ({ id, news, changed }, { aws }) => {
    const ec2 = await aws.ec2();
    const unsupported = ["instanceType", "userData", "userDataBase64", "rootBlockDevice"].find(
      (argument) => changed.has(argument),
    );
    if (unsupported !== undefined) {
      throw new Error(`${unsupported} of a running instance cannot be changed in the lab`);
    }
    if (changed.has("vpcSecurityGroupIds")) {
      await ec2.modifyInstanceAttribute({
        InstanceId: id,
        Groups: [...(news.vpcSecurityGroupIds ?? [])],
      });
    }
    if (changed.has("metadataOptions")) {
      await ec2.modifyInstanceMetadataOptions({
        InstanceId: id,
        ...metadataRequest(news.metadataOptions),
      });
    }
  },
  remove: async (id, _state, { aws, context }) => {
    await (await aws.ec2()).terminateInstances({ InstanceIds: [id] });
    await until(`instance ${id} to terminate`, context, 20 * 60, async () => {
      const state = (await find(aws, id))?.State?.Name;
      return state === undefined || state === "terminated" ? true : undefined;
    });
  },
});

/** User data is read at the first boot only, so the program may ask for another machine when it changes. */
function hiddenChange(state: Values, news: Values) {
  const keys = ["userData", "userDataBase64"] as const;
  const paths = keys.filter((key) => !equal(state[key], news[key]));
  return news["userDataReplaceOnChange"] === true && paths.length > 0
    ? { replaces: true, paths }
    : undefined;
}

function runRequest(
  inputs: Inputs,
  tags: Readonly<Record<string, string>>,
): RunInstancesCommandInput {
  const groups =
    inputs.vpcSecurityGroupIds === undefined ? undefined : [...inputs.vpcSecurityGroupIds];
  const existing = inputs.primaryNetworkInterface?.networkInterfaceId;
  const publicly = inputs.associatePublicIpAddress;
  const root = inputs.rootBlockDevice;
  const network =
    existing !== undefined
      ? { NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: existing }] }
      : publicly !== undefined
        ? {
            NetworkInterfaces: [
              {
                DeviceIndex: 0,
                SubnetId: inputs.subnetId,
                Groups: groups,
                AssociatePublicIpAddress: publicly,
                PrivateIpAddress: inputs.privateIp,
              },
            ],
          }
        : {
            SubnetId: inputs.subnetId,
            SecurityGroupIds: groups,
            PrivateIpAddress: inputs.privateIp,
          };
  const plain = inputs.userData;
  return {
    ImageId: inputs.ami,
    InstanceType: inputs.instanceType as _InstanceType,
    MinCount: 1,
    MaxCount: 1,
    KeyName: inputs.keyName,
    IamInstanceProfile: inputs.iamInstanceProfile ? { Name: inputs.iamInstanceProfile } : undefined,
    Placement: inputs.availabilityZone ? { AvailabilityZone: inputs.availabilityZone } : undefined,
    UserData:
      inputs.userDataBase64 ??
      (plain === undefined ? undefined : Buffer.from(plain).toString("base64")),
    MetadataOptions: metadataRequest(inputs.metadataOptions),
    BlockDeviceMappings: root && [
      {
        DeviceName: "/dev/xvda",
        Ebs: {
          VolumeType: root.volumeType as VolumeType | undefined,
          VolumeSize: root.volumeSize,
          Iops: root.iops,
          Throughput: root.throughput,
          Encrypted: root.encrypted,
          KmsKeyId: root.kmsKeyId,
          DeleteOnTermination: root.deleteOnTermination ?? true,
        },
      },
    ],
    ...network,
    ...tagSpecifications("instance", tags),
  };
}

async function find(aws: Aws, id: string): Promise<Instance | undefined> {
  const { Reservations } = await (await aws.ec2()).describeInstances({ InstanceIds: [id] });
  return single(Reservations?.flatMap(({ Instances = [] }) => Instances));
}
