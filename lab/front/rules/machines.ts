import {
  DescribeInstancesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
} from "@aws-sdk/client-ec2";
import { GetInstanceProfileCommand } from "@aws-sdk/client-iam";
import { knownTemplateFields } from "../autoscaling/launch.ts";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import { isKnownType } from "../instanceTypes.ts";
import type { Params } from "../params.ts";
import type { Records } from "../records.ts";
import type { Rules } from "../rule.ts";
import { chooseAddress } from "./addresses.ts";
import { checkTags, mustBeWithin, mustMatch, onlyKnown } from "./text.ts";
import { checkGp3, checkKey, checkType } from "./volumes.ts";

/** Largest user data before encoding, as on AWS. */
const maxUserDataBytes = 16 * 1024;

function checkUserData(encoded: string | undefined): void {
  if (encoded === undefined) return;
  const raw = Buffer.from(encoded, "base64");
  if (raw.toString("base64").replace(/=+$/, "") !== encoded.replace(/\s/g, "").replace(/=+$/, "")) {
    throw new AwsError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
  }
  if (raw.length > maxUserDataBytes) {
    throw new AwsError(
      "InvalidParameterValue",
      `User data is limited to ${maxUserDataBytes} bytes; this is ${raw.length}.`,
    );
  }
}

function checkMetadataOptions(options: Params): void {
  onlyKnown(
    options,
    [
      "HttpEndpoint",
      "HttpTokens",
      "HttpPutResponseHopLimit",
      "InstanceMetadataTags",
      "HttpProtocolIpv6",
    ],
    "MetadataOptions",
  );
  mustMatch(
    "HttpTokens",
    options.text("HttpTokens") ?? "",
    /^(required|optional)$/,
    "required or optional, said explicitly",
  );
  mustBeWithin("HttpPutResponseHopLimit", options.text("HttpPutResponseHopLimit"), 1, 64);
}

async function checkDisks(
  call: Call,
  records: Records,
  mappings: readonly Params[],
): Promise<void> {
  for (const mapping of mappings) {
    const disk = mapping.below("Ebs");
    mustMatch(
      "DeviceName",
      mapping.text("DeviceName"),
      /^\/dev\/xvda$/,
      "the image's root device is /dev/xvda, and data volumes are attached, not launched",
    );
    checkType(disk.text("VolumeType"));
    checkGp3(disk, "VolumeSize");
    await checkKey(call, records, disk.text("KmsKeyId"), disk.text("Encrypted") === "true");
  }
}

/** What RunInstances and launch templates have in common. */
async function checkMachine(call: Call, records: Records, params: Params): Promise<void> {
  const type = params.text("InstanceType");
  if (type === undefined || !isKnownType(type)) {
    throw new AwsError(
      "InvalidParameterValue",
      `Invalid value '${type ?? "none"}' for InstanceType: the lab does not know it (lab/front/instanceTypes.ts).`,
    );
  }
  if (!params.has("ImageId"))
    throw new AwsError("MissingParameter", "The request must contain the parameter ImageId");
  checkUserData(params.text("UserData"));
  if (params.has("MetadataOptions")) checkMetadataOptions(params.below("MetadataOptions"));
  const interfaces = params.items("NetworkInterface");
  const named = interfaces.some((one) => one.has("NetworkInterfaceId"));
  if (interfaces.length > 0 && (params.has("SecurityGroupId") || params.has("SecurityGroup"))) {
    throw new AwsError(
      "InvalidParameterCombination",
      "Network interfaces and an instance-level security groups may not be specified on the same request",
    );
  }
  if (named && interfaces.some((one) => one.has("SecurityGroupId") || one.has("Groups"))) {
    throw new AwsError(
      "InvalidParameterCombination",
      "A network interface's security groups sit on the interface and may not be given again where it is used",
    );
  }
  if (named && interfaces.some((one) => one.text("DeleteOnTermination") === "true")) {
    throw new AwsError(
      "InvalidParameterCombination",
      "An existing network interface cannot be deleted on termination by the launch that uses it",
    );
  }
  await checkDisks(call, records, params.items("BlockDeviceMapping"));
}

const runParams = [
  "BlockDeviceMapping",
  "ClientToken",
  "DisableApiStop",
  "DisableApiTermination",
  "EbsOptimized",
  "IamInstanceProfile",
  "ImageId",
  "InstanceInitiatedShutdownBehavior",
  "InstanceType",
  "KeyName",
  "MaxCount",
  "MetadataOptions",
  "MinCount",
  "Monitoring",
  "NetworkInterface",
  "Placement",
  "SecurityGroupId",
  "SubnetId",
  "TagSpecification",
  "UserData",
];

/** Interfaces a launch names exist and are free. Answers the zone they are in, which is the machine's. */
async function checkInterfacesFree(call: Call, records: Records): Promise<string | undefined> {
  let zone = call.params.text("Placement.AvailabilityZone");
  for (const one of call.params.items("NetworkInterface")) {
    const id = one.text("NetworkInterfaceId");
    if (id === undefined) continue;
    if (one.has("SubnetId")) {
      throw new AwsError(
        "InvalidParameterCombination",
        `A network interface (${id}) and a subnet may not be specified on the same interface`,
      );
    }
    const { NetworkInterfaces = [] } = await records
      .ec2(call.region)
      .send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] }));
    const found = NetworkInterfaces[0];
    if (found?.Attachment !== undefined || found?.Status === "in-use") {
      throw new AwsError("InvalidNetworkInterface.InUse", `Interface: [${id}] in use.`);
    }
    const own = found?.AvailabilityZone;
    if (zone !== undefined && zone !== own) {
      throw new AwsError(
        "InvalidParameterValue",
        `The interface ${id} is in ${own ?? ""}, not in ${zone}.`,
      );
    }
    zone = own;
  }
  return zone;
}

async function checkProfile(call: Call, records: Records, params: Params): Promise<void> {
  const name =
    params.text("IamInstanceProfile.Name") ??
    params.text("IamInstanceProfile.Arn")?.split("/").at(-1);
  if (name === undefined) return;
  const bad = (why: string): AwsError =>
    new AwsError(
      "InvalidParameterValue",
      `Value (${name}) for parameter iamInstanceProfile.name is invalid. ${why}`,
    );
  try {
    const { InstanceProfile } = await records
      .iam()
      .send(new GetInstanceProfileCommand({ InstanceProfileName: name }));
    if ((InstanceProfile?.Roles ?? []).length === 0) throw bad("The instance profile has no role");
  } catch (error) {
    if (error instanceof AwsError) throw error;
    throw bad("Invalid IAM Instance Profile name");
  }
}

async function checkRun(call: Call, records: Records): Promise<Params | undefined> {
  const { params } = call;
  onlyKnown(params, runParams, "RunInstances");
  if (params.text("MinCount") !== "1" || params.text("MaxCount") !== "1") {
    throw new AwsError(
      "InvalidParameterValue",
      "The lab launches one machine per call (MinCount = MaxCount = 1).",
    );
  }
  await checkMachine(call, records, params);
  const zone = await checkInterfacesFree(call, records);
  await checkProfile(call, records, params);
  if (params.has("NetworkInterface")) {
    const first = params.items("NetworkInterface")[0];
    const subnetId = first?.text("SubnetId");
    if (params.has("SubnetId")) {
      throw new AwsError(
        "InvalidParameterCombination",
        "Network interfaces and an instance-level subnet ID may not be specified on the same request",
      );
    }
    return subnetId === undefined
      ? // moto does not look at the interface, and puts the machine into the region's first zone.
        params.with(zone === undefined ? {} : { "Placement.AvailabilityZone": zone })
      : params.with({
          "NetworkInterface.1.PrivateIpAddress": await chooseAddress(
            records,
            call.region,
            subnetId,
            first?.text("PrivateIpAddress"),
          ),
        });
  }
  const subnetId = params.text("SubnetId");
  if (subnetId === undefined) {
    throw new AwsError(
      "VPCIdNotSpecified",
      "No default VPC for this user. Specify a SubnetId or a network interface.",
    );
  }
  await records.ec2(call.region).send(new DescribeSubnetsCommand({ SubnetIds: [subnetId] }));
  return params.with({
    PrivateIpAddress: await chooseAddress(
      records,
      call.region,
      subnetId,
      params.text("PrivateIpAddress"),
    ),
  });
}

async function checkTemplateData(call: Call, records: Records): Promise<void> {
  const data = call.params.below("LaunchTemplateData");
  // The query names of lists are singular where the model's are plural.
  const singular = knownTemplateFields.map((field) =>
    field.replace(/(Mapping|Interface|Id|Specification)s$/, "$1"),
  );
  onlyKnown(data, singular, "a launch template");
  for (const specification of data.items("TagSpecification")) {
    checkTags(specification.items("Tag"), call.caller);
  }
  await checkMachine(call, records, data);
}

/** Machines and launch templates. */
export const machineRules: Rules = {
  "ec2:RunInstances": { before: (call, { records }) => checkRun(call, records) },
  "ec2:CreateLaunchTemplate": {
    before: async (call, { records }) => {
      mustMatch(
        "LaunchTemplateName",
        call.params.text("LaunchTemplateName"),
        /^[a-zA-Z0-9().\-/_]{3,128}$/,
        "3 to 128 letters, digits and ().-/_",
        "InvalidLaunchTemplateName.MalformedException",
      );
      await checkTemplateData(call, records);
      return undefined;
    },
  },
  "ec2:CreateLaunchTemplateVersion": {
    before: async (call, { records }) => {
      if (call.params.has("SourceVersion")) {
        throw new AwsError(
          "LabUnknownParameter",
          "The lab does not know SourceVersion: a version says everything itself.",
        );
      }
      await checkTemplateData(call, records);
      return undefined;
    },
  },
  "ec2:ImportKeyPair": {
    before: (call) => {
      mustMatch(
        "KeyName",
        call.params.text("KeyName"),
        /^[\x20-\x7e]{1,255}$/,
        "1 to 255 ASCII characters",
      );
      const material = Buffer.from(
        call.params.text("PublicKeyMaterial") ?? "",
        "base64",
      ).toString();
      mustMatch(
        "PublicKeyMaterial",
        material.split(" ")[0],
        /^(ssh-rsa|ssh-ed25519)$/,
        "EC2 takes RSA and ED25519 keys",
        "InvalidKey.Format",
      );
      return Promise.resolve(undefined);
    },
  },
  "ec2:TerminateInstances": { before: checkInstanceIds },
  "ec2:StopInstances": { before: checkInstanceIds },
  "ec2:StartInstances": { before: checkInstanceIds },
};

async function checkInstanceIds(call: Call, { records }: { records: Records }): Promise<undefined> {
  const ids = call.params.list("InstanceId");
  if (ids.length === 0)
    throw new AwsError("MissingParameter", "The request must contain the parameter InstanceId");
  await records.ec2(call.region).send(new DescribeInstancesCommand({ InstanceIds: ids }));
  return undefined;
}
