import * as cloudwatch from "@aws-sdk/client-cloudwatch";
import * as sns from "@aws-sdk/client-sns";
import type { StateResource } from "./deployment.ts";

/** Alarms, dashboards and topics that a killed Pulumi had begun to create. All have names of their own. */

const present = (...ids: readonly (string | undefined)[]): string[] =>
  ids.filter((id): id is string => id !== undefined && id !== "");

function text({ inputs }: StateResource, key: string): string {
  const value = inputs?.[key];
  return typeof value === "string" ? value : "";
}

/** By Pulumi's names of the types. */
export const monitoringFinders = {
  "aws:cloudwatch/metricAlarm:MetricAlarm": async ({ wanted }: { wanted: StateResource }) => {
    const { MetricAlarms } = await new cloudwatch.CloudWatchClient().send(
      new cloudwatch.DescribeAlarmsCommand({ AlarmNames: [text(wanted, "name")] }),
    );
    return present(MetricAlarms?.[0]?.AlarmName);
  },
  "aws:cloudwatch/dashboard:Dashboard": async ({ wanted }: { wanted: StateResource }) => {
    const DashboardName = text(wanted, "dashboardName");
    try {
      await new cloudwatch.CloudWatchClient().send(
        new cloudwatch.GetDashboardCommand({ DashboardName }),
      );
      return [DashboardName];
    } catch (error) {
      if (error instanceof Error && /NotFound/.test(error.name)) return [];
      throw error;
    }
  },
  "aws:sns/topic:Topic": async ({ wanted }: { wanted: StateResource }) => {
    const client = new sns.SNSClient();
    const end = `:${text(wanted, "name")}`;
    for await (const { Topics } of sns.paginateListTopics({ client }, {})) {
      const found = Topics?.find(({ TopicArn }) => TopicArn?.endsWith(end));
      if (found !== undefined) return present(found.TopicArn);
    }
    return [];
  },
  // One that is not confirmed yet has no ARN; subscribing once more gives the same one.
  "aws:sns/topicSubscription:TopicSubscription": async ({ wanted }: { wanted: StateResource }) => {
    const client = new sns.SNSClient();
    const TopicArn = text(wanted, "topic");
    for await (const page of sns.paginateListSubscriptionsByTopic({ client }, { TopicArn })) {
      const found = page.Subscriptions?.find(
        ({ Protocol, Endpoint }) =>
          Protocol === text(wanted, "protocol") && Endpoint === text(wanted, "endpoint"),
      );
      if (found?.SubscriptionArn?.startsWith("arn:") === true) return [found.SubscriptionArn];
    }
    return [];
  },
} as const;
