import type { MetricDatum } from "@aws-sdk/client-cloudwatch";

import { metricNamespace } from "../../components/plan/iamDocuments";
import type { AwsClients } from "./aws";

/**
 * What a member tells CloudWatch about itself every minute: one call, one namespace, dimensions Cluster and Member. What an alarm asks of
 * the cluster as a whole comes a second time without Member: as long as one member speaks, there is an answer.
 */

/** What is to be told. What is not known is not sent: alarms take missing data for bad. */
export interface MetricFacts {
  readonly cluster: string;
  readonly member: string;
  /** The member answers a linearizable read. */
  readonly healthy: boolean;
  readonly hasLeader: boolean;
  readonly isLeader: boolean;
  readonly dbBytes: number | undefined;
  readonly inUseBytes: number | undefined;
  readonly quotaBytes: number;
  readonly noSpace: boolean | undefined;
  readonly corrupt: boolean | undefined;
  /** Of the newest backup of all members; before the first one, since this machine looks for it. */
  readonly backupAgeSeconds: number | undefined;
  /** Since some backup was last restored and found right; before the first time, since this machine looks for it. */
  readonly drillAgeSeconds: number | undefined;
  /** Whether the newest backup passed the last drill; true before the first one. */
  readonly drillOk: boolean | undefined;
  /** Until the first of this machine's certificates ends. */
  readonly certificateDaysLeft: number | undefined;
  /** Members of the roster whose etcd answers, and how many there are. */
  readonly rosterSeen: number;
  readonly rosterExpected: number;
  /** Members in etcd's own list, learners included. */
  readonly memberCount: number | undefined;
  /** Members of the roster that answer as another cluster. */
  readonly clusterIdMismatch: number | undefined;
  /** 99th percentiles since the last time, milliseconds. */
  readonly fsyncP99: number | undefined;
  readonly commitP99: number | undefined;
  /** Leaders that came since the last time. */
  readonly leaderChanges: number | undefined;
  readonly generation: number | undefined;
  readonly phase: "open" | "rollCall" | undefined;
  /** Name of what the agent waits for. */
  readonly wait: string | undefined;
}

/** The record's phase as a number. */
export const phaseNumbers = { open: 0, rollCall: 1 } as const;

/** Metrics that come a second time for the cluster as a whole. */
export const clusterMetrics = [
  "hasLeader",
  "rosterSeen",
  "memberCount",
  "clusterIdMismatch",
  "dbSize",
  "noSpace",
  "corrupt",
  "fsyncP99",
  "commitP99",
  "backupAge",
  "drillAge",
  "drillOk",
  "certificateDaysLeft",
  "unknown",
  "waiting",
] as const;

/** How much a member that is well does not know. One that is not well is reported as such. */
function unknownOf(facts: MetricFacts): number {
  // Waiting for nothing is no ignorance.
  const known = Object.entries(facts).filter(([name]) => name !== "wait");
  return facts.healthy ? known.filter(([, fact]) => fact === undefined).length : 0;
}

/**
 * The data of one call. `waiting` comes a second time with its name as the dimension Wait, and `clusterMetrics` without the dimension
 * Member.
 */
export function metricData(facts: MetricFacts, at: Date): MetricDatum[] {
  const dimensions = [
    { Name: "Cluster", Value: facts.cluster },
    { Name: "Member", Value: facts.member },
  ];
  const datum = (
    name: string,
    unit: MetricDatum["Unit"],
    value: number | boolean | undefined,
  ): MetricDatum[] =>
    value === undefined || !Number.isFinite(Number(value))
      ? []
      : [
          {
            MetricName: name,
            Dimensions: dimensions,
            Timestamp: at,
            Unit: unit,
            Value: Number(value),
          },
        ];
  const names: readonly string[] = clusterMetrics;
  const waiting = datum("waiting", "None", facts.wait !== undefined);
  const own = [
    ...datum("healthy", "None", facts.healthy),
    ...datum("hasLeader", "None", facts.hasLeader),
    ...datum("isLeader", "None", facts.isLeader),
    ...datum("dbSize", "Bytes", facts.dbBytes),
    ...datum("dbInUse", "Bytes", facts.inUseBytes),
    ...datum("quota", "Bytes", facts.quotaBytes),
    ...datum("noSpace", "None", facts.noSpace),
    ...datum("corrupt", "None", facts.corrupt),
    ...datum("backupAge", "Seconds", facts.backupAgeSeconds),
    ...datum("drillAge", "Seconds", facts.drillAgeSeconds),
    ...datum("drillOk", "None", facts.drillOk),
    ...datum("certificateDaysLeft", "Count", facts.certificateDaysLeft),
    ...datum("rosterSeen", "Count", facts.rosterSeen),
    ...datum("rosterExpected", "Count", facts.rosterExpected),
    ...datum("memberCount", "Count", facts.memberCount),
    ...datum("clusterIdMismatch", "Count", facts.clusterIdMismatch),
    ...datum("fsyncP99", "Milliseconds", facts.fsyncP99),
    ...datum("commitP99", "Milliseconds", facts.commitP99),
    ...datum("leaderChanges", "Count", facts.leaderChanges),
    ...datum("unknown", "Count", unknownOf(facts)),
    ...datum("generation", "Count", facts.generation),
    ...datum("phase", "None", facts.phase === undefined ? undefined : phaseNumbers[facts.phase]),
    ...waiting,
  ];
  return [
    ...own,
    ...own
      .filter(({ MetricName }) => names.includes(MetricName ?? ""))
      .map((each) => ({ ...each, Dimensions: [{ Name: "Cluster", Value: facts.cluster }] })),
    ...(facts.wait === undefined
      ? []
      : waiting.map((each) => ({
          ...each,
          Dimensions: [...dimensions, { Name: "Wait", Value: facts.wait }],
        }))),
  ];
}

/** Sends them, in one call. */
export async function publish(clients: AwsClients, facts: MetricFacts): Promise<void> {
  const { PutMetricDataCommand } = await import("./sdkCloudWatch.ts");
  const cloudWatch = await clients.cloudWatch();
  await cloudWatch.send(
    new PutMetricDataCommand({
      Namespace: metricNamespace,
      MetricData: metricData(facts, new Date()),
    }),
  );
}
