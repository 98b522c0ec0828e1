import {
  CreateNetworkInterfaceCommand,
  DeleteNetworkInterfaceCommand,
  DescribeNetworkInterfacesCommand,
} from "@aws-sdk/client-ec2";
import { DescribeLoadBalancersCommand } from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Call } from "../call.ts";
import type { Records } from "../records.ts";
import type { Rules } from "../rule.ts";
import { chooseAddress } from "./addresses.ts";

/** How AWS describes the interfaces a balancer holds in its subnets; what follows is the balancer's path in its ARN. */
export const balancerInterfacePrefix = "ELB ";

async function giveAddresses(call: Call, records: Records): Promise<void> {
  const name = call.params.text("Name") ?? "";
  const { LoadBalancers = [] } = await records
    .elb(call.region)
    .send(new DescribeLoadBalancersCommand({ Names: [name] }));
  const balancer = LoadBalancers[0];
  const path = balancer?.LoadBalancerArn?.split(":loadbalancer/")[1] ?? "";
  for (const { SubnetId = "" } of balancer?.AvailabilityZones ?? []) {
    const mapping = call.params
      .items("SubnetMappings")
      .find((one) => one.text("SubnetId") === SubnetId);
    await records.ec2(call.region).send(
      new CreateNetworkInterfaceCommand({
        SubnetId,
        Description: balancerInterfacePrefix + path,
        Groups: balancer?.SecurityGroups,
        PrivateIpAddress: await chooseAddress(
          records,
          call.region,
          SubnetId,
          mapping?.text("PrivateIPv4Address"),
        ),
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

/** Balancers: an address in each subnet, held by an interface as on AWS, so that it is nobody else's and the subnet cannot go. */
export const balancerRules: Rules = {
  "elasticloadbalancing:CreateLoadBalancer": {
    after: async (answer, call, { records }) => {
      await giveAddresses(call, records);
      return answer;
    },
  },
  "elasticloadbalancing:DeleteLoadBalancer": {
    after: async (answer, call, { records }) => {
      await takeAddresses(call, records);
      return answer;
    },
  },
};
