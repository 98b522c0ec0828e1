import {
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateLaunchTemplateCommand,
  CreateNetworkInterfaceCommand,
  CreateSecurityGroupCommand,
  CreateSubnetCommand,
  CreateVolumeCommand,
  CreateVpcCommand,
  ImportKeyPairCommand,
  type RequestLaunchTemplateData,
} from "@aws-sdk/client-ec2";
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  PutRolePolicyCommand,
} from "@aws-sdk/client-iam";
import type { Clients } from "./frontSupport.ts";
import { region } from "./frontSupport.ts";

/** The lab's one image. */
export const image = "ami-0debia13amd640000";

/** A public key that EC2 takes; nobody has the private one. */
const publicKey =
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl test";

/** What most tests stand on. */
export interface Site {
  readonly vpcId: string;
  readonly subnetA: string;
  readonly subnetB: string;
  readonly groupId: string;
}

/** A VPC with a gateway, two subnets in two zones, and a security group. */
export async function makeSite({ ec2 }: Clients, block = 42): Promise<Site> {
  const made = await ec2.send(new CreateVpcCommand({ CidrBlock: `10.${block}.0.0/16` }));
  const VpcId = made.Vpc?.VpcId ?? "";
  const subnet = async (zone: string, third: number): Promise<string> => {
    const { Subnet } = await ec2.send(
      new CreateSubnetCommand({
        VpcId,
        CidrBlock: `10.${block}.${third}.0/24`,
        AvailabilityZone: region + zone,
      }),
    );
    return Subnet?.SubnetId ?? "";
  };
  const gateway = await ec2.send(new CreateInternetGatewayCommand({}));
  await ec2.send(
    new AttachInternetGatewayCommand({
      VpcId,
      InternetGatewayId: gateway.InternetGateway?.InternetGatewayId,
    }),
  );
  const group = await ec2.send(
    new CreateSecurityGroupCommand({
      VpcId,
      GroupName: `members-${block}`,
      Description: "members",
    }),
  );
  return {
    vpcId: VpcId,
    subnetA: await subnet("a", 0),
    subnetB: await subnet("b", 1),
    groupId: group.GroupId ?? "",
  };
}

/** A free interface in a subnet. */
export async function makeInterface({ ec2 }: Clients, SubnetId: string, group: string) {
  const { NetworkInterface } = await ec2.send(
    new CreateNetworkInterfaceCommand({ SubnetId, Groups: [group] }),
  );
  return {
    id: NetworkInterface?.NetworkInterfaceId ?? "",
    address: NetworkInterface?.PrivateIpAddress ?? "",
  };
}

/** A role with a policy and an instance profile of the same name. */
export async function makeRole(
  { iam }: Clients,
  name: string,
  statements: readonly object[],
): Promise<void> {
  await iam.send(
    new CreateRoleCommand({
      RoleName: name,
      AssumeRolePolicyDocument: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          {
            Effect: "Allow",
            Principal: { Service: "ec2.amazonaws.com" },
            Action: "sts:AssumeRole",
          },
        ],
      }),
    }),
  );
  await iam.send(
    new PutRolePolicyCommand({
      RoleName: name,
      PolicyName: "own",
      PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement: statements }),
    }),
  );
  await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: name }));
  await iam.send(
    new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName: name }),
  );
}

/** The operator's key pair. */
export async function makeKeyPair({ ec2 }: Clients, KeyName: string): Promise<void> {
  await ec2.send(new ImportKeyPairCommand({ KeyName, PublicKeyMaterial: Buffer.from(publicKey) }));
}

/** Launch template data as the program writes it. */
export function templateData(
  interfaceId: string,
  more: Partial<RequestLaunchTemplateData> = {},
): RequestLaunchTemplateData {
  return {
    ImageId: image,
    InstanceType: "t3.medium",
    UserData: Buffer.from("#!/bin/sh\n").toString("base64"),
    NetworkInterfaces: [
      { DeviceIndex: 0, NetworkInterfaceId: interfaceId, DeleteOnTermination: false },
    ],
    MetadataOptions: {
      HttpEndpoint: "enabled",
      HttpTokens: "required",
      HttpPutResponseHopLimit: 1,
    },
    ...more,
  };
}

/** A launch template; answers its id. */
export async function makeTemplate(
  { ec2 }: Clients,
  LaunchTemplateName: string,
  LaunchTemplateData: RequestLaunchTemplateData,
): Promise<string> {
  const { LaunchTemplate } = await ec2.send(
    new CreateLaunchTemplateCommand({ LaunchTemplateName, LaunchTemplateData }),
  );
  return LaunchTemplate?.LaunchTemplateId ?? "";
}

/** A gp3 volume in zone a unless told otherwise. */
export async function makeVolume(
  { ec2 }: Clients,
  tags: Readonly<Record<string, string>> = {},
  zone = "a",
): Promise<string> {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const { VolumeId } = await ec2.send(
    new CreateVolumeCommand({
      AvailabilityZone: region + zone,
      Size: 10,
      VolumeType: "gp3",
      ...(Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType: "volume", Tags }] }),
    }),
  );
  return VolumeId ?? "";
}
