import {
  DescribeAddressesCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
} from "@aws-sdk/client-ec2";
import { addresses } from "../../paths.ts";
import { AwsError } from "../errors.ts";
import { addressText, parseCidr } from "../cidr.ts";
import type { Records } from "../records.ts";
import type { Rules } from "../rule.ts";

/** Network, router, resolver and one AWS keeps: the first four addresses of a subnet, and its last, are nobody's. */
const reservedAtStart = 4;

/** Addresses of a subnet that some interface has. */
async function takenIn(records: Records, region: string, subnetId: string): Promise<Set<string>> {
  const { NetworkInterfaces = [] } = await records.ec2(region).send(
    new DescribeNetworkInterfacesCommand({
      Filters: [{ Name: "subnet-id", Values: [subnetId] }],
    }),
  );
  return new Set(
    NetworkInterfaces.flatMap((one) =>
      (one.PrivateIpAddresses ?? []).map(({ PrivateIpAddress }) => PrivateIpAddress ?? ""),
    ),
  );
}

/** The subnet's range; AWS's own error when there is no such subnet. */
async function rangeOf(records: Records, region: string, subnetId: string) {
  const { Subnets = [] } = await records
    .ec2(region)
    .send(new DescribeSubnetsCommand({ SubnetIds: [subnetId] }));
  return parseCidr(Subnets[0]?.CidrBlock ?? "");
}

/**
 * An address for a new interface: the given one if it is in the subnet, not reserved and free; otherwise the lowest free one.
 * moto picks at random, reserved and taken addresses included.
 */
export async function chooseAddress(
  records: Records,
  region: string,
  subnetId: string,
  wanted?: string,
): Promise<string> {
  const range = await rangeOf(records, region, subnetId);
  const taken = await takenIn(records, region, subnetId);
  const first = range.first + reservedAtStart;
  const last = range.last - 1;
  if (wanted !== undefined) {
    const number = parseCidr(`${wanted}/32`).first;
    if (number < range.first || number > range.last) {
      throw new AwsError(
        "InvalidParameterValue",
        `Address ${wanted} does not fall within the subnet's address range`,
      );
    }
    if (number < first || number > last) {
      throw new AwsError(
        "InvalidParameterValue",
        `Address ${wanted} is in subnet's reserved address range`,
      );
    }
    if (taken.has(wanted)) {
      throw new AwsError(
        "InvalidIPAddress.InUse",
        `The specified address ${wanted} is already in use.`,
      );
    }
    return wanted;
  }
  for (let number = first; number <= last; number += 1) {
    const text = addressText(number);
    if (!taken.has(text)) return text;
  }
  throw new AwsError(
    "InsufficientFreeAddressesInSubnet",
    `There are not enough free addresses in subnet '${subnetId}' to satisfy the requested number of instances.`,
  );
}

/** Addresses AWS would choose and moto does not choose well. */
export const addressRules: Rules = {
  "ec2:AllocateAddress": {
    before: async (call, { records }) => {
      if (call.params.has("Address")) return undefined;
      const { Addresses = [] } = await records
        .ec2(call.region)
        .send(new DescribeAddressesCommand({}));
      const taken = new Set(Addresses.map(({ PublicIp }) => PublicIp));
      const range = parseCidr(addresses.elasticIpRange);
      for (let number = range.first + 10; number < range.last; number += 1) {
        const text = addressText(number);
        if (!taken.has(text)) return call.params.with({ Address: text, Domain: "vpc" });
      }
      throw new AwsError(
        "AddressLimitExceeded",
        "The maximum number of addresses has been reached.",
      );
    },
  },
};
