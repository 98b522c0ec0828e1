import { Asker, machine, never, type Question } from "#security/questions/question";

const { member, bastion } = Asker;

/** Everything else. */
export const others: readonly Question[] = [
  never(member, "publish metrics of another kind", "cloudwatch:PutMetricData *", {
    "cloudwatch:namespace": "AWS/EC2",
  }),
  never(
    member,
    "silence alarms",
    "cloudwatch:DisableAlarmActions arn:aws:cloudwatch:{region}:{account}:alarm:{cluster}-no-leader",
  ),
  never(
    member,
    "delete alarms",
    "cloudwatch:DeleteAlarms arn:aws:cloudwatch:{region}:{account}:alarm:{cluster}-no-leader",
  ),
  never(
    member,
    "pass a role",
    "iam:PassRole arn:aws:iam::{account}:role/{cluster}-{other}-{region}",
  ),
  never(
    member,
    "take another role",
    "sts:AssumeRole arn:aws:iam::{account}:role/{cluster}-{other}-{region}",
  ),
  never(
    member,
    "change its own policy",
    "iam:PutRolePolicy arn:aws:iam::{account}:role/{cluster}-{self}-{region}",
  ),
  never(member, "run commands on machines", `ssm:SendCommand ${machine}`),
  never(
    member,
    "change names",
    "route53:ChangeResourceRecordSets arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ",
  ),
  never(bastion, "publish metrics", "cloudwatch:PutMetricData *", {
    "cloudwatch:namespace": "EtcdCluster",
  }),
  never(
    bastion,
    "pass a role",
    "iam:PassRole arn:aws:iam::{account}:role/{cluster}-{self}-{region}",
  ),
  never(
    bastion,
    "take a member's role",
    "sts:AssumeRole arn:aws:iam::{account}:role/{cluster}-{self}-{region}",
  ),
];
