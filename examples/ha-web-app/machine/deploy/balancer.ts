import {
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";

import type { Order } from "./order.ts";
import type { Target, TargetState } from "./plan.ts";
import type { Hands } from "./roll.ts";

const states: readonly TargetState[] = ["initial", "healthy", "unhealthy", "draining", "unused"];

/** The balancer, by the API and with the machine's role. */
export function targetGroup(order: Order["balancer"]): Hands["balancer"] {
  // Debian's Node is the one there is; what later releases of the SDK will want is no news to whoever deploys.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] = "true";
  const client = new ElasticLoadBalancingV2Client({ region: order.region, maxAttempts: 5 });
  const TargetGroupArn = order.targetGroupArn;
  const self = { TargetGroupArn, Targets: [{ Id: order.address, Port: order.port }] };
  return {
    async targets() {
      const { TargetHealthDescriptions = [] } = await client.send(
        new DescribeTargetHealthCommand({ TargetGroupArn }),
      );
      return TargetHealthDescriptions.map(({ Target, TargetHealth }): Target => ({
        address: Target?.Id ?? "",
        // Whatever else there may be is no reason to rely on it.
        state: states.find((known) => known === TargetHealth?.State) ?? "unhealthy",
      }));
    },
    async deregister() {
      await client.send(new DeregisterTargetsCommand(self));
    },
    async register() {
      await client.send(new RegisterTargetsCommand(self));
    },
  };
}
