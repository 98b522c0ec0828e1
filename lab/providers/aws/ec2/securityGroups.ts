import { flag, number, text, type InputsOf, type Problem } from "../../shared/schema.ts";
import type { Values } from "../../shared/value.ts";
import { awsResource, completing, fromTagList, given, single, textOf } from "../awsResource.ts";
import { arn, type Aws } from "../environment.ts";
import { retagEc2, tagSpecifications } from "./common.ts";

const inUse = {
  codes: ["DependencyViolation", "InvalidGroup.InUse"],
  seconds: 15 * 60,
} as const;

/** aws.ec2.SecurityGroup. Rules are resources of their own here; inline ones are refused as unknown. */
export const securityGroup = awsResource({
  type: "aws:ec2/securityGroup:SecurityGroup",
  fields: {
    name: text({ replaces: true }),
    description: text({ replaces: true }),
    vpcId: text({ required: true, replaces: true }),
    revokeRulesOnDelete: flag(),
  },
  computed: ["arn", "ownerId"],
  autoname: { field: "name", maxLength: 255 },
  normalize: (inputs) => ({ description: "Managed by Pulumi", ...inputs }),
  missing: ["InvalidGroup.NotFound", "InvalidGroupId.Malformed"],
  busy: inUse,
  retag: retagEc2,
  create: async (inputs, { aws, tags }) => {
    const ec2 = await aws.ec2();
    const { GroupId } = await ec2.createSecurityGroup({
      GroupName: inputs.name ?? "",
      Description: inputs.description ?? "",
      VpcId: inputs.vpcId,
      ...tagSpecifications("security-group", tags),
    });
    const id = given(GroupId, "the security group's id");
    // AWS lets everything out at first; the real provider takes that away, so that rules say what is allowed.
    return completing(id, () =>
      ec2.revokeSecurityGroupEgress({
        GroupId: id,
        IpPermissions: [{ IpProtocol: "-1", IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
      }),
    );
  },
  read: async (id, _state, aws) => {
    const { SecurityGroups } = await (await aws.ec2()).describeSecurityGroups({ GroupIds: [id] });
    const found = single(SecurityGroups);
    return (
      found && {
        arn: arn(aws, "ec2", `security-group/${id}`),
        ownerId: found.OwnerId ?? aws.accountId,
        name: found.GroupName,
        description: found.Description,
        vpcId: found.VpcId,
        tagsAll: fromTagList(found.Tags),
      }
    );
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.ec2()).deleteSecurityGroup({ GroupId: id });
  },
});

const ruleFields = {
  securityGroupId: text({ required: true, replaces: true }),
  description: text(),
  ipProtocol: text({ required: true }),
  fromPort: number(),
  toPort: number(),
  cidrIpv4: text(),
  prefixListId: text(),
  referencedSecurityGroupId: text(),
} as const;

type Rule = InputsOf<typeof ruleFields>;

const peers = ["cidrIpv4", "prefixListId", "referencedSecurityGroupId"] as const;

/** aws.vpc.SecurityGroupIngressRule */
export const ingressRule = rule(
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  "ingress",
);

/** aws.vpc.SecurityGroupEgressRule */
export const egressRule = rule("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "egress");

function rule(type: string, direction: "ingress" | "egress") {
  return awsResource({
    type,
    fields: ruleFields,
    computed: ["arn", "securityGroupRuleId"],
    validate,
    missing: [
      "InvalidSecurityGroupRuleId.NotFound",
      "InvalidGroup.NotFound",
      "InvalidPermission.NotFound",
    ],
    retag: retagEc2,
    create: async (inputs, { aws, tags }) => {
      const ec2 = await aws.ec2();
      const request = {
        GroupId: inputs.securityGroupId,
        IpPermissions: [permission(inputs)],
        ...tagSpecifications("security-group-rule", tags),
      };
      const { SecurityGroupRules } =
        direction === "ingress"
          ? await ec2.authorizeSecurityGroupIngress(request)
          : await ec2.authorizeSecurityGroupEgress(request);
      return given(single(SecurityGroupRules)?.SecurityGroupRuleId, "the rule's id");
    },
    read: async (id, _state, aws) => {
      const found = await findRule(aws, id);
      return (
        found && {
          arn: arn(aws, "ec2", `security-group-rule/${id}`),
          securityGroupRuleId: id,
          securityGroupId: found.GroupId,
          ipProtocol: found.IpProtocol,
          fromPort: port(found.FromPort),
          toPort: port(found.ToPort),
          cidrIpv4: found.CidrIpv4,
          prefixListId: found.PrefixListId,
          referencedSecurityGroupId: found.ReferencedGroupInfo?.GroupId,
          description: found.Description,
          tagsAll: fromTagList(found.Tags),
        }
      );
    },
    update: async ({ id, news, changed }, { aws }) => {
      if (changed.size > (changed.has("tags") ? 1 : 0)) {
        await (
          await aws.ec2()
        ).modifySecurityGroupRules({
          GroupId: news.securityGroupId,
          SecurityGroupRules: [{ SecurityGroupRuleId: id, SecurityGroupRule: ruleRequest(news) }],
        });
      }
    },
    remove: async (id, state, { aws }) => {
      const ec2 = await aws.ec2();
      const request = {
        GroupId: textOf(state, "securityGroupId"),
        SecurityGroupRuleIds: [id],
      };
      await (direction === "ingress"
        ? ec2.revokeSecurityGroupIngress(request)
        : ec2.revokeSecurityGroupEgress(request));
    },
  });
}

function validate(inputs: Values): Problem[] {
  const count = peers.filter((peer) => inputs[peer] !== undefined).length;
  return count === 1
    ? []
    : [
        {
          path: "",
          reason: `exactly one of ${peers.join(", ")} must be given, but ${count} are`,
        },
      ];
}

function permission(inputs: Rule) {
  const Description = inputs.description;
  return {
    IpProtocol: inputs.ipProtocol,
    FromPort: inputs.fromPort,
    ToPort: inputs.toPort,
    ...(inputs.cidrIpv4 === undefined
      ? {}
      : { IpRanges: [{ CidrIp: inputs.cidrIpv4, Description }] }),
    ...(inputs.prefixListId === undefined
      ? {}
      : { PrefixListIds: [{ PrefixListId: inputs.prefixListId, Description }] }),
    ...(inputs.referencedSecurityGroupId === undefined
      ? {}
      : { UserIdGroupPairs: [{ GroupId: inputs.referencedSecurityGroupId, Description }] }),
  };
}

function ruleRequest(inputs: Rule) {
  return {
    IpProtocol: inputs.ipProtocol,
    FromPort: inputs.fromPort,
    ToPort: inputs.toPort,
    CidrIpv4: inputs.cidrIpv4,
    PrefixListId: inputs.prefixListId,
    ReferencedGroupId: inputs.referencedSecurityGroupId,
    Description: inputs.description,
  };
}

/** AWS says -1 where all ports are meant. */
function port(value: number | undefined): number | undefined {
  return value === -1 ? undefined : value;
}

async function findRule(aws: Aws, id: string) {
  const { SecurityGroupRules } = await (
    await aws.ec2()
  ).describeSecurityGroupRules({ SecurityGroupRuleIds: [id] });
  return single(SecurityGroupRules);
}
