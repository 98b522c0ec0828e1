import {
  CreateNetworkInterfaceCommand,
  DeleteNetworkInterfaceCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
} from "@aws-sdk/client-ec2";
import {
  DescribeLoadBalancerAttributesCommand,
  DescribeLoadBalancersCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Records } from "../records.ts";
import type { Rules } from "../rule.ts";
import { chooseAddress } from "./addresses.ts";
import { mustBeWithin, mustMatch, onlyKnown } from "./text.ts";

/** How AWS describes the interfaces a balancer holds in its subnets; what follows is the balancer's path in its ARN. */
export const balancerInterfacePrefix = "ELB ";

/** Names of balancers and target groups. */
const nameRule = /^(?!internal-)(?!-)[a-zA-Z0-9-]{1,32}(?<!-)$/;
const nameText =
  "1 to 32 letters, digits and hyphens, no hyphen at either end, not beginning with internal-";

async function giveAddresses(call: Call, records: Records): Promise<void> {
  const name = call.params.text("Name") ?? "";
  const { LoadBalancers = [] } = await records
    .elb(call.region)
    .send(new DescribeLoadBalancersCommand({ Names: [name] }));
  const balancer = LoadBalancers[0];
  const path = balancer?.LoadBalancerArn?.split(":loadbalancer/")[1] ?? "";
  for (const { SubnetId = "" } of balancer?.AvailabilityZones ?? []) {
    await records.ec2(call.region).send(
      new CreateNetworkInterfaceCommand({
        SubnetId,
        Description: balancerInterfacePrefix + path,
        Groups: balancer?.SecurityGroups,
        PrivateIpAddress: await chooseAddress(records, call.region, SubnetId),
      }),
    );
  }
}

async function takeAddresses(call: Call, records: Records): Promise<void> {
  const path = (call.params.text("LoadBalancerArn") ?? "").split(":loadbalancer/")[1] ?? "";
  const ec2 = records.ec2(call.region);
  const { NetworkInterfaces = [] } = await ec2.send(
    new DescribeNetworkInterfacesCommand({
      Filters: [{ Name: "description", Values: [balancerInterfacePrefix + path] }],
    }),
  );
  for (const { NetworkInterfaceId } of NetworkInterfaces) {
    await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId }));
  }
}

async function checkBalancer(call: Call, records: Records): Promise<void> {
  const { params, region } = call;
  onlyKnown(
    params,
    ["Name", "Type", "Scheme", "Subnets", "SecurityGroups", "IpAddressType", "Tags"],
    "CreateLoadBalancer",
  );
  mustMatch("Name", params.text("Name"), nameRule, nameText, "ValidationError");
  mustMatch(
    "Type",
    params.text("Type"),
    /^network$/,
    "the lab has network load balancers",
    "ValidationError",
  );
  mustMatch(
    "Scheme",
    params.text("Scheme"),
    /^internal$/,
    "the lab's balancers are internal",
    "ValidationError",
  );
  const subnets = params.list("Subnets");
  if (subnets.length === 0)
    throw new AwsError("ValidationError", "At least one subnet must be specified");
  const { Subnets = [] } = await records
    .ec2(region)
    .send(new DescribeSubnetsCommand({ SubnetIds: subnets }));
  const zones = Subnets.map(({ AvailabilityZone }) => AvailabilityZone);
  if (new Set(zones).size !== zones.length) {
    throw new AwsError(
      "InvalidConfigurationRequest",
      "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
    );
  }
}

async function checkDeletion(call: Call, records: Records): Promise<void> {
  const arn = call.params.text("LoadBalancerArn");
  const elb = records.elb(call.region);
  const { Attributes = [] } = await elb.send(
    new DescribeLoadBalancerAttributesCommand({ LoadBalancerArn: arn }),
  );
  if (
    Attributes.some(({ Key, Value }) => Key === "deletion_protection.enabled" && Value === "true")
  ) {
    throw new AwsError(
      "OperationNotPermitted",
      `Load balancer '${arn ?? ""}' cannot be deleted because deletion protection is enabled`,
    );
  }
}

function checkTargetGroup(call: Call): void {
  const { params } = call;
  const bad = "ValidationError";
  mustMatch(
    "Protocol",
    params.text("Protocol"),
    /^TCP$/,
    "the lab's balancers pass TCP through",
    bad,
  );
  mustMatch(
    "TargetType",
    params.text("TargetType"),
    /^ip$/,
    "the lab's targets are addresses (ip)",
    bad,
  );
  mustMatch("Name", params.text("Name"), nameRule, nameText, bad);
  mustBeWithin("Port", params.text("Port"), 1, 65_535, bad);
  checkHealthCheck(call);
}

function checkHealthCheck({ params }: Call): void {
  const bad = "ValidationError";
  mustBeWithin(
    "HealthCheckIntervalSeconds",
    params.text("HealthCheckIntervalSeconds"),
    5,
    300,
    bad,
  );
  mustBeWithin("HealthCheckTimeoutSeconds", params.text("HealthCheckTimeoutSeconds"), 2, 120, bad);
  mustBeWithin("HealthyThresholdCount", params.text("HealthyThresholdCount"), 2, 10, bad);
  mustBeWithin("UnhealthyThresholdCount", params.text("UnhealthyThresholdCount"), 2, 10, bad);
  const protocol = params.text("HealthCheckProtocol");
  if (protocol !== undefined)
    mustMatch(
      "HealthCheckProtocol",
      protocol,
      /^(TCP|HTTP)$/,
      "the lab probes by TCP or HTTP",
      bad,
    );
}

/**
 * Network load balancers: an address in each subnet, held by an interface as on AWS, so that it is nobody else's and the subnet
 * cannot go; and what AWS does not let one change later.
 */
export const balancerRules: Rules = {
  "elasticloadbalancing:CreateLoadBalancer": {
    before: async (call, { records }) => {
      await checkBalancer(call, records);
      return undefined;
    },
    after: async (answer, call, { records }) => {
      await giveAddresses(call, records);
      return answer;
    },
  },
  "elasticloadbalancing:DeleteLoadBalancer": {
    before: async (call, { records }) => {
      await checkDeletion(call, records);
      return undefined;
    },
    after: async (answer, call, { records }) => {
      await takeAddresses(call, records);
      return answer;
    },
  },
  "elasticloadbalancing:SetSecurityGroups": {
    before: async (call, { records }) => {
      const arn = call.params.text("LoadBalancerArn") ?? "";
      const { LoadBalancers = [] } = await records
        .elb(call.region)
        .send(new DescribeLoadBalancersCommand({ LoadBalancerArns: [arn] }));
      const groups = LoadBalancers[0]?.SecurityGroups ?? [];
      if (groups.length === 0 || call.params.list("SecurityGroups").length === 0) {
        throw new AwsError(
          "InvalidConfigurationRequest",
          "A network load balancer has security groups from its creation on, or never",
        );
      }
      return undefined;
    },
  },
  "elasticloadbalancing:CreateTargetGroup": {
    before: (call) => {
      checkTargetGroup(call);
      return Promise.resolve(undefined);
    },
  },
  "elasticloadbalancing:ModifyTargetGroup": {
    before: (call) => {
      checkHealthCheck(call);
      return Promise.resolve(undefined);
    },
  },
  "elasticloadbalancing:CreateListener": {
    before: (call) => {
      mustMatch(
        "Protocol",
        call.params.text("Protocol"),
        /^TCP$/,
        "the lab's listeners are TCP",
        "ValidationError",
      );
      mustBeWithin("Port", call.params.text("Port"), 1, 65_535, "ValidationError");
      return Promise.resolve(undefined);
    },
  },
  "elasticloadbalancing:ModifyListenerAttributes": {
    before: (call) => {
      for (const attribute of call.params.items("Attributes")) {
        mustMatch(
          "Key",
          attribute.text("Key"),
          /^tcp\.idle_timeout\.seconds$/,
          "a TCP listener has this one attribute",
          "ValidationError",
        );
        mustBeWithin(
          "tcp.idle_timeout.seconds",
          attribute.text("Value"),
          60,
          6000,
          "ValidationError",
        );
      }
      return Promise.resolve(undefined);
    },
  },
};
