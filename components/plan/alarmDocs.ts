import { alarms, type Alarm, type AlarmBasis } from "./alarms";
import { cloudWatchAlarms } from "./cloudWatchAlarms";
import { resolveOptions } from "./options";
import { prometheusRules } from "./prometheusRules";

/** The runbooks' list of alarms, made from the table; scripts/build/alarms.mjs puts it into docs/operations.md. */

/** Around the list in docs/operations.md. */
export const marks = {
  begin: "<!-- alarms: written by scripts/build/alarms.mjs -->",
  end: "<!-- /alarms -->",
} as const;

/** Three members with the default settings, by which the documentation gives figures. */
const documented: AlarmBasis = resolveOptions("etcd", { region: "eu-central-1", adminCidrs: [] });

function duration(seconds: number): string {
  const [amount, unit] =
    seconds % 3600 === 0
      ? [seconds / 3600, "hour"]
      : [Math.round((10 * seconds) / 60) / 10, "minute"];
  return `${amount} ${unit}${amount === 1 ? "" : "s"}`;
}

function figure({ threshold, unit }: Alarm): string {
  switch (unit) {
    case "bytes":
      return `${threshold / 2 ** 30} GiB`;
    case "s":
      return duration(threshold);
    case "no or yes":
      return threshold === 0 ? "no" : "yes";
    default:
      return `${threshold} ${unit}`;
  }
}

const of = {
  cluster: (statistic: string) => `${statistic.toLowerCase()} of all members`,
  eachMember: (statistic: string) => `${statistic.toLowerCase()} of each member, one alarm each`,
  acrossMembers: (statistic: string) => `${statistic.toLowerCase()} of the member with most`,
} as const;

function condition(alarm: Alarm): string {
  const { metric, scope, statistic, comparison, expected, periodSeconds, periods } = alarm;
  const what = expected === undefined ? `\`${metric}\`` : `\`${metric}\` − ${expected}, absolute`;
  const many = periods === 1 ? "once" : `${periods} times in a row`;
  const words = { "<": "below", ">": "above", ">=": "at least" } as const;
  const condition =
    alarm.unit === "no or yes" ? `not ${figure(alarm)}` : `${words[comparison]} ${figure(alarm)}`;
  return `${what}, ${of[scope](statistic)} in ${duration(periodSeconds)}: ${condition}, ${many}.`;
}

/** One runbook per alarm. */
export function alarmDocs(basis: AlarmBasis = documented): string {
  const rows = alarms(basis);
  const made = rows.flatMap((row) => cloudWatchAlarms(row, basis)).map(({ alarm }) => alarm);
  const watched = made.reduce(
    (sum, { metricQueries }) =>
      sum + (metricQueries?.filter(({ metric }) => metric !== undefined).length ?? 1),
    0,
  );
  return [
    `${basis.size} members with the default settings have ${made.length} alarms on ${watched} metrics:`,
    "",
    ...rows.map(({ key, severity, meaning }) => `- [${key}](#${key}) (${severity}): ${meaning}`),
    ...rows.flatMap((row) => [
      "",
      `#### ${row.key}`,
      "",
      `${row.meaning} (${row.severity})`,
      "",
      `- When: ${condition(row)}`,
      `- Figure: ${row.source}.`,
      `- Do: ${row.action}`,
    ]),
  ].join("\n");
}

/** Prometheus's rules, by the same example. */
export function exampleRules(): string {
  return prometheusRules(documented);
}

/** A page with its list made anew. */
export function withAlarmDocs(page: string): string {
  const [head, rest] = page.split(marks.begin);
  const [, tail] = rest?.split(marks.end) ?? [];
  if (head === undefined || tail === undefined) {
    throw new Error(`the page has no ${marks.begin} … ${marks.end}`);
  }
  return `${head}${marks.begin}\n\n${alarmDocs()}\n\n${marks.end}${tail}`;
}
