import type { Instance } from "@aws-sdk/client-ec2";
import { accountId } from "../paths.ts";

/** What the metadata service knows about one instance. */
export interface InstanceFacts {
  readonly region: string;
  readonly instance: Instance;
  /** The key pair's name and its public half. */
  readonly key?: { readonly name: string; readonly publicKey: string };
  /** Name of the role in the instance's profile. */
  readonly roleName?: string;
  readonly vpcCidr: string;
  readonly subnetCidrs: Readonly<Record<string, string>>;
  /** Elastic addresses by interface id. */
  readonly publicAddresses: Readonly<Record<string, string>>;
}

/** A document, a folder, or something that is made when it is asked for. */
export type Tree = string | (() => string) | { readonly [name: string]: Tree };

/** A folder of the tree. */
export type Folder = Exclude<Tree, string | (() => string)>;

/** A folder's answer: one name a line, folders with a slash. Keys are listed as "0=name" and asked for as "0". */
export function listing(folder: Folder): string {
  return Object.entries(folder)
    .map(([name, value]) => (typeof value === "object" && !name.includes("=") ? `${name}/` : name))
    .join("\n");
}

/** What is at a path, or undefined. */
export function lookUp(root: Tree, path: readonly string[]): Tree | undefined {
  return path.reduce<Tree | undefined>((tree, name) => {
    if (typeof tree !== "object") return undefined;
    return tree[name] ?? Object.entries(tree).find(([key]) => key.startsWith(`${name}=`))?.[1];
  }, root);
}

function hostname(facts: InstanceFacts, address: string): string {
  const suffix = facts.region === "us-east-1" ? "ec2" : `${facts.region}.compute`;
  return `ip-${address.replaceAll(".", "-")}.${suffix}.internal`;
}

function publicHostname(facts: InstanceFacts, address: string): string {
  return `ec2-${address.replaceAll(".", "-")}.${facts.region}.compute.amazonaws.com`;
}

/** Leaves out what is undefined: a path that does not exist answers 404. */
function present(entries: Readonly<Record<string, Tree | undefined>>): Record<string, Tree> {
  return Object.fromEntries(
    Object.entries(entries).filter((entry): entry is [string, Tree] => entry[1] !== undefined),
  );
}

function interfaces(facts: InstanceFacts): Record<string, Tree> {
  return Object.fromEntries(
    (facts.instance.NetworkInterfaces ?? []).map((one) => {
      const address = one.PrivateIpAddress ?? "";
      const publicAddress = facts.publicAddresses[one.NetworkInterfaceId ?? ""];
      return [
        one.MacAddress ?? "",
        present({
          "device-number": String(one.Attachment?.DeviceIndex ?? 0),
          "interface-id": one.NetworkInterfaceId ?? "",
          "local-hostname": hostname(facts, address),
          "local-ipv4s": address,
          mac: one.MacAddress ?? "",
          "owner-id": accountId,
          "ipv4-associations":
            publicAddress === undefined ? undefined : { [publicAddress]: address },
          "public-hostname":
            publicAddress === undefined ? undefined : publicHostname(facts, publicAddress),
          "public-ipv4s": publicAddress,
          "security-group-ids": (one.Groups ?? []).map(({ GroupId }) => GroupId ?? "").join("\n"),
          "security-groups": (one.Groups ?? []).map(({ GroupName }) => GroupName ?? "").join("\n"),
          "subnet-id": one.SubnetId ?? "",
          "subnet-ipv4-cidr-block": facts.subnetCidrs[one.SubnetId ?? ""] ?? "",
          "vpc-id": one.VpcId ?? "",
          "vpc-ipv4-cidr-block": facts.vpcCidr,
          "vpc-ipv4-cidr-blocks": facts.vpcCidr,
        }),
      ];
    }),
  );
}

function identityDocument(facts: InstanceFacts): string {
  const { instance, region } = facts;
  return JSON.stringify(
    {
      accountId,
      architecture: instance.Architecture ?? "x86_64",
      availabilityZone: instance.Placement?.AvailabilityZone,
      billingProducts: null,
      devpayProductCodes: null,
      imageId: instance.ImageId,
      instanceId: instance.InstanceId,
      instanceType: instance.InstanceType,
      kernelId: null,
      marketplaceProductCodes: null,
      pendingTime: instance.LaunchTime?.toISOString(),
      privateIp: instance.PrivateIpAddress,
      ramdiskId: null,
      region,
      version: "2017-09-30",
    },
    undefined,
    2,
  );
}

/** What may be asked for below one version of the metadata service. `credentials` makes the role's, when asked. */
export function metadataTree(
  facts: InstanceFacts,
  credentials: () => string,
): Record<string, Tree> {
  const { instance, key, roleName } = facts;
  const address = instance.PrivateIpAddress ?? "";
  const first = instance.NetworkInterfaces?.find(({ Attachment }) => Attachment?.DeviceIndex === 0);
  const publicAddress = facts.publicAddresses[first?.NetworkInterfaceId ?? ""];
  const zone = instance.Placement?.AvailabilityZone ?? "";
  const groups = (first?.Groups ?? []).map(({ GroupName }) => GroupName ?? "").join("\n");
  const tags = Object.fromEntries(
    (instance.Tags ?? []).map(({ Key = "", Value = "" }) => [Key, Value]),
  );
  const profileArn = instance.IamInstanceProfile?.Arn;
  return present({
    dynamic: { "instance-identity": { document: identityDocument(facts) } },
    "meta-data": present({
      "ami-id": instance.ImageId ?? "",
      "ami-launch-index": "0",
      "ami-manifest-path": "(unknown)",
      "block-device-mapping": { ami: "xvda", root: "/dev/xvda" },
      events: { maintenance: { history: "[]", scheduled: "[]" } },
      hostname: hostname(facts, address),
      iam:
        roleName === undefined
          ? undefined
          : {
              info: JSON.stringify({
                Code: "Success",
                LastUpdated: new Date().toISOString(),
                InstanceProfileArn: profileArn,
                InstanceProfileId: instance.IamInstanceProfile?.Id,
              }),
              "security-credentials": { [roleName]: credentials },
            },
      "instance-action": "none",
      "instance-id": instance.InstanceId ?? "",
      "instance-life-cycle": "on-demand",
      "instance-type": instance.InstanceType ?? "",
      "local-hostname": hostname(facts, address),
      "local-ipv4": address,
      mac: first?.MacAddress ?? "",
      network: { interfaces: { macs: interfaces(facts) } },
      placement: { "availability-zone": zone, region: facts.region },
      profile: "default-hvm",
      "public-hostname":
        publicAddress === undefined ? undefined : publicHostname(facts, publicAddress),
      "public-ipv4": publicAddress,
      "public-keys":
        key === undefined ? undefined : { [`0=${key.name}`]: { "openssh-key": key.publicKey } },
      "reservation-id": `r-${(instance.InstanceId ?? "").slice(2)}`,
      "security-groups": groups,
      services: { domain: "amazonaws.com", partition: "aws" },
      tags:
        instance.MetadataOptions?.InstanceMetadataTags === "enabled"
          ? { instance: tags }
          : undefined,
    }),
  });
}
