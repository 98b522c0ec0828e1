import {
  DescribeAvailabilityZonesCommand,
  DescribeLaunchTemplateVersionsCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
} from "@aws-sdk/client-ec2";
import { AwsError } from "../errors.ts";
import type { Params } from "../params.ts";
import type { Records } from "../records.ts";
import type { Group, TemplateReference } from "./model.ts";

function invalid(message: string): AwsError {
  return new AwsError("ValidationError", message);
}

/** Finds the launch template a group names, and its id where only its name is given. */
export async function resolveTemplate(
  records: Records,
  region: string,
  params: Params,
): Promise<TemplateReference> {
  const id = params.text("LaunchTemplateId");
  const name = params.text("LaunchTemplateName");
  if ((id === undefined) === (name === undefined)) {
    throw invalid(
      "Valid requests must contain either launchTemplateId or LaunchTemplateName, and not both.",
    );
  }
  const version = params.text("Version") ?? "$Default";
  const template = await readTemplate(records, region, id, name, version);
  return {
    launchTemplateId: template.LaunchTemplateId ?? "",
    launchTemplateName: template.LaunchTemplateName ?? "",
    version,
  };
}

async function readTemplate(
  records: Records,
  region: string,
  id: string | undefined,
  name: string | undefined,
  version: string,
) {
  try {
    const { LaunchTemplateVersions = [] } = await records.ec2(region).send(
      new DescribeLaunchTemplateVersionsCommand({
        LaunchTemplateId: id,
        LaunchTemplateName: name,
        Versions: [version],
      }),
    );
    const found = LaunchTemplateVersions[0];
    if (found !== undefined) return found;
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error));
  }
  throw invalid(`Launch template ${id ?? name ?? ""} has no version ${version}.`);
}

function checkSizes(group: Group): Group {
  if (group.minSize < 0 || group.maxSize < 0)
    throw invalid("MinSize and MaxSize are required and not negative.");
  if (group.minSize > group.maxSize)
    throw invalid("Max bound must be greater than or equal to min bound");
  const desiredCapacity = group.desiredCapacity < 0 ? group.minSize : group.desiredCapacity;
  if (desiredCapacity < group.minSize || desiredCapacity > group.maxSize) {
    throw invalid("Desired capacity must be between the specified min size and max size");
  }
  const { maintenance } = group;
  if (maintenance !== undefined && !(maintenance.min === -1 && maintenance.max === -1)) {
    const { min, max } = maintenance;
    if (min < 0 || min > 100 || max < 100 || max > 200 || max - min > 100) {
      throw invalid(
        "InstanceMaintenancePolicy: MinHealthyPercentage is 0 to 100, MaxHealthyPercentage 100 to 200, and their difference at most 100.",
      );
    }
  }
  return { ...group, desiredCapacity };
}

/**
 * AWS's rules for a group, and the ones of the launch template in combination: a template that names a network interface makes one
 * machine only, and the group says where by zones, not by subnets. Returns the group with its zones filled in.
 */
export async function checkGroup(records: Records, given: Group): Promise<Group> {
  if (!/^[^:]{1,255}$/.test(given.name)) {
    throw invalid("AutoScalingGroupName has 1 to 255 characters, without a colon.");
  }
  const group = checkSizes(given);
  if (group.healthCheckType !== "EC2" && group.healthCheckType !== "ELB") {
    throw invalid(`HealthCheckType ${group.healthCheckType}: the lab knows EC2 and ELB.`);
  }
  if (group.launchTemplate.launchTemplateId === "") {
    throw invalid(
      "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
    );
  }
  const { launchTemplateId, version } = group.launchTemplate;
  const template = await readTemplate(records, group.region, launchTemplateId, undefined, version);
  const interfaces = template.LaunchTemplateData?.NetworkInterfaces ?? [];
  const interfaceId = interfaces.find(
    (one) => one.NetworkInterfaceId !== undefined,
  )?.NetworkInterfaceId;
  const ec2 = records.ec2(group.region);
  const subnetIds = group.vpcZoneIdentifier.split(",").filter((id) => id !== "");
  if (interfaceId !== undefined) {
    if (group.maxSize > 1) {
      throw invalid(
        `The launch template names the network interface ${interfaceId}; a group that uses it must have a maximum size of 1.`,
      );
    }
    if (subnetIds.length > 0) {
      throw invalid(
        `The launch template names the network interface ${interfaceId}; the group must specify AvailabilityZones, not VPCZoneIdentifier.`,
      );
    }
    const { NetworkInterfaces = [] } = await ec2.send(
      new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [interfaceId] }),
    );
    const zone = NetworkInterfaces[0]?.AvailabilityZone ?? "";
    if (!group.availabilityZones.includes(zone)) {
      throw invalid(
        `The network interface ${interfaceId} is in ${zone}; the group's AvailabilityZones are ${group.availabilityZones.join(", ") || "empty"}.`,
      );
    }
  } else if (subnetIds.length === 0) {
    throw invalid(
      "VPCZoneIdentifier is required: the account has no default VPC, and the launch template names no network interface.",
    );
  }
  if (subnetIds.length > 0) {
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({ SubnetIds: subnetIds }));
    const zones = [...new Set(Subnets.map((subnet) => subnet.AvailabilityZone ?? ""))].sort();
    const other = group.availabilityZones.filter((zone) => !zones.includes(zone));
    // Zones derived from other subnets go when the subnets change; zones somebody named must agree with them.
    return {
      ...group,
      availabilityZones:
        other.length > 0 || group.availabilityZones.length === 0 ? zones : group.availabilityZones,
    };
  }
  const { AvailabilityZones = [] } = await ec2.send(new DescribeAvailabilityZonesCommand({}));
  const existing = AvailabilityZones.map((zone) => zone.ZoneName ?? "");
  const unknown = group.availabilityZones.find((zone) => !existing.includes(zone));
  if (unknown !== undefined) throw invalid(`Invalid availability zones: [${unknown}]`);
  return group;
}
