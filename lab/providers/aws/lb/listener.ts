import type { ProtocolEnum } from "@aws-sdk/client-elastic-load-balancing-v2";

import { list, number, object, text, type InputsOf } from "../../shared/schema.ts";
import { awsResource, completing, given, single } from "../awsResource.ts";
import type { Aws } from "../environment.ts";
import { attributes, creationTags, retagBalancing, tagsOf } from "./common.ts";

const fields = {
  loadBalancerArn: text({ required: true, replaces: true }),
  port: number(),
  protocol: text(),
  tcpIdleTimeoutSeconds: number(),
  defaultActions: list(
    object({ type: text({ required: true }), targetGroupArn: text({ required: true }) }),
    { required: true },
  ),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.lb.Listener that forwards */
export const listener = awsResource({
  type: "aws:lb/listener:Listener",
  fields,
  computed: ["arn"],
  validate: (inputs) =>
    Array.isArray(inputs["defaultActions"]) && inputs["defaultActions"].length !== 1
      ? [{ path: "defaultActions", reason: "the lab knows listeners with one action only" }]
      : [],
  missing: ["ListenerNotFound", "ListenerNotFoundException"],
  retag: retagBalancing,
  create: async (inputs, { aws, tags }) => {
    const { Listeners } = await (
      await aws.balancing()
    ).createListener({
      LoadBalancerArn: inputs.loadBalancerArn,
      ...request(inputs),
      ...creationTags(tags),
    });
    const arn = given(single(Listeners)?.ListenerArn, "the listener's ARN");
    return completing(arn, () => setIdleTimeout(aws, arn, inputs));
  },
  read: async (id, _state, aws) => {
    const { Listeners } = await (await aws.balancing()).describeListeners({ ListenerArns: [id] });
    const found = single(Listeners);
    return (
      found && {
        arn: id,
        loadBalancerArn: found.LoadBalancerArn,
        port: found.Port,
        protocol: found.Protocol,
        defaultActions: (found.DefaultActions ?? []).map(({ Type, TargetGroupArn }) => ({
          type: Type ?? "",
          targetGroupArn: TargetGroupArn ?? "",
        })),
        tagsAll: await tagsOf(aws, id),
      }
    );
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (["port", "protocol", "defaultActions"].some((key) => changed.has(key))) {
      await (await aws.balancing()).modifyListener({ ListenerArn: id, ...request(news) });
    }
    if (changed.has("tcpIdleTimeoutSeconds")) {
      await setIdleTimeout(aws, id, news);
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.balancing()).deleteListener({ ListenerArn: id });
  },
});

function request(inputs: Inputs) {
  return {
    Port: inputs.port,
    Protocol: inputs.protocol as ProtocolEnum | undefined,
    DefaultActions: inputs.defaultActions.map(({ targetGroupArn }) => ({
      Type: "forward" as const,
      TargetGroupArn: targetGroupArn,
    })),
  };
}

async function setIdleTimeout(aws: Aws, ListenerArn: string, inputs: Inputs): Promise<void> {
  if (inputs.tcpIdleTimeoutSeconds === undefined) {
    return;
  }
  await (
    await aws.balancing()
  ).modifyListenerAttributes({
    ListenerArn,
    Attributes: attributes({ "tcp.idle_timeout.seconds": inputs.tcpIdleTimeoutSeconds }),
  });
}
