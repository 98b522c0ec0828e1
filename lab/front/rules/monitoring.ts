import { DescribeKeyCommand } from "@aws-sdk/client-kms";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import type { Params } from "../params.ts";
import type { Records } from "../records.ts";
import { refusing, type Rules } from "../rule.ts";
import { checkTags, mustBeWithin, mustMatch } from "./text.ts";

/** Alarms, dashboards and topics: moto records whatever it is given. */

const bad = "ValidationError";

function refuse(message: string, code = bad): never {
  throw new AwsError(code, message);
}

/** Seconds that an alarm may look back: a day, or a week with periods of an hour or more. */
function checkWindow(period: number, periods: number): void {
  if (![10, 20, 30].includes(period) && period % 60 !== 0) {
    refuse(`Period must be 10, 20, 30 or a multiple of 60; it is ${period}.`);
  }
  if (period * periods > (period >= 3600 ? 604_800 : 86_400)) {
    refuse(
      `Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400); ${periods} * ${period}.`,
    );
  }
}

function checkQueries(queries: readonly Params[], periods: number): void {
  const metrics = queries.filter((query) => query.has("MetricStat"));
  if (metrics.length > 10) {
    refuse(`An alarm on metric math takes at most 10 metrics; these are ${metrics.length}.`);
  }
  const results = queries.filter((query) => query.text("ReturnData") !== "false");
  if (results.length !== 1) {
    refuse(`Exactly one element of the metrics list should return data; ${results.length} do.`);
  }
  const ids = queries.map((query) => query.text("Id") ?? "");
  for (const id of ids) mustMatch("Id", id, /^[a-z][a-zA-Z0-9_]{0,254}$/, "a lower-case name", bad);
  if (new Set(ids).size !== ids.length) refuse("The ids of the metrics list are not unique.");
  for (const query of queries) {
    const expression = query.text("Expression");
    if ((expression === undefined) !== query.has("MetricStat")) {
      refuse("An element of the metrics list is either an expression or a metric.");
    }
    if (/\bSEARCH\(/.test(expression ?? "")) refuse("SEARCH cannot be used in an alarm.");
    const names = (expression ?? "").match(/\b[a-z][a-zA-Z0-9_]*\b/g) ?? [];
    const unknown = names.find((name) => !ids.includes(name));
    if (unknown !== undefined) refuse(`The expression names ${unknown}, which is no id.`);
    const period = query.text("MetricStat.Period");
    if (period !== undefined) checkWindow(Number(period), periods);
  }
}

function checkAlarm({ params, caller }: Call): void {
  mustMatch("AlarmName", params.text("AlarmName"), /^[ -~]{1,255}$/, "1 to 255 characters", bad);
  if ((params.text("AlarmDescription") ?? "").length > 1024) {
    refuse("AlarmDescription has at most 1024 characters.");
  }
  const periods = Number(params.text("EvaluationPeriods"));
  mustBeWithin("EvaluationPeriods", params.text("EvaluationPeriods") ?? "0", 1, 86_400, bad);
  mustBeWithin("DatapointsToAlarm", params.text("DatapointsToAlarm"), 1, periods, bad);
  mustMatch(
    "TreatMissingData",
    params.text("TreatMissingData") ?? "missing",
    /^(breaching|notBreaching|ignore|missing)$/,
    "breaching, notBreaching, ignore or missing",
    bad,
  );
  mustMatch(
    "ComparisonOperator",
    params.text("ComparisonOperator"),
    /^(GreaterThanOrEqualTo|GreaterThan|LessThan|LessThanOrEqualTo)Threshold$/,
    "a comparison with the threshold",
    bad,
  );
  for (const list of ["AlarmActions", "OKActions", "InsufficientDataActions"]) {
    const actions = params.list(list);
    if (actions.length > 5) refuse(`${list} has at most 5 actions.`);
    for (const action of actions) {
      mustMatch(list, action, /^arn:aws[a-z-]*:sns:/, "the lab knows actions by SNS only", bad);
    }
  }
  checkTags(params.items("Tags"), caller);
  const queries = params.items("Metrics");
  if (queries.length > 0) {
    if (["MetricName", "Statistic", "Period", "Namespace"].some((name) => params.has(name))) {
      refuse("MetricName, Namespace, Period and Statistic cannot be given together with Metrics.");
    }
    checkQueries(queries, periods);
    return;
  }
  mustMatch("MetricName", params.text("MetricName"), /^.{1,255}$/, "1 to 255 characters", bad);
  if (params.has("Statistic") === params.has("ExtendedStatistic")) {
    refuse("One of Statistic and ExtendedStatistic is required, not both.");
  }
  if (params.items("Dimensions").length > 30) refuse("A metric has at most 30 dimensions.");
  checkWindow(Number(params.text("Period")), periods);
}

const invalid = "InvalidParameterInput";

function checkDashboard({ params }: Call): void {
  mustMatch(
    "DashboardName",
    params.text("DashboardName"),
    /^[A-Za-z0-9_-]{1,255}$/,
    "letters, digits, - and _",
    invalid,
  );
  const body = JSON.parse(params.text("DashboardBody") ?? "{}") as { widgets?: unknown };
  if (!Array.isArray(body.widgets)) refuse("The body must have widgets.", invalid);
  if (body.widgets.length > 500) refuse("A dashboard has at most 500 widgets.", invalid);
  for (const widget of body.widgets as Record<string, unknown>[]) {
    const { type, x = 0, y = 0, width = 6, height = 6, properties } = widget;
    const [left, top, wide, high] = [x, y, width, height].map(Number) as [
      number,
      number,
      number,
      number,
    ];
    if (typeof type !== "string" || typeof properties !== "object") {
      refuse("A widget has a type and properties.", invalid);
    }
    if (left < 0 || top < 0 || wide < 1 || high < 1 || left + wide > 24 || high > 1000) {
      refuse(`A widget is not on the grid: ${[left, top, wide, high].join()}.`, invalid);
    }
    const { metrics } = properties as { metrics?: unknown };
    if (type === "metric" && (!Array.isArray(metrics) || metrics.length > 500)) {
      refuse("A metric widget has up to 500 metrics.", invalid);
    }
  }
}

async function checkTopic({ params, region, caller }: Call, records: Records): Promise<void> {
  const code = "InvalidParameter";
  mustMatch(
    "Name",
    params.text("Name"),
    /^[A-Za-z0-9_-]{1,256}$/,
    "letters, digits, - and _; the lab has standard topics",
    code,
  );
  checkTags(params.items("Tags"), caller);
  for (const entry of params.items("Attributes.entry")) {
    await checkAttribute(entry.text("key") ?? "", entry.text("value") ?? "", region, records);
  }
}

async function checkAttribute(
  name: string,
  value: string,
  region: string,
  records: Records,
): Promise<void> {
  const code = "InvalidParameter";
  switch (name) {
    case "DisplayName":
      mustMatch(name, value, /^[^\n]{0,100}$/, "at most 100 characters", code);
      return;
    case "KmsMasterKeyId":
      if (value === "") return;
      try {
        await records.kms(region).send(new DescribeKeyCommand({ KeyId: value }));
      } catch {
        refuse(`Invalid parameter: KMS key ${value} does not exist.`, code);
      }
      return;
    case "Policy":
      try {
        JSON.parse(value);
      } catch {
        refuse("Invalid parameter: Policy Error: null", code);
      }
      return;
    default:
      throw new AwsError(
        "LabUnknownParameter",
        `The lab does not know the topic's attribute ${name}.`,
      );
  }
}

/** Alarms, dashboards, topics. */
export const monitoringRules: Rules = {
  "monitoring:PutMetricAlarm": refusing(checkAlarm),
  "monitoring:PutDashboard": refusing(checkDashboard),
  "sns:CreateTopic": refusing(checkTopic),
  "sns:SetTopicAttributes": refusing(({ params, region }, records) =>
    checkAttribute(
      params.text("AttributeName") ?? "",
      params.text("AttributeValue") ?? "",
      region,
      records,
    ),
  ),
  "sns:Subscribe": refusing(({ params }) => {
    const code = "InvalidParameter";
    mustMatch("Protocol", params.text("Protocol"), /^email$/, "the lab knows e-mail only", code);
    mustMatch("Endpoint", params.text("Endpoint"), /^[^\s@]+@[^\s@]+$/, "an address", code);
  }),
};
