import {
  DeleteNetworkInterfaceCommand,
  DescribeAddressesCommand,
  DescribeInternetGatewaysCommand,
  DescribeNatGatewaysCommand,
  DescribeNetworkInterfacesCommand,
  DescribeRouteTablesCommand,
  DescribeSecurityGroupsCommand,
  DescribeSubnetsCommand,
  DescribeVpcEndpointsCommand,
  DescribeVpcsCommand,
  DisassociateAddressCommand,
} from "@aws-sdk/client-ec2";
import type { Call } from "../call.ts";
import { contains, overlap, parseCidr } from "../cidr.ts";
import { AwsError } from "../errors.ts";
import type { Records } from "../records.ts";
import { refusing, type Rules } from "../rule.ts";
import { mustMatch } from "./text.ts";

const byVpc = (id: string) => ({ Filters: [{ Name: "vpc-id", Values: [id] }] });

function inUse(kind: string, id: string, what: string): AwsError {
  return new AwsError(
    "DependencyViolation",
    `The ${kind} '${id}' has dependencies and cannot be deleted (${what}).`,
  );
}

async function interfacesIn(records: Records, region: string, filter: string, id: string) {
  const { NetworkInterfaces = [] } = await records
    .ec2(region)
    .send(new DescribeNetworkInterfacesCommand({ Filters: [{ Name: filter, Values: [id] }] }));
  return NetworkInterfaces;
}

function blockSize(text: string): void {
  const { prefix } = parseCidr(text);
  if (prefix < 16 || prefix > 28) {
    throw new AwsError(
      "InvalidVpc.Range",
      `The CIDR '${text}' is invalid: blocks are from /16 to /28.`,
    );
  }
}

async function checkSubnet(call: Call, records: Records): Promise<void> {
  const { params, region } = call;
  const cidr = params.text("CidrBlock") ?? "";
  const vpcId = params.text("VpcId") ?? "";
  const ec2 = records.ec2(region);
  const range = parseCidr(cidr);
  if (range.prefix < 16 || range.prefix > 28) {
    throw new AwsError(
      "InvalidSubnet.Range",
      `The CIDR '${cidr}' is invalid: subnets are from /16 to /28.`,
    );
  }
  const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({ VpcIds: [vpcId] }));
  if (!contains(parseCidr(Vpcs[0]?.CidrBlock ?? ""), range)) {
    throw new AwsError(
      "InvalidSubnet.Range",
      `The CIDR '${cidr}' is invalid: it is not within the VPC's ${Vpcs[0]?.CidrBlock ?? ""}.`,
    );
  }
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand(byVpc(vpcId)));
  const other = Subnets.find(({ CidrBlock = "" }) => overlap(parseCidr(CidrBlock), range));
  if (other !== undefined) {
    throw new AwsError(
      "InvalidSubnet.Conflict",
      `The CIDR '${cidr}' conflicts with another subnet (${other.SubnetId ?? ""}, ${other.CidrBlock ?? ""}).`,
    );
  }
  mustMatch(
    "availabilityZone",
    params.text("AvailabilityZone"),
    new RegExp(`^${region}[abc]$`),
    `the lab's zones are ${region}a, ${region}b and ${region}c, and a subnet names its zone`,
  );
}

async function checkVpcFree(call: Call, records: Records): Promise<void> {
  const id = call.params.text("VpcId") ?? "";
  const ec2 = records.ec2(call.region);
  const { InternetGateways = [] } = await ec2.send(
    new DescribeInternetGatewaysCommand({ Filters: [{ Name: "attachment.vpc-id", Values: [id] }] }),
  );
  if (InternetGateways.length > 0) throw inUse("vpc", id, "an internet gateway is attached");
  const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand(byVpc(id)));
  const group = SecurityGroups.find(({ GroupName }) => GroupName !== "default");
  if (group !== undefined) throw inUse("vpc", id, `security group ${group.GroupId ?? ""}`);
  const { VpcEndpoints = [] } = await ec2.send(new DescribeVpcEndpointsCommand(byVpc(id)));
  const endpoint = VpcEndpoints.find(({ State }) => State?.toLowerCase() !== "deleted");
  if (endpoint !== undefined) throw inUse("vpc", id, `endpoint ${endpoint.VpcEndpointId ?? ""}`);
  const { RouteTables = [] } = await ec2.send(new DescribeRouteTablesCommand(byVpc(id)));
  const table = RouteTables.find(
    (one) => one.Associations?.some(({ Main }) => Main === true) !== true,
  );
  if (table !== undefined) throw inUse("vpc", id, `route table ${table.RouteTableId ?? ""}`);
}

async function checkGroupFree(call: Call, records: Records): Promise<void> {
  const id = call.params.text("GroupId") ?? "";
  const holder = (await interfacesIn(records, call.region, "group-id", id))[0];
  if (holder !== undefined) {
    throw new AwsError(
      "DependencyViolation",
      `resource ${id} has a dependent object (${holder.NetworkInterfaceId ?? ""})`,
    );
  }
  const { SecurityGroups = [] } = await records
    .ec2(call.region)
    .send(new DescribeSecurityGroupsCommand({}));
  const referring = SecurityGroups.find(
    (group) =>
      group.GroupId !== id &&
      [...(group.IpPermissions ?? []), ...(group.IpPermissionsEgress ?? [])].some((permission) =>
        permission.UserIdGroupPairs?.some(({ GroupId }) => GroupId === id),
      ),
  );
  if (referring !== undefined) {
    throw new AwsError(
      "DependencyViolation",
      `resource ${id} has a dependent object (a rule of ${referring.GroupId ?? ""})`,
    );
  }
}

const peerKinds = ["IpRanges", "Ipv6Ranges", "PrefixListIds", "Groups", "UserIdGroupPairs"];

/** Security group rules: known protocols, ports in order, and somebody on the other side. */
async function checkPermissions(call: Call, records: Records): Promise<void> {
  const permissions = call.params.items("IpPermissions");
  if (permissions.length === 0) {
    throw new AwsError("MissingParameter", "The lab wants security group rules as IpPermissions.");
  }
  for (const permission of permissions) {
    const protocol = permission.text("IpProtocol") ?? "";
    mustMatch("IpProtocol", protocol, /^(tcp|udp|icmp|-1)$/, "the lab knows tcp, udp, icmp and -1");
    const from = Number(permission.text("FromPort") ?? "-1");
    const to = Number(permission.text("ToPort") ?? "-1");
    if ((protocol === "tcp" || protocol === "udp") && !(from >= 0 && from <= to && to <= 65535)) {
      throw new AwsError("InvalidParameterValue", `Invalid value for portRange: ${from} to ${to}.`);
    }
    const peers = peerKinds.flatMap((kind) => permission.items(kind));
    if (peers.length !== 1) {
      throw new AwsError(
        "InvalidParameterValue",
        `A rule has exactly one peer (CIDR, prefix list or group); this one has ${peers.length}.`,
      );
    }
    const cidr = peers[0]?.text("CidrIp");
    if (cidr !== undefined) parseCidr(cidr);
    const group = peers[0]?.text("GroupId");
    if (group !== undefined) {
      await records.ec2(call.region).send(new DescribeSecurityGroupsCommand({ GroupIds: [group] }));
    }
  }
}

async function publicAddressesOf(call: Call, records: Records) {
  const { Addresses = [] } = await records.ec2(call.region).send(new DescribeAddressesCommand({}));
  return Addresses;
}

/** An elastic address works only where the VPC has a gateway. */
async function checkGateway(call: Call, records: Records): Promise<void> {
  const id = call.params.text("NetworkInterfaceId");
  if (id === undefined) {
    throw new AwsError(
      "MissingParameter",
      "The lab associates addresses with network interfaces only.",
    );
  }
  const ec2 = records.ec2(call.region);
  const { NetworkInterfaces = [] } = await ec2.send(
    new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] }),
  );
  const vpcId = NetworkInterfaces[0]?.VpcId ?? "";
  const { InternetGateways = [] } = await ec2.send(
    new DescribeInternetGatewaysCommand({
      Filters: [{ Name: "attachment.vpc-id", Values: [vpcId] }],
    }),
  );
  if (InternetGateways.length === 0) {
    throw new AwsError(
      "Gateway.NotAttached",
      `Network ${vpcId} is not attached to any internet gateway`,
    );
  }
}

/** Networks: ranges, and deletions that something still depends on. moto lets most of these pass. */
export const networkRules: Rules = {
  "ec2:CreateVpc": refusing((call) => {
    blockSize(call.params.text("CidrBlock") ?? "");
  }),
  "ec2:DeleteVpc": refusing(checkVpcFree),
  "ec2:CreateSubnet": refusing(checkSubnet),
  "ec2:DeleteSubnet": refusing(async (call, records) => {
    const id = call.params.text("SubnetId") ?? "";
    const holder = (await interfacesIn(records, call.region, "subnet-id", id))[0];
    if (holder !== undefined) throw inUse("subnet", id, holder.NetworkInterfaceId ?? "");
    const { NatGateways = [] } = await records
      .ec2(call.region)
      .send(new DescribeNatGatewaysCommand({ Filter: [{ Name: "subnet-id", Values: [id] }] }));
    const nat = NatGateways.find(({ State }) => State === "available" || State === "pending");
    if (nat !== undefined) throw inUse("subnet", id, nat.NatGatewayId ?? "");
  }),
  "ec2:DetachInternetGateway": refusing(async (call, records) => {
    const vpcId = call.params.text("VpcId") ?? "";
    const used = new Set(
      (await interfacesIn(records, call.region, "vpc-id", vpcId)).map(
        (one) => one.NetworkInterfaceId,
      ),
    );
    const mapped = (await publicAddressesOf(call, records)).find(({ NetworkInterfaceId }) =>
      used.has(NetworkInterfaceId ?? ""),
    );
    if (mapped !== undefined) {
      throw new AwsError(
        "DependencyViolation",
        `Network ${vpcId} has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.`,
      );
    }
  }),
  "ec2:CreateSecurityGroup": refusing((call) => {
    const alphabet = /^[a-zA-Z0-9 ._\-:/()#,@[\]+=&;{}!$*]{1,255}$/;
    const rule = "1 to 255 characters of a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*";
    mustMatch("GroupName", call.params.text("GroupName"), alphabet, rule);
    mustMatch("GroupName", call.params.text("GroupName"), /^(?!sg-)/, "it may not begin with sg-");
    mustMatch("GroupDescription", call.params.text("GroupDescription"), alphabet, rule);
    if (!call.params.has("VpcId")) {
      throw new AwsError(
        "MissingParameter",
        "The lab's account has no default VPC; VpcId is required.",
      );
    }
  }),
  "ec2:DeleteSecurityGroup": refusing(checkGroupFree),
  "ec2:AuthorizeSecurityGroupIngress": refusing(checkPermissions),
  "ec2:AuthorizeSecurityGroupEgress": refusing(checkPermissions),
  "ec2:ReleaseAddress": refusing(async (call, records) => {
    const id = call.params.text("AllocationId");
    const held = (await publicAddressesOf(call, records)).find((one) => one.AllocationId === id);
    if (held?.AssociationId !== undefined && held.AssociationId !== "") {
      throw new AwsError("InvalidIPAddress.InUse", `Address ${held.PublicIp ?? ""} is in use.`);
    }
  }),
  "ec2:AssociateAddress": refusing(checkGateway),
  "ec2:DeleteNatGateway": {
    // AWS takes the gateway's interface away with it; moto keeps it, and with it the subnet.
    after: async (answer, call, { records }) => {
      const ec2 = records.ec2(call.region);
      const { NatGateways = [] } = await ec2.send(
        new DescribeNatGatewaysCommand({
          NatGatewayIds: [call.params.text("NatGatewayId") ?? ""],
        }),
      );
      for (const { NetworkInterfaceId, AllocationId } of NatGateways[0]?.NatGatewayAddresses ??
        []) {
        const held = (await publicAddressesOf(call, records)).find(
          (one) => one.AllocationId === AllocationId,
        );
        if (held?.AssociationId !== undefined && held.AssociationId !== "") {
          await ec2.send(new DisassociateAddressCommand({ AssociationId: held.AssociationId }));
        }
        if (NetworkInterfaceId !== undefined) {
          await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
        }
      }
      return answer;
    },
  },
  "ec2:CreateNatGateway": refusing((call) => {
    if (!call.params.has("AllocationId")) {
      throw new AwsError("MissingParameter", "A public NAT gateway needs an AllocationId.");
    }
  }),
};
