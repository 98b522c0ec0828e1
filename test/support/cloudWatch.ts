import type { MetricDatum } from "@aws-sdk/client-cloudwatch";

import type { AlarmMetric, CloudWatchAlarm } from "../../components/plan/cloudWatchAlarms";

/**
 * CloudWatch's rules for alarms, over recorded data points: the emulation only remembers them. From the user guide, "Using CloudWatch
 * alarms": with periods of a minute and more an alarm is evaluated every minute, over windows that end then; of the evaluation range, which
 * is longer than the evaluation periods, the most recent real points are taken, and missing ones are filled in only for what lacks.
 */

/** States of an alarm that takes missing data for bad: it always knows one of the two. */
export type State = "OK" | "ALARM";

/** How much longer the evaluation range is than the evaluation periods. AWS does not say; in all its examples it is this. */
const furtherPeriods = 2;

interface Point {
  /** Seconds. */
  readonly at: number;
  readonly value: number;
}

function seriesKey(name: string, dimensions: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([name, sorted]);
}

/** Everything that was published. A series is known by its name and exactly its dimensions. */
export class Recorded {
  private readonly series = new Map<string, Point[]>();

  /** Adds the data of a call. */
  add(data: readonly MetricDatum[]): void {
    for (const { MetricName, Dimensions, Timestamp, Value } of data) {
      const dimensions = Object.fromEntries(
        (Dimensions ?? []).map((each) => [each.Name ?? "", each.Value ?? ""]),
      );
      const key = seriesKey(MetricName ?? "", dimensions);
      const points = this.series.get(key) ?? [];
      points.push({ at: (Timestamp?.getTime() ?? 0) / 1000, value: Value ?? NaN });
      this.series.set(key, points);
    }
  }

  /** Whether there is a series for this at all. */
  knows({ metricName, dimensions }: AlarmMetric): boolean {
    return this.series.has(seriesKey(metricName, dimensions));
  }

  /** A metric's values, newest period first; undefined where nothing was published. */
  periods(metric: AlarmMetric, now: number, count: number): (number | undefined)[] {
    const points = this.series.get(seriesKey(metric.metricName, metric.dimensions)) ?? [];
    return Array.from({ length: count }, (_, at) => {
      const end = now - at * metric.period;
      const values = points
        .filter((point) => point.at >= end - metric.period && point.at < end)
        .map(({ value }) => value);
      return values.length === 0 ? undefined : statistic(metric.stat, values);
    });
  }
}

function statistic(name: string, values: readonly number[]): number {
  switch (name) {
    case "Maximum":
      return Math.max(...values);
    case "Minimum":
      return Math.min(...values);
    case "Sum":
      return values.reduce((sum, value) => sum + value, 0);
    default:
      throw new Error(`the statistic ${name} is not known here`);
  }
}

type Series = readonly (number | undefined)[];

/** The metric math that is used: `MAX([a, b])` of what there is, and `ABS(a - number)`. */
function calculate(expression: string, of: (id: string) => Series): Series {
  const [, list] = /^MAX\(\[([a-z0-9, ]+)\]\)$/.exec(expression) ?? [];
  if (list !== undefined) {
    const all = list.split(", ").map(of);
    return (all[0] ?? []).map((_, at) => {
      const values = all.flatMap((series) => series[at] ?? []);
      return values.length === 0 ? undefined : Math.max(...values);
    });
  }
  const [, id, expected] = /^ABS\(([a-z]+) - (\d+)\)$/.exec(expression) ?? [];
  if (id === undefined) {
    throw new Error(`the expression ${expression} is not known here`);
  }
  return of(id).map((value) =>
    value === undefined ? undefined : Math.abs(value - Number(expected)),
  );
}

function valuesOf(alarm: CloudWatchAlarm, recorded: Recorded, now: number): Series {
  const count = alarm.evaluationPeriods + furtherPeriods;
  const { metricQueries: queries } = alarm;
  if (queries === undefined) {
    const { namespace = "", metricName = "", dimensions = {}, period = 0 } = alarm;
    const metric = { namespace, metricName, dimensions, period, stat: alarm.statistic ?? "" };
    return recorded.periods(metric, now, count);
  }
  const [result, ...more] = queries.filter(({ returnData }) => returnData);
  if (result?.expression === undefined || more.length > 0) {
    throw new Error(`${alarm.name} has not one expression that returns data`);
  }
  return calculate(result.expression, (id) => {
    const metric = queries.find((query) => query.id === id)?.metric;
    if (metric === undefined) {
      throw new Error(`${alarm.name} has no metric ${id}`);
    }
    return recorded.periods(metric, now, count);
  });
}

const comparisons: Readonly<Record<string, (value: number, threshold: number) => boolean>> = {
  LessThanThreshold: (value, threshold) => value < threshold,
  GreaterThanThreshold: (value, threshold) => value > threshold,
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
};

/** The rule for M of N with missing data that breaches. `values` newest first. */
export function judge(
  values: readonly ("breaching" | "fine" | undefined)[],
  periods: number,
  datapoints: number,
): State {
  const real = values.filter((value) => value !== undefined).slice(0, periods);
  const filled = periods - real.length;
  const breaching = real.filter((value) => value === "breaching").length;
  return breaching + filled >= datapoints ? "ALARM" : "OK";
}

/** An alarm's state at a moment, in seconds. */
export function stateAt(alarm: CloudWatchAlarm, recorded: Recorded, now: number): State {
  const breaches = comparisons[alarm.comparisonOperator];
  if (breaches === undefined || (alarm.treatMissingData as string) !== "breaching") {
    throw new Error(`${alarm.name}: ${alarm.comparisonOperator}, ${alarm.treatMissingData}`);
  }
  const values = valuesOf(alarm, recorded, now).map((value) =>
    value === undefined ? undefined : breaches(value, alarm.threshold) ? "breaching" : "fine",
  );
  return judge(values, alarm.evaluationPeriods, alarm.datapointsToAlarm);
}
