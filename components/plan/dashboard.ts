import { alarms, type AlarmBasis } from "./alarms";
import { memberNames } from "./cloudWatchAlarms";
import { metricNamespace } from "./iamDocuments";
import { quorum } from "./layout";

/** The dashboard: one row of widgets per question that an operator asks, in the order in which they are asked. */

/** What the dashboard shows, beside what alarms depend on. */
export interface DashboardBasis extends AlarmBasis {
  readonly region: string;
  /** ARNs of all alarms. */
  readonly alarmArns: readonly string[];
}

/** A widget, placed. CloudWatch's grid is 24 wide. */
interface Widget {
  readonly type: "text" | "alarm" | "metric";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** One graph. */
interface Graph {
  readonly title: string;
  readonly metric: string;
  readonly stat: "Maximum" | "Minimum" | "Sum";
  /** What one on the axis is, and how many of the metric's units make it. */
  readonly axis: string;
  readonly divisor?: number;
  /** One line for the cluster instead of one per member. */
  readonly ofCluster?: boolean;
  readonly periodSeconds?: number;
  /** The axis' end, for what is only no or yes. */
  readonly most?: number;
  /** Alarms whose thresholds are drawn. */
  readonly alarms?: readonly string[];
  /** Further horizontal lines. */
  readonly lines?: Readonly<Record<string, number>>;
  /** Queries in place of the metric's. */
  readonly queries?: readonly unknown[];
}

interface Question {
  readonly question: string;
  readonly graphs: readonly Graph[];
}

const gibibyte = 2 ** 30;
const yes = { axis: "no or yes", most: 1 } as const;

function questions({ clusterName, size, backendQuotaGiB }: DashboardBasis): Question[] {
  const waits = `SEARCH('{${metricNamespace},Cluster,Member,Wait} MetricName="waiting" Cluster="${clusterName}"', 'Maximum', 60)`;
  return [
    {
      question: "Does it serve?",
      graphs: [
        { title: "Members that answer", metric: "healthy", stat: "Maximum", ...yes },
        { title: "Who leads", metric: "isLeader", stat: "Maximum", ...yes },
        {
          ...{ title: "What agents wait for", metric: "waiting", stat: "Maximum", ...yes },
          queries: [[{ expression: waits, id: "waits", label: "" }]],
        },
      ],
    },
    {
      question: "May another member fail?",
      graphs: [
        {
          ...{ title: "Members seen, by each", metric: "rosterSeen", stat: "Minimum" },
          ...{ axis: "members", most: size, lines: { quorum: quorum(size) } },
        },
        {
          ...{ title: "Members in etcd's list", metric: "memberCount", stat: "Maximum" },
          ...{ axis: "members", lines: { "asked for": size } },
        },
        {
          ...{ title: "Members of another cluster", metric: "clusterIdMismatch", stat: "Maximum" },
          ...{ axis: "members", most: size },
        },
      ],
    },
    {
      question: "Is it fast, and is it quiet?",
      graphs: [
        {
          ...{ title: "Syncing the log, p99", metric: "fsyncP99", stat: "Maximum" },
          ...{ axis: "ms", alarms: ["fsync-slow"] },
        },
        {
          ...{ title: "Committing the database, p99", metric: "commitP99", stat: "Maximum" },
          ...{ axis: "ms", alarms: ["commit-slow"] },
        },
        {
          ...{ title: "Leader changes in 15 minutes", metric: "leaderChanges", stat: "Sum" },
          ...{ axis: "changes", periodSeconds: 900, alarms: ["leader-changes"] },
        },
      ],
    },
    {
      question: "Has it room?",
      graphs: [
        {
          ...{ title: "Database", metric: "dbSize", stat: "Maximum", axis: "GiB" },
          ...{ divisor: gibibyte, alarms: ["db-near-quota"], lines: { quota: backendQuotaGiB } },
        },
        {
          ...{ title: "In use of it", metric: "dbInUse", stat: "Maximum", axis: "GiB" },
          ...{ divisor: gibibyte, lines: { quota: backendQuotaGiB } },
        },
        { title: "NOSPACE is raised", metric: "noSpace", stat: "Maximum", ...yes },
      ],
    },
    {
      question: "Could it be restored?",
      graphs: [
        {
          ...{ title: "Age of the newest backup", metric: "backupAge", stat: "Maximum" },
          ...{ axis: "minutes", divisor: 60, ofCluster: true, alarms: ["backup-old"] },
        },
        {
          ...{ title: "Since a backup was proven", metric: "drillAge", stat: "Maximum" },
          ...{ axis: "hours", divisor: 3600, ofCluster: true, alarms: ["drill-old"] },
        },
        {
          ...{ title: "The newest backup passed its drill", metric: "drillOk", stat: "Minimum" },
          ...{ ...yes, ofCluster: true },
        },
      ],
    },
    {
      question: "What is it, and what comes next?",
      graphs: [
        {
          ...{ title: "Days until a certificate ends", metric: "certificateDaysLeft" },
          ...{ stat: "Minimum", axis: "days", periodSeconds: 3600, alarms: ["certificate-ending"] },
        },
        { title: "Generation of the data", metric: "generation", stat: "Maximum", axis: "" },
        {
          ...{ title: "Facts that a healthy member lacks", metric: "unknown", stat: "Maximum" },
          axis: "facts",
        },
      ],
    },
  ];
}

const graphHeight = 6;

/** The dashboard's body: an object for canonicalJson. */
export function dashboard(basis: DashboardBasis): { readonly widgets: readonly Widget[] } {
  const { clusterName, region, alarmArns } = basis;
  const head = 2 + Math.ceil(alarmArns.length / 8) + 1;
  const rows = questions(basis).flatMap(({ question, graphs }, index): Widget[] => {
    const y = head + index * (graphHeight + 1);
    const width = 24 / graphs.length;
    return [
      text(`## ${question}`, y, 1),
      ...graphs.map((graph, at): Widget => ({
        ...{ type: "metric", x: at * width, y: y + 1, width, height: graphHeight },
        properties: properties(graph, basis),
      })),
    ];
  });
  return {
    widgets: [
      text(
        `# etcd cluster ${clusterName}\nWhat every alarm means, and what to do: \`docs/operations.md\`. What a member waits for, and why: \`make status\`, \`make logs MEMBER=m1\`.`,
        0,
        2,
      ),
      {
        ...{ type: "alarm", x: 0, y: 2, width: 24, height: head - 2 },
        properties: { title: `Alarms in ${region}`, alarms: alarmArns },
      },
      ...rows,
    ],
  };
}

function text(markdown: string, y: number, height: number): Widget {
  const properties = { markdown, background: "transparent" };
  return { type: "text", x: 0, y, width: 24, height, properties };
}

function properties(graph: Graph, basis: DashboardBasis): Readonly<Record<string, unknown>> {
  const { title, stat, axis, most, divisor = 1, periodSeconds = 60 } = graph;
  const table = alarms(basis);
  const thresholds = (graph.alarms ?? []).map((key) => ({
    label: key,
    value: (table.find((alarm) => alarm.key === key)?.threshold ?? 0) / divisor,
    color: "#d62728",
  }));
  const lines = Object.entries(graph.lines ?? {}).map(([label, value]) => ({ label, value }));
  const horizontal = [...thresholds, ...lines];
  return {
    ...{ title, view: "timeSeries", stacked: false, region: basis.region, period: periodSeconds },
    stat,
    metrics: graph.queries ?? series(graph, basis),
    yAxis: {
      left: { min: 0, ...(most === undefined ? {} : { max: most }), label: axis, showUnits: false },
    },
    legend: { position: "bottom" },
    ...(horizontal.length === 0 ? {} : { annotations: { horizontal } }),
  };
}

/** One line per member, or one for the cluster; divided where the metric's own unit is not for people. */
function series({ metric, divisor, ofCluster }: Graph, basis: DashboardBasis): unknown[] {
  const { clusterName, size } = basis;
  const lines =
    ofCluster === true
      ? [{ label: "cluster", dimensions: [] }]
      : memberNames(size).map((member) => ({ label: member, dimensions: ["Member", member] }));
  return lines.flatMap(({ label, dimensions }): unknown[] => {
    const query = [metricNamespace, metric, "Cluster", clusterName, ...dimensions];
    return divisor === undefined
      ? [[...query, { label }]]
      : [
          [{ expression: `raw_${label} / ${divisor}`, id: `line_${label}`, label }],
          [...query, { id: `raw_${label}`, visible: false }],
        ];
  });
}
