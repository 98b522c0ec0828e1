import type { Alarm, AlarmBasis } from "./alarms";
import { metricNamespace } from "./iamDocuments";
import { memberPlaces } from "./layout";
import { physicalNames } from "./names";

/** The table of alarms as CloudWatch wants it. */

/** One metric of an alarm. */
export interface AlarmMetric {
  readonly namespace: string;
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly stat: string;
  readonly period: number;
}

/** One query of an alarm with metric math. */
export interface AlarmQuery {
  readonly id: string;
  readonly expression?: string;
  readonly label?: string;
  readonly returnData: boolean;
  readonly metric?: AlarmMetric;
}

/** One CloudWatch alarm, by the names of @pulumi/aws. Either a metric, or queries. */
export interface CloudWatchAlarm {
  readonly name: string;
  readonly alarmDescription: string;
  readonly comparisonOperator: string;
  readonly threshold: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: "breaching";
  readonly namespace?: string;
  readonly metricName?: string;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly statistic?: string;
  readonly period?: number;
  readonly metricQueries?: readonly AlarmQuery[];
}

const operators = {
  "<": "LessThanThreshold",
  ">": "GreaterThanThreshold",
  ">=": "GreaterThanOrEqualToThreshold",
} as const;

/** Names of a cluster's members. */
export function memberNames(size: number): string[] {
  return memberPlaces(size, [""]).map(({ name }) => name);
}

/** The alarms of one row: one, or one per member. What they are to Pulumi beside the row's key is `suffix`. */
export function cloudWatchAlarms(
  alarm: Alarm,
  basis: AlarmBasis,
): { readonly suffix: string; readonly alarm: CloudWatchAlarm }[] {
  const members = memberNames(basis.size);
  if (alarm.scope !== "eachMember") {
    return [{ suffix: alarm.key, alarm: one(alarm, basis, undefined) }];
  }
  return members.map((member) => ({
    suffix: `${member}-${alarm.key}`,
    alarm: one(alarm, basis, member),
  }));
}

function one(alarm: Alarm, basis: AlarmBasis, member: string | undefined): CloudWatchAlarm {
  const { clusterName } = basis;
  const what = member === undefined ? alarm.key : `${member}-${alarm.key}`;
  return {
    name: physicalNames(clusterName, "").alarm(what),
    alarmDescription: `${alarm.meaning} ${alarm.action} (docs/operations.md#${alarm.key})`,
    comparisonOperator: operators[alarm.comparison],
    threshold: alarm.threshold,
    evaluationPeriods: alarm.periods,
    datapointsToAlarm: alarm.periods,
    treatMissingData: "breaching",
    ...watched(alarm, basis, member),
  };
}

function watched(
  alarm: Alarm,
  { clusterName: cluster, size }: AlarmBasis,
  member: string | undefined,
): Partial<CloudWatchAlarm> {
  const metric = (of: string | undefined): AlarmMetric => ({
    namespace: metricNamespace,
    metricName: alarm.metric,
    dimensions: { Cluster: cluster, ...(of === undefined ? {} : { Member: of }) },
    stat: alarm.statistic,
    period: alarm.periodSeconds,
  });
  const query = (id: string, of: string | undefined): AlarmQuery => ({
    ...{ id, returnData: false, metric: metric(of) },
  });
  const result = (expression: string): AlarmQuery => ({
    ...{ id: "result", expression, label: `${alarm.metric} (${alarm.unit})`, returnData: true },
  });
  if (alarm.scope === "acrossMembers") {
    const members = memberNames(size);
    return {
      metricQueries: [
        result(`MAX([${members.join(", ")}])`),
        ...members.map((each) => query(each, each)),
      ],
    };
  }
  if (alarm.expected !== undefined) {
    return {
      metricQueries: [result(`ABS(found - ${alarm.expected})`), query("found", undefined)],
    };
  }
  const { stat, ...rest } = metric(member);
  return { ...rest, statistic: stat };
}
