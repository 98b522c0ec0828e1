import type {
  ComparisonOperator,
  MetricDataQuery,
  PutMetricAlarmCommandInput,
  StandardUnit,
  Statistic,
} from "@aws-sdk/client-cloudwatch";

import { flag, map, number, object, set, text, type InputsOf } from "../shared/schema.ts";
import type { Problem } from "../shared/schema.ts";
import type { Values } from "../shared/value.ts";
import { awsResource, fromTagList, single, textOf, toTagList } from "./awsResource.ts";
import { arn } from "./environment.ts";
import { sameJson } from "./json.ts";

const metricFields = {
  metricName: text({ required: true }),
  namespace: text({ required: true }),
  dimensions: map(text()),
  period: number({ required: true }),
  stat: text({ required: true }),
  unit: text(),
} as const;

const alarmFields = {
  name: text({ replaces: true }),
  alarmDescription: text(),
  comparisonOperator: text({ required: true }),
  evaluationPeriods: number({ required: true }),
  datapointsToAlarm: number(),
  threshold: number(),
  treatMissingData: text(),
  actionsEnabled: flag(),
  alarmActions: set(text()),
  okActions: set(text()),
  insufficientDataActions: set(text()),
  metricName: text(),
  namespace: text(),
  dimensions: map(text()),
  period: number(),
  statistic: text(),
  extendedStatistic: text(),
  unit: text(),
  metricQueries: set(
    object({
      id: text({ required: true }),
      expression: text(),
      label: text(),
      returnData: flag(),
      metric: object(metricFields),
    }),
  ),
} as const;

type AlarmInputs = InputsOf<typeof alarmFields>;

/** What either names one metric or has queries, never both: the real provider refuses that before AWS does. */
const singleMetric = ["metricName", "namespace", "period", "statistic", "extendedStatistic"];

/** aws.cloudwatch.MetricAlarm, on a metric or on metric math */
export const metricAlarm = awsResource({
  type: "aws:cloudwatch/metricAlarm:MetricAlarm",
  fields: alarmFields,
  computed: ["arn"],
  autoname: { field: "name", maxLength: 255 },
  normalize: (inputs) => ({ actionsEnabled: true, treatMissingData: "missing", ...inputs }),
  validate: eitherMetricOrQueries,
  missing: ["ResourceNotFound", "ResourceNotFoundException"],
  retag: async (aws, id, { set: added, unset }) => {
    const cloudWatch = await aws.cloudWatch();
    const ResourceARN = arn(aws, "cloudwatch", `alarm:${id}`);
    if (unset.length > 0) {
      await cloudWatch.untagResource({ ResourceARN, TagKeys: [...unset] });
    }
    if (Object.keys(added).length > 0) {
      await cloudWatch.tagResource({ ResourceARN, Tags: toTagList(added) });
    }
  },
  create: async (inputs, { aws, tags }) => {
    await (await aws.cloudWatch()).putMetricAlarm({ ...request(inputs), Tags: toTagList(tags) });
    return inputs.name ?? "";
  },
  read: async (id, _state, aws) => {
    const cloudWatch = await aws.cloudWatch();
    const { MetricAlarms } = await cloudWatch.describeAlarms({ AlarmNames: [id] });
    const found = single(MetricAlarms);
    if (found === undefined) {
      return undefined;
    }
    const { Tags } = await cloudWatch.listTagsForResource({ ResourceARN: found.AlarmArn });
    const dimensions = dimensionMap(found.Dimensions);
    return {
      arn: found.AlarmArn,
      name: found.AlarmName,
      alarmDescription: found.AlarmDescription,
      comparisonOperator: found.ComparisonOperator,
      evaluationPeriods: found.EvaluationPeriods,
      datapointsToAlarm: found.DatapointsToAlarm,
      threshold: found.Threshold,
      treatMissingData: found.TreatMissingData,
      actionsEnabled: found.ActionsEnabled,
      alarmActions: listOrNothing(found.AlarmActions),
      okActions: listOrNothing(found.OKActions),
      insufficientDataActions: listOrNothing(found.InsufficientDataActions),
      metricName: found.MetricName,
      namespace: found.Namespace,
      dimensions,
      period: found.Period,
      statistic: found.Statistic,
      extendedStatistic: found.ExtendedStatistic,
      unit: found.Unit,
      metricQueries: found.Metrics?.length ? found.Metrics.map(queryOf) : undefined,
      tagsAll: fromTagList(Tags),
    };
  },
  update: async ({ news, changed }, { aws }) => {
    if ([...changed].some((key) => key !== "tags")) {
      // Replaces the whole configuration; the state stays.
      await (await aws.cloudWatch()).putMetricAlarm(request(news));
    }
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.cloudWatch()).deleteAlarms({ AlarmNames: [id] });
  },
});

function eitherMetricOrQueries(inputs: Values): Problem[] {
  const given = singleMetric.filter((key) => inputs[key] !== undefined);
  const queries = inputs["metricQueries"] !== undefined;
  if (queries) {
    return given.map((path) => ({ path, reason: `"metricQueries": conflicts with ${path}` }));
  }
  return inputs["metricName"] === undefined
    ? [{ path: "metricName", reason: "one of metricName and metricQueries must be specified" }]
    : [];
}

function listOrNothing(items: readonly string[] | undefined): readonly string[] | undefined {
  return items === undefined || items.length === 0 ? undefined : items;
}

function dimensionMap(
  dimensions: readonly { Name?: string | undefined; Value?: string | undefined }[] | undefined,
): Record<string, string> | undefined {
  return dimensions === undefined || dimensions.length === 0
    ? undefined
    : Object.fromEntries(dimensions.map(({ Name, Value }) => [Name ?? "", Value ?? ""]));
}

function dimensionList(dimensions: Readonly<Record<string, string>> | undefined) {
  return Object.entries(dimensions ?? {}).map(([Name, Value]) => ({ Name, Value }));
}

function queryOf({ Id, Expression, Label, ReturnData, MetricStat }: MetricDataQuery) {
  const { Metric: metric, Period, Stat, Unit } = MetricStat ?? {};
  const dimensions = dimensionMap(metric?.Dimensions);
  return {
    id: Id ?? "",
    ...(Expression === undefined ? {} : { expression: Expression }),
    ...(Label === undefined ? {} : { label: Label }),
    returnData: ReturnData ?? false,
    ...(metric === undefined
      ? {}
      : {
          metric: {
            metricName: metric.MetricName ?? "",
            namespace: metric.Namespace ?? "",
            ...(dimensions === undefined ? {} : { dimensions }),
            period: Period ?? 0,
            stat: Stat ?? "",
            ...(Unit === undefined ? {} : { unit: Unit }),
          },
        }),
  };
}

function request(inputs: AlarmInputs): PutMetricAlarmCommandInput {
  const { metricQueries } = inputs;
  return {
    AlarmName: inputs.name,
    AlarmDescription: inputs.alarmDescription,
    ComparisonOperator: inputs.comparisonOperator as ComparisonOperator,
    EvaluationPeriods: inputs.evaluationPeriods,
    DatapointsToAlarm: inputs.datapointsToAlarm,
    Threshold: inputs.threshold,
    TreatMissingData: inputs.treatMissingData,
    ActionsEnabled: inputs.actionsEnabled ?? true,
    AlarmActions: [...(inputs.alarmActions ?? [])],
    OKActions: [...(inputs.okActions ?? [])],
    InsufficientDataActions: [...(inputs.insufficientDataActions ?? [])],
    MetricName: inputs.metricName,
    Namespace: inputs.namespace,
    Period: inputs.period,
    Statistic: inputs.statistic as Statistic | undefined,
    ExtendedStatistic: inputs.extendedStatistic,
    Unit: inputs.unit as StandardUnit | undefined,
    ...(inputs.dimensions === undefined ? {} : { Dimensions: dimensionList(inputs.dimensions) }),
    ...(metricQueries === undefined
      ? {}
      : {
          Metrics: metricQueries.map(({ id, expression, label, returnData, metric }) => ({
            Id: id,
            Expression: expression,
            Label: label,
            ReturnData: returnData ?? false,
            ...(metric === undefined
              ? {}
              : {
                  MetricStat: {
                    Metric: {
                      MetricName: metric.metricName,
                      Namespace: metric.namespace,
                      Dimensions: dimensionList(metric.dimensions),
                    },
                    Period: metric.period,
                    Stat: metric.stat,
                    Unit: metric.unit as StandardUnit | undefined,
                  },
                }),
          })),
        }),
  };
}

/** aws.cloudwatch.Dashboard. Equal JSON is the same body, however it is written. */
export const dashboard = awsResource({
  type: "aws:cloudwatch/dashboard:Dashboard",
  fields: {
    dashboardName: text({ required: true, replaces: true }),
    dashboardBody: text({ required: true }),
  },
  computed: ["dashboardArn"],
  missing: ["ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError"],
  create: async (inputs, { aws }) => {
    await (await aws.cloudWatch()).putDashboard(board(inputs));
    return inputs.dashboardName;
  },
  read: async (id, state, aws) => {
    const found = await (await aws.cloudWatch()).getDashboard({ DashboardName: id });
    return {
      dashboardArn: found.DashboardArn,
      dashboardName: found.DashboardName,
      dashboardBody: sameJson(found.DashboardBody, textOf(state, "dashboardBody")),
    };
  },
  update: async ({ news }, { aws }) => {
    await (await aws.cloudWatch()).putDashboard(board(news));
  },
  remove: async (id, _state, { aws }) => {
    await (await aws.cloudWatch()).deleteDashboards({ DashboardNames: [id] });
  },
});

function board({ dashboardName, dashboardBody }: { dashboardName: string; dashboardBody: string }) {
  return { DashboardName: dashboardName, DashboardBody: dashboardBody };
}
