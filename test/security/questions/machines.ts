import {
  Asker,
  ec2,
  key,
  machine,
  never,
  otherKey,
  tagsOf,
  volume,
  type Context,
  type Question,
} from "#security/questions/question";

const { member, bastion } = Asker;

const wished = (member: string, cluster = "{cluster}"): Context => ({
  "aws:RequestTag/etcd-cluster:cluster": cluster,
  "aws:RequestTag/etcd-cluster:member": member,
});
const replacement: Context = {
  ...wished("{self}"),
  "ec2:AvailabilityZone": "{zone}",
  "ec2:VolumeType": "gp3",
  "ec2:Encrypted": "true",
  "ec2:KmsKeyId": key,
};

/** Volumes, machines, and what they are made from. */
export const machines: readonly Question[] = [
  ...(["AttachVolume", "DetachVolume"] as const).flatMap((action) => [
    never(
      member,
      `${action}: another member's volume`,
      `ec2:${action} ${volume}`,
      tagsOf("{other}"),
    ),
    never(
      member,
      `${action}: another cluster's volume`,
      `ec2:${action} ${volume}`,
      tagsOf("{self}", "other"),
    ),
    never(member, `${action}: a volume of nobody`, `ec2:${action} ${volume}`),
    never(
      member,
      `${action}: another member's machine`,
      `ec2:${action} ${machine}`,
      tagsOf("{other}"),
    ),
    never(
      member,
      `${action}: another cluster's machine`,
      `ec2:${action} ${machine}`,
      tagsOf("{self}", "other"),
    ),
    never(member, `${action}: a machine of nobody`, `ec2:${action} ${machine}`),
  ]),
  never(member, "create a volume for another member", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    ...wished("{other}"),
  }),
  never(member, "create a volume for another cluster", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    ...wished("{self}", "other"),
  }),
  never(member, "create a volume in another zone", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    "ec2:AvailabilityZone": "{region}z",
  }),
  never(member, "create a volume of another type", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    "ec2:VolumeType": "io2",
  }),
  never(member, "create a volume that is not encrypted", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    "ec2:Encrypted": "false",
  }),
  never(member, "create a volume with another key", `ec2:CreateVolume ${volume}`, {
    ...replacement,
    "ec2:KmsKeyId": otherKey,
  }),
  never(
    member,
    "create a volume from a snapshot",
    "ec2:CreateVolume arn:aws:ec2:{region}::snapshot/snap-0123456789abcdef0",
  ),
  never(member, "tag a volume that exists", `ec2:CreateTags ${volume}`, wished("{self}")),
  never(member, "tag a machine", `ec2:CreateTags ${machine}`, {
    ...wished("{self}"),
    "ec2:CreateAction": "RunInstances",
  }),
  never(member, "tag a machine as a new volume's", `ec2:CreateTags ${machine}`, {
    ...wished("{self}"),
    "ec2:CreateAction": "CreateVolume",
  }),
  never(member, "tag a new volume as another member's", `ec2:CreateTags ${volume}`, {
    ...wished("{other}"),
    "ec2:CreateAction": "CreateVolume",
  }),
  never(member, "tag a new volume as another cluster's", `ec2:CreateTags ${volume}`, {
    ...wished("{self}", "other"),
    "ec2:CreateAction": "CreateVolume",
  }),
  never(member, "take a tag away", `ec2:DeleteTags ${volume}`, tagsOf("{self}")),
  never(member, "delete its own volume", `ec2:DeleteVolume ${volume}`, tagsOf("{self}")),
  never(member, "change its own volume", `ec2:ModifyVolume ${volume}`, tagsOf("{self}")),
  never(member, "copy its own volume", `ec2:CreateSnapshot ${volume}`, tagsOf("{self}")),
  never(
    member,
    "end another member's machine",
    `ec2:TerminateInstances ${machine}`,
    tagsOf("{other}"),
  ),
  never(
    member,
    "end another cluster's machine",
    `ec2:TerminateInstances ${machine}`,
    tagsOf("{self}", "other"),
  ),
  never(member, "end a machine of nobody", `ec2:TerminateInstances ${machine}`),
  never(member, "stop a machine", `ec2:StopInstances ${machine}`, tagsOf("{self}")),
  never(
    member,
    "open its own metadata service",
    `ec2:ModifyInstanceMetadataOptions ${machine}`,
    tagsOf("{self}"),
  ),
  never(member, "start a machine", `ec2:RunInstances ${ec2("instance/*")}`),
  never(
    member,
    "change a launch template",
    `ec2:CreateLaunchTemplateVersion ${ec2("launch-template/lt-0123456789abcdef0")}`,
  ),
  never(
    member,
    "open a security group",
    `ec2:AuthorizeSecurityGroupIngress ${ec2("security-group/sg-0123456789abcdef0")}`,
  ),
  never(member, "move an interface", `ec2:AttachNetworkInterface ${machine}`, tagsOf("{self}")),
  never(
    member,
    "change its group",
    "autoscaling:UpdateAutoScalingGroup arn:aws:autoscaling:{region}:{account}:autoScalingGroup:11111111-2222-4333-8444-555555555555:autoScalingGroupName/{cluster}-{self}",
  ),
  never(
    member,
    "end another member's machine through its group",
    "autoscaling:TerminateInstanceInAutoScalingGroup arn:aws:autoscaling:{region}:{account}:autoScalingGroup:11111111-2222-4333-8444-555555555555:autoScalingGroupName/{cluster}-{other}",
  ),
  never(member, "look at machines of another region", "ec2:DescribeVolumes *", {
    "aws:RequestedRegion": "xx-nowhere-1",
  }),
  never(bastion, "look at machines", "ec2:DescribeInstances *"),
  never(bastion, "end a machine", `ec2:TerminateInstances ${machine}`, tagsOf("{self}")),
];
