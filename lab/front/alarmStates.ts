/**
 * CloudWatch's rules for alarms, over recorded data points: moto only remembers both. From the user guide, "Using CloudWatch
 * alarms": with periods of a minute and more an alarm is evaluated every minute, over windows that end then; of the evaluation range, which
 * is longer than the evaluation periods, the most recent real points are taken, and missing ones are filled in only for what lacks.
 */

/** One metric of an alarm. */
export interface WatchedMetric {
  readonly metricName: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly stat: string;
  /** Seconds. */
  readonly period: number;
}

/** What decides about an alarm's state: either a metric, or queries. */
export interface WatchedAlarm {
  readonly name: string;
  readonly comparisonOperator: string;
  readonly threshold: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly treatMissingData: string;
  readonly metricName?: string;
  readonly dimensions?: Readonly<Record<string, string>>;
  readonly statistic?: string;
  readonly period?: number;
  readonly metricQueries?: readonly {
    readonly id: string;
    readonly expression?: string;
    readonly returnData: boolean;
    readonly metric?: WatchedMetric;
  }[];
}

/** A data point, as PutMetricData takes it. */
export interface Datum {
  readonly MetricName?: string | undefined;
  readonly Dimensions?:
    | readonly { readonly Name?: string | undefined; readonly Value?: string | undefined }[]
    | undefined;
  readonly Timestamp?: Date | undefined;
  readonly Value?: number | undefined;
}

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
  private readonly keepSeconds: number;

  /** @param keepSeconds how much older than a series' newest point another may be; more than alarms look back */
  constructor(keepSeconds = Infinity) {
    this.keepSeconds = keepSeconds;
  }

  /** Adds the data of a call. */
  add(data: readonly Datum[]): void {
    for (const { MetricName, Dimensions, Timestamp, Value } of data) {
      const dimensions = Object.fromEntries(
        (Dimensions ?? []).map((each) => [each.Name ?? "", each.Value ?? ""]),
      );
      const key = seriesKey(MetricName ?? "", dimensions);
      const points = this.series.get(key) ?? [];
      const at = (Timestamp?.getTime() ?? 0) / 1000;
      points.push({ at, value: Value ?? NaN });
      while ((points[0]?.at ?? at) < at - this.keepSeconds) points.shift();
      this.series.set(key, points);
    }
  }

  /** Whether there is a series for this at all. */
  knows({ metricName, dimensions }: WatchedMetric): boolean {
    return this.series.has(seriesKey(metricName, dimensions));
  }

  /** A metric's values, newest period first; undefined where nothing was published. */
  periods(metric: WatchedMetric, now: number, count: number): (number | undefined)[] {
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

function valuesOf(alarm: WatchedAlarm, recorded: Recorded, now: number): Series {
  const count = alarm.evaluationPeriods + furtherPeriods;
  const { metricQueries: queries } = alarm;
  if (queries === undefined) {
    const { metricName = "", dimensions = {}, period = 0 } = alarm;
    const metric = { metricName, dimensions, period, stat: alarm.statistic ?? "" };
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
export function stateAt(alarm: WatchedAlarm, recorded: Recorded, now: number): State {
  const breaches = comparisons[alarm.comparisonOperator];
  if (breaches === undefined || alarm.treatMissingData !== "breaching") {
    throw new Error(`${alarm.name}: ${alarm.comparisonOperator}, ${alarm.treatMissingData}`);
  }
  const values = valuesOf(alarm, recorded, now).map((value) =>
    value === undefined ? undefined : breaches(value, alarm.threshold) ? "breaching" : "fine",
  );
  return judge(values, alarm.evaluationPeriods, alarm.datapointsToAlarm);
}
