import {
  CloudWatchClient,
  paginateDescribeAlarms,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";
import { clusterOf } from "./lib/fencing.ts";
import { main, options } from "./lib/main.ts";
import { readStack } from "./lib/stack.ts";
import { ago, table } from "./lib/table.ts";

const usage = `alarms.ts
The cluster's alarms as CloudWatch has them; below the table, what to do about those that are raised.`;

/** Whether an alarm looks at a cluster's metrics. Names alone do not tell: one cluster's name may begin with another's. */
export function isAbout(cluster: string, { Dimensions = [], Metrics = [] }: MetricAlarm): boolean {
  const all = [
    ...Dimensions,
    ...Metrics.flatMap((each) => each.MetricStat?.Metric?.Dimensions ?? []),
  ];
  return all.some(({ Name, Value }) => Name === "Cluster" && Value === cluster);
}

/** The table and what belongs to it; the raised ones first. */
export function describe(cluster: string, alarms: readonly MetricAlarm[], now: number): string {
  const rank = ({ StateValue }: MetricAlarm): number =>
    ["ALARM", "INSUFFICIENT_DATA", "OK"].indexOf(StateValue ?? "");
  const sorted = [...alarms].sort(
    (a, b) => rank(a) - rank(b) || (a.AlarmName ?? "").localeCompare(b.AlarmName ?? ""),
  );
  const rows = sorted.map(({ AlarmName = "", StateValue = "", StateUpdatedTimestamp }) => [
    AlarmName.replace(`${cluster}-`, ""),
    StateValue,
    StateUpdatedTimestamp === undefined ? "" : ago(StateUpdatedTimestamp.getTime(), now),
  ]);
  const raised = sorted.filter(({ StateValue }) => StateValue === "ALARM");
  return [
    table(["ALARM", "STATE", "SINCE"], rows),
    "",
    raised.length === 0
      ? `none of ${alarms.length} alarms is raised`
      : `${raised.length} of ${alarms.length} alarms raised:`,
    ...raised.map(({ AlarmName, AlarmDescription }) => `  ${AlarmName}: ${AlarmDescription}`),
  ].join("\n");
}

async function alarms(): Promise<number> {
  const { values } = options(usage, { help: { type: "boolean" } } as const);
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return 0;
  }
  const cluster = await clusterOf((await readStack()).members);
  const all: MetricAlarm[] = [];
  const pages = paginateDescribeAlarms(
    { client: new CloudWatchClient({}) },
    { AlarmNamePrefix: `${cluster}-` },
  );
  for await (const { MetricAlarms = [] } of pages) {
    all.push(...MetricAlarms.filter((alarm) => isAbout(cluster, alarm)));
  }
  if (all.length === 0) {
    throw new Error(
      `${cluster} has no alarms: monitoring.enabled is false, or \`pulumi up\` has not finished`,
    );
  }
  process.stdout.write(`${describe(cluster, all, Date.now())}\n`);
  return 0;
}

if (import.meta.main) await main("alarms", alarms);
