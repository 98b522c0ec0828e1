import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { alarmTopicPolicy } from "./plan/alarmPolicies";
import { alarms, type AlarmBasis } from "./plan/alarms";
import { canonicalJson } from "./plan/canonicalJson";
import { cloudWatchAlarms } from "./plan/cloudWatchAlarms";
import { dashboard } from "./plan/dashboard";
import { physicalNames } from "./plan/names";

/** What a Monitoring needs. */
export interface MonitoringArgs {
  /** What the alarms are about. */
  basis: AlarmBasis;
  region: string;
  partition: pulumi.Input<string>;
  accountId: pulumi.Input<string>;
  /** Key of the topic; its policy admits CloudWatch. */
  keyArn: pulumi.Input<string>;
  /** An existing topic, instead of one of the cluster's own. */
  topicArn: pulumi.Input<string> | undefined;
  /** Who is written to, when the topic is the cluster's own. */
  email: string | undefined;
  /** The members, verified: an alarm that is born before its metrics begins with a false alarm. */
  members: pulumi.Resource;
  tags: Record<string, pulumi.Input<string>>;
}

/** Where CloudWatch's console is, by partition. */
const consoles: Readonly<Record<string, string>> = {
  aws: "console.aws.amazon.com",
  "aws-cn": "console.amazonaws.cn",
  "aws-us-gov": "console.amazonaws-us-gov.com",
};

/**
 * What tells people that something is wrong, and shows what:
 *
 * 1. a topic, encrypted with the cluster's key, to which nobody but this cluster's alarms may publish by TLS; or yours;
 * 2. if asked for, a subscription by e-mail, which the addressee has to confirm;
 * 3. the alarms of plan/alarms.ts, one each, `member-down` once per member; they speak when they begin and when they end;
 * 4. a dashboard with one row per question.
 *
 * CloudWatch charges for alarms, for the metrics that agents publish, and for the dashboard: docs/operations.md adds it up. It does not
 * watch the bastion, the balancer or the NAT gateways.
 */
export class Monitoring extends pulumi.ComponentResource {
  /** ARN of the topic that alarms speak to. */
  readonly topicArn: pulumi.Output<string>;
  /** Name of the dashboard. */
  readonly dashboardName: pulumi.Output<string>;
  /** Where the dashboard is in the console. */
  readonly dashboardUrl: pulumi.Output<string>;

  private readonly base: string;

  constructor(name: string, args: MonitoringArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:Monitoring", name, {}, opts);
    this.base = name;
    const { basis, region } = args;
    const names = physicalNames(basis.clusterName, region);
    this.topicArn =
      args.topicArn === undefined ? this.ownTopic(args) : pulumi.output(args.topicArn);
    const actions = [this.topicArn];
    const made = alarms(basis).flatMap((row) =>
      cloudWatchAlarms(row, basis).map(
        ({ suffix, alarm }) =>
          new aws.cloudwatch.MetricAlarm(
            `${name}-${suffix}`,
            {
              ...(alarm as aws.cloudwatch.MetricAlarmArgs),
              alarmActions: actions,
              okActions: actions,
              tags: { ...args.tags, severity: row.severity },
            },
            { parent: this, dependsOn: [args.members] },
          ),
      ),
    );
    const board = new aws.cloudwatch.Dashboard(
      name,
      {
        dashboardName: names.dashboard,
        dashboardBody: pulumi
          .all(made.map((alarm) => alarm.arn))
          .apply((alarmArns) => canonicalJson(dashboard({ ...basis, region, alarmArns }))),
      },
      { parent: this },
    );
    this.dashboardName = board.dashboardName;
    this.dashboardUrl = pulumi
      .all([args.partition, this.dashboardName])
      .apply(
        ([partition, dashboardName]) =>
          `https://${region}.${consoles[partition] ?? "console.aws.amazon.com"}/cloudwatch/home?region=${region}#dashboards/dashboard/${dashboardName}`,
      );
    this.registerOutputs({ topicArn: this.topicArn, dashboardName: this.dashboardName });
  }

  /** A topic of the cluster's own, and who hears of it. */
  private ownTopic(args: MonitoringArgs): pulumi.Output<string> {
    const { region, basis } = args;
    const { clusterName: cluster } = basis;
    const topic = new aws.sns.Topic(
      this.base,
      {
        name: physicalNames(cluster, region).topic,
        displayName: `etcd cluster ${cluster}`,
        kmsMasterKeyId: args.keyArn,
        // With the topic and not after it: there is no moment in which others may publish.
        policy: pulumi
          .all([args.partition, args.accountId])
          .apply(([partition, accountId]) =>
            canonicalJson(alarmTopicPolicy({ partition, region, accountId, cluster })),
          ),
        tags: args.tags,
      },
      { parent: this },
    );
    if (args.email !== undefined) {
      new aws.sns.TopicSubscription(
        `${this.base}-email`,
        { topic: topic.arn, protocol: "email", endpoint: args.email },
        { parent: this },
      );
    }
    return topic.arn;
  }
}
