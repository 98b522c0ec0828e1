import { Recorded, stateAt, type State, type WatchedAlarm } from "../alarmStates.ts";
import type { Answer } from "../call.ts";
import type { Rules } from "../rule.ts";

/** What alarms are in: moto keeps alarms and data points, and never looks at the one through the other. */

/** Seconds of data points that are kept: CloudWatch's alarms look back a day at most. */
const keepSeconds = 86_400;

/** Minutes that are looked back for when an alarm came into its state. */
const historyMinutes = 60;

interface Metric {
  readonly MetricName: string;
  readonly Dimensions?: readonly { readonly Name: string; readonly Value: string }[];
}

/** An alarm as DescribeAlarms words it, as far as its state depends on it. */
interface DescribedAlarm extends Partial<Metric> {
  readonly AlarmName: string;
  readonly ComparisonOperator: string;
  readonly Threshold: number;
  readonly EvaluationPeriods: number;
  readonly DatapointsToAlarm?: number;
  readonly TreatMissingData?: string;
  readonly Statistic?: string;
  readonly Period?: number;
  readonly Metrics?: readonly {
    readonly Id: string;
    readonly Expression?: string;
    readonly ReturnData?: boolean;
    readonly MetricStat?: {
      readonly Metric: Metric;
      readonly Period: number;
      readonly Stat: string;
    };
  }[];
}

const byName = (dimensions: Metric["Dimensions"] = []): Record<string, string> =>
  Object.fromEntries(dimensions.map(({ Name, Value }) => [Name, Value]));

/** The part of an alarm that decides about its state. */
export function watchedAlarm(alarm: DescribedAlarm): WatchedAlarm {
  const { Metrics = [], MetricName, Statistic, Period } = alarm;
  return {
    name: alarm.AlarmName,
    comparisonOperator: alarm.ComparisonOperator,
    threshold: alarm.Threshold,
    evaluationPeriods: alarm.EvaluationPeriods,
    datapointsToAlarm: alarm.DatapointsToAlarm ?? alarm.EvaluationPeriods,
    treatMissingData: alarm.TreatMissingData ?? "missing",
    ...(MetricName !== undefined && { metricName: MetricName }),
    ...(Statistic !== undefined && { statistic: Statistic }),
    ...(Period !== undefined && { period: Period }),
    dimensions: byName(alarm.Dimensions),
    ...(Metrics.length > 0 && {
      metricQueries: Metrics.map(({ Id, Expression, ReturnData, MetricStat }) => ({
        id: Id,
        returnData: ReturnData ?? true,
        ...(Expression !== undefined && { expression: Expression }),
        ...(MetricStat !== undefined && {
          metric: {
            metricName: MetricStat.Metric.MetricName,
            dimensions: byName(MetricStat.Metric.Dimensions),
            stat: MetricStat.Stat,
            period: MetricStat.Period,
          },
        }),
      })),
    }),
  };
}

/** An alarm's state now, and since when, as far as the last hour tells; alarms are looked at once a minute. */
function stateNow(
  alarm: WatchedAlarm,
  recorded: Recorded,
  now: number,
): { state: State; since: number } {
  const look = Math.floor(now / 60) * 60;
  const state = stateAt(alarm, recorded, look);
  let since = look;
  while (
    since - 60 >= look - historyMinutes * 60 &&
    stateAt(alarm, recorded, since - 60) === state
  ) {
    since -= 60;
  }
  return { state, since };
}

/** Puts the states into what moto says of alarms. What is not evaluated here keeps moto's "not known". */
function withStates(answer: Answer, recorded: Recorded, now: number): Answer {
  const body = JSON.parse(answer.body.toString("utf8")) as { MetricAlarms?: DescribedAlarm[] };
  const alarms = (body.MetricAlarms ?? []).map((alarm) => {
    const watched = watchedAlarm(alarm);
    if (watched.treatMissingData !== "breaching") return alarm;
    const { state, since } = stateNow(watched, recorded, now);
    return { ...alarm, StateValue: state, StateUpdatedTimestamp: since };
  });
  const text = Buffer.from(JSON.stringify({ ...body, MetricAlarms: alarms }));
  return {
    ...answer,
    headers: { ...answer.headers, "content-length": `${text.length}` },
    body: text,
  };
}

/** Rules for data points and alarms; they share what was published, by region. */
export function alarmStateRules(now: () => number = () => Date.now() / 1000): Rules {
  const published = new Map<string, Recorded>();
  const of = (region: string): Recorded => {
    const known = published.get(region) ?? new Recorded(keepSeconds);
    published.set(region, known);
    return known;
  };
  return {
    "monitoring:PutMetricData": {
      after: (answer, { params, region }) => {
        if (answer.status === 200) {
          of(region).add(
            params.items("MetricData").map((datum) => ({
              MetricName: datum.text("MetricName"),
              Dimensions: datum.items("Dimensions").map((dimension) => ({
                Name: dimension.text("Name"),
                Value: dimension.text("Value"),
              })),
              Timestamp: new Date(Number(datum.text("Timestamp")) * 1000),
              Value: Number(datum.text("Value")),
            })),
          );
        }
        return answer;
      },
    },
    "monitoring:DescribeAlarms": {
      after: (answer, { region }) =>
        answer.status === 200 ? withStates(answer, of(region), now()) : answer,
    },
  };
}
