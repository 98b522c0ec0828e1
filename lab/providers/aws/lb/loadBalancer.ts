import { flag, set, text, type InputsOf } from "../../shared/schema.ts";
import { awsResource, completing, given, single } from "../awsResource.ts";
import type { Aws } from "../environment.ts";
import { until } from "../waiting.ts";
import { arnSuffix, attributes, creationTags, retagBalancing, tagsOf } from "./common.ts";

const fields = {
  name: text({ replaces: true }),
  loadBalancerType: text({ replaces: true }),
  internal: flag({ replaces: true }),
  // The real provider replaces a network balancer when a subnet is taken away; the lab does at any change.
  subnets: set(text(), { replaces: true }),
  securityGroups: set(text()),
  ipAddressType: text(),
  enableCrossZoneLoadBalancing: flag(),
  enableDeletionProtection: flag(),
} as const;

type Inputs = InputsOf<typeof fields>;

/** aws.lb.LoadBalancer, of network type */
export const loadBalancer = awsResource({
  type: "aws:lb/loadBalancer:LoadBalancer",
  fields,
  computed: ["arn", "arnSuffix", "dnsName", "vpcId", "zoneId", "ipAddressType"],
  autoname: { field: "name", maxLength: 32 },
  normalize: (inputs) => ({
    internal: false,
    enableCrossZoneLoadBalancing: false,
    enableDeletionProtection: false,
    ...inputs,
  }),
  validate: (inputs) =>
    inputs["loadBalancerType"] === "network"
      ? []
      : [{ path: "loadBalancerType", reason: "the lab knows network load balancers only" }],
  missing: ["LoadBalancerNotFound", "LoadBalancerNotFoundException"],
  retag: retagBalancing,
  create: async (inputs, { aws, tags }) => {
    const { LoadBalancers } = await (
      await aws.balancing()
    ).createLoadBalancer({
      Name: inputs.name,
      Type: "network",
      Scheme: inputs.internal === true ? "internal" : "internet-facing",
      Subnets: [...(inputs.subnets ?? [])],
      SecurityGroups: inputs.securityGroups && [...inputs.securityGroups],
      ...creationTags(tags),
    });
    const arn = given(single(LoadBalancers)?.LoadBalancerArn, "the balancer's ARN");
    return completing(arn, () => setAttributes(aws, arn, inputs));
  },
  ready: async (id, _state, { aws, context }) => {
    await until("the balancer to be active", context, 10 * 60, async () => {
      const state = (await find(aws, id))?.State?.Code;
      if (state === "failed") {
        throw new Error(`the balancer ${id} failed`);
      }
      return state === "active" ? true : undefined;
    });
  },
  read: async (id, _state, aws) => {
    const found = await find(aws, id);
    if (found === undefined) {
      return undefined;
    }
    const { Attributes = [] } = await (
      await aws.balancing()
    ).describeLoadBalancerAttributes({ LoadBalancerArn: id });
    const attribute = (key: string) => Attributes.find((one) => one.Key === key)?.Value === "true";
    return {
      arn: id,
      arnSuffix: arnSuffix(id, "loadbalancer"),
      name: found.LoadBalancerName,
      loadBalancerType: found.Type,
      internal: found.Scheme === "internal",
      dnsName: found.DNSName,
      zoneId: found.CanonicalHostedZoneId,
      vpcId: found.VpcId,
      ipAddressType: found.IpAddressType,
      subnets: (found.AvailabilityZones ?? []).map(({ SubnetId }) => SubnetId ?? ""),
      securityGroups: found.SecurityGroups ?? [],
      enableCrossZoneLoadBalancing: attribute("load_balancing.cross_zone.enabled"),
      enableDeletionProtection: attribute("deletion_protection.enabled"),
      tagsAll: await tagsOf(aws, id),
    };
  },
  update: async ({ id, news, changed }, { aws }) => {
    if (changed.has("securityGroups")) {
      await (
        await aws.balancing()
      ).setSecurityGroups({
        LoadBalancerArn: id,
        SecurityGroups: [...(news.securityGroups ?? [])],
      });
    }
    await setAttributes(aws, id, news);
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.balancing()).deleteLoadBalancer({ LoadBalancerArn: id });
  },
});

async function setAttributes(aws: Aws, LoadBalancerArn: string, inputs: Inputs): Promise<void> {
  await (
    await aws.balancing()
  ).modifyLoadBalancerAttributes({
    LoadBalancerArn,
    Attributes: attributes({
      "deletion_protection.enabled": inputs.enableDeletionProtection,
      "load_balancing.cross_zone.enabled": inputs.enableCrossZoneLoadBalancing,
    }),
  });
}

async function find(aws: Aws, arn: string) {
  const { LoadBalancers } = await (
    await aws.balancing()
  ).describeLoadBalancers({ LoadBalancerArns: [arn] });
  return single(LoadBalancers);
}
