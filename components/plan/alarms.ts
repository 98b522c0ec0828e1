import { quorum } from "./layout";
import type { ResolvedMonitoring } from "./monitoring";
import * as prometheus from "./prometheusExpressions";

/**
 * The complete table of alarms. CloudWatch's alarms, the dashboard's lines, Prometheus's rules and the runbooks' list are all made from it.
 *
 * An alarm is about the cluster as a whole wherever that is the question: then it has an answer as long as one member speaks, and one dead
 * machine does not raise all of them. For all of them, nobody saying anything is as bad as bad news.
 */

/** What the table depends on. */
export interface AlarmBasis {
  readonly clusterName: string;
  readonly size: number;
  readonly backendQuotaGiB: number;
  readonly monitoring: ResolvedMonitoring;
}

/** How soon somebody must look. */
export const Severity = {
  /** Now: requests fail or data is in danger, or the next failure does that. */
  critical: "critical",
  /** Today. */
  warning: "warning",
} as const;
/** How soon somebody must look. */
export type Severity = (typeof Severity)[keyof typeof Severity];

/** What a metric is a statement about. `eachMember` is one alarm per member; `acrossMembers` the largest of the members' values. */
export type Scope = "cluster" | "eachMember" | "acrossMembers";

/** One alarm. */
export interface Alarm {
  /** Part of its name, and its heading in docs/operations.md. */
  readonly key: string;
  readonly severity: Severity;
  /** What it means. */
  readonly meaning: string;
  /** What to do. */
  readonly action: string;
  /** As the agent publishes it. */
  readonly metric: string;
  readonly scope: Scope;
  readonly statistic: "Maximum" | "Minimum" | "Sum";
  /** The metric is compared by how far it is from this. */
  readonly expected?: number;
  readonly comparison: "<" | ">" | ">=";
  readonly threshold: number;
  readonly unit: string;
  /** Where the figure comes from. */
  readonly source: string;
  readonly periodSeconds: number;
  /** So many periods in a row. */
  readonly periods: number;
  /** The same question to Prometheus. */
  readonly prometheus: string;
}

const minute = 60;
const mixin = (name: string): string => `etcd's mixin, ${name}`;

/** The table, for one cluster. */
export function alarms(basis: AlarmBasis): Alarm[] {
  return [
    ...quorumAlarms(basis),
    ...memberAlarms(basis),
    ...diskAlarms(basis),
    ...copyAlarms(basis),
  ];
}

function quorumAlarms({ clusterName, size }: AlarmBasis): Alarm[] {
  const told = prometheus.told(clusterName);
  return [
    {
      key: "no-leader",
      severity: Severity.critical,
      meaning: "No member knows a leader: nothing is written, and only stale reads are answered.",
      action:
        "`make status` says what every member waits for. With a quorum of machines alive it passes within seconds; without one the cluster begins a roll call by itself after `recovery.quorumLossSeconds`.",
      ...{ metric: "hasLeader", scope: "cluster", statistic: "Maximum", comparison: "<" },
      ...{ threshold: 1, unit: "no or yes", periodSeconds: minute, periods: 2 },
      source: `${mixin("etcdNoLeader")}: after 1 minute; one look a minute, so two`,
      prometheus:
        'max(etcd_server_has_leader{job="etcd"}) < 1 or absent(etcd_server_has_leader{job="etcd"})',
    },
    ...(size === 1
      ? []
      : [
          {
            key: "quorum-at-risk",
            severity: Severity.critical,
            meaning: `At most ${quorum(size)} of ${size} members answer: one more that fails, and nothing is written.`,
            action:
              "See why the silent members are silent (`member-down`), and start nothing that stops another one: no `pulumi up`, no reboot.",
            ...{ metric: "rosterSeen", scope: "cluster", statistic: "Maximum", comparison: "<" },
            ...{ threshold: quorum(size) + 1, unit: "members", periodSeconds: minute, periods: 5 },
            source: `quorum of ${size} and one; 5 minutes, because a machine's replacement is shorter`,
            prometheus: `sum(up{job="etcd"}) < ${quorum(size) + 1} or absent(up{job="etcd"})`,
          } satisfies Alarm,
        ]),
    {
      key: "leader-changes",
      severity: Severity.warning,
      meaning: "Leaders come and go: writes stop for an election each time.",
      action:
        "Look at `fsync-slow` and at the processors of the machines first, then at the network between the zones. A roll of all members needs two at most.",
      ...{ metric: "leaderChanges", scope: "acrossMembers", statistic: "Sum", comparison: ">=" },
      ...{ threshold: 4, unit: "in 15 minutes", periodSeconds: 15 * minute, periods: 1 },
      source: `${mixin("etcdHighNumberOfLeaderChanges")}: 4 in 15 minutes`,
      prometheus: 'max(increase(etcd_server_leader_changes_seen_total{job="etcd"}[15m])) >= 4',
    },
    {
      key: "members-unexpected",
      severity: Severity.warning,
      meaning: `etcd's member list has more or fewer than the ${size} members that were asked for.`,
      action:
        'A growing or shrinking that was interrupted: run `pulumi up` again, it goes on where it stopped. A member that nobody knows: remove it with `make etcdctl ARGS="member remove <id>"`.',
      ...{ metric: "memberCount", scope: "cluster", statistic: "Maximum", expected: size },
      ...{ comparison: ">", threshold: 0, unit: "members too many or too few" },
      ...{ periodSeconds: 5 * minute, periods: 6 },
      source: "exactly the size; half an hour, because members come and go one at a time",
      prometheus: told("abs", "memberCount", "maximum", `- ${size}) > 0`),
    },
    {
      key: "cluster-id-mismatch",
      severity: Severity.critical,
      meaning:
        "A member of the roster answers as another cluster: there are two, and clients may be writing to either.",
      action:
        "Stop the clients. `make status` shows both ids; the one in the record (`control/cluster.json`) with the newer generation is the cluster. Stop etcd on the other machine and keep its disk.",
      ...{ metric: "clusterIdMismatch", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0, unit: "members", periodSeconds: minute, periods: 2 },
      source: "none is right; two looks, because a restore exchanges ids",
      prometheus: told("max", "clusterIdMismatch", "maximum", ") > 0"),
    },
  ];
}

function memberAlarms({ clusterName }: AlarmBasis): Alarm[] {
  const told = prometheus.told(clusterName);
  return [
    {
      key: "member-down",
      severity: Severity.warning,
      meaning: "The member says nothing, or does not answer a read that needs a quorum.",
      action:
        "`make status` and `make logs MEMBER=<name>`. A dead machine is replaced by its auto scaling group; look at that group's activities if there is no machine.",
      ...{ metric: "healthy", scope: "eachMember", statistic: "Maximum", comparison: "<" },
      ...{ threshold: 1, unit: "no or yes", periodSeconds: minute, periods: 10 },
      source: `${mixin("etcdMembersDown")}: after 10 minutes`,
      prometheus: 'up{job="etcd"} == 0 or etcd_server_has_leader{job="etcd"} == 0',
    },
    {
      key: "waiting",
      severity: Severity.warning,
      meaning:
        "A member's agent has been waiting for something, refusing or failing for a quarter of an hour.",
      action:
        "The dashboard shows which wait, `make status` what for. docs/membership.md has every wait by name, and what ends it.",
      ...{ metric: "waiting", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0, unit: "no or yes", periodSeconds: minute, periods: 15 },
      source: "own choice: longer than a roll call and a restore with the default settings",
      prometheus: told("max", "waiting", "maximum", ") > 0"),
    },
    {
      key: "facts-missing",
      severity: Severity.warning,
      meaning: "A member that is well cannot find out everything that the other alarms ask.",
      action:
        "`make logs MEMBER=<name>` of the members for which the dashboard shows it: no access to the bucket, or no answer of etcd's metrics listener on port 2381.",
      ...{ metric: "unknown", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0, unit: "facts", periodSeconds: minute, periods: 15 },
      source: "none is right; a quarter of an hour, because S3 may be away for minutes",
      prometheus: told("max", "unknown", "maximum", ") > 0"),
    },
    {
      key: "corrupt",
      severity: Severity.critical,
      meaning: "etcd has raised its CORRUPT alarm: members do not hold the same data.",
      action:
        "Take no backup by hand and move no leader. The agent sets the minority's data aside and lets that member join anew; docs/membership.md says what it does when there is none.",
      ...{ metric: "corrupt", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0, unit: "no or yes", periodSeconds: minute, periods: 1 },
      source: "none is right",
      prometheus: told("max", "corrupt", "maximum", ") > 0"),
    },
  ];
}

function diskAlarms({ clusterName, backendQuotaGiB }: AlarmBasis): Alarm[] {
  const told = prometheus.told(clusterName);
  return [
    {
      key: "db-near-quota",
      severity: Severity.warning,
      meaning: `A member's database fills four fifths of its quota (${backendQuotaGiB} GiB); at all of it, nothing is written.`,
      action:
        "The leader's agent gives back what compaction freed. If what is in use grows, find who writes it, or raise `backendQuotaGiB` (8 at most) and `volumeSizeGiB` with it.",
      ...{ metric: "dbSize", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0.8 * backendQuotaGiB * 2 ** 30, unit: "bytes" },
      ...{ periodSeconds: 5 * minute, periods: 2 },
      source: `own choice, before ${mixin("etcdDatabaseQuotaLowSpace")}: 95 %`,
      prometheus:
        'max(etcd_mvcc_db_total_size_in_bytes{job="etcd"} / etcd_server_quota_backend_bytes{job="etcd"}) > 0.8',
    },
    {
      key: "no-space",
      severity: Severity.critical,
      meaning: "etcd has raised its NOSPACE alarm, and its cure did not help: nothing is written.",
      action:
        "The leader's agent compacts, defragments and takes the alarm back, every five minutes. If everything in the database is in use, raise `backendQuotaGiB`.",
      ...{ metric: "noSpace", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: 0, unit: "no or yes", periodSeconds: minute, periods: 10 },
      source: "two cures (scripts/agent/budget.ts)",
      prometheus: told("max", "noSpace", "maximum", ") > 0"),
    },
    {
      key: "fsync-slow",
      severity: Severity.warning,
      meaning:
        "The slowest member's disk takes too long to sync the log: every write waits for it, and leaders may be lost.",
      action:
        "Compare the members on the dashboard. One: replace its volume. All: raise `volumeIops`, or leave burstable instance types.",
      ...{ metric: "fsyncP99", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{
        threshold: 10,
        unit: "ms, 99th percentile of a minute",
        periodSeconds: minute,
        periods: 10,
      },
      source: `etcd's FAQ: p99 below 10 ms; ${mixin("etcdHighFsyncDurations")}: for 10 minutes`,
      prometheus:
        'max(histogram_quantile(0.99, rate(etcd_disk_wal_fsync_duration_seconds_bucket{job="etcd"}[5m]))) > 0.01',
    },
    {
      key: "commit-slow",
      severity: Severity.warning,
      meaning: "The slowest member's disk takes too long to commit the database.",
      action: "As for `fsync-slow`; large values and large transactions count here too.",
      ...{ metric: "commitP99", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{
        threshold: 25,
        unit: "ms, 99th percentile of a minute",
        periodSeconds: minute,
        periods: 10,
      },
      source: `etcd's FAQ: p99 below 25 ms; ${mixin("etcdHighCommitDurations")}: for 10 minutes`,
      prometheus:
        'max(histogram_quantile(0.99, rate(etcd_disk_backend_commit_duration_seconds_bucket{job="etcd"}[5m]))) > 0.025',
    },
  ];
}

function copyAlarms({ clusterName, monitoring }: AlarmBasis): Alarm[] {
  const told = prometheus.told(clusterName);
  const { backupAgeMinutes, drillAgeHours, certificateDaysLeft } = monitoring;
  const backupAge = backupAgeMinutes * minute;
  const drillAge = drillAgeHours * 60 * minute;
  return [
    {
      key: "backup-old",
      severity: Severity.critical,
      meaning: "The newest backup is older than allowed: that much would be lost with all disks.",
      action:
        '`make logs MEMBER=<leader>`: the leader\'s upkeep says what failed. The bucket, the role and the key are the usual causes. `make etcdctl ARGS="snapshot save <file>"` meanwhile.',
      ...{ metric: "backupAge", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: backupAge, unit: "s", periodSeconds: minute, periods: 5 },
      source: "`monitoring.backupAgeMinutes`; by default two turns and 15 minutes",
      prometheus: told("max", "backupAge", "maximum", `) > ${backupAge}`),
    },
    {
      key: "drill-failed",
      severity: Severity.critical,
      meaning: "The newest backup was restored and is not right.",
      action:
        "`make status` names it, and the newest one that is good. The next drill comes within the hour; if that fails too, take a snapshot by hand and compare the members (`make verify`).",
      ...{ metric: "drillOk", scope: "cluster", statistic: "Minimum", comparison: "<" },
      ...{ threshold: 1, unit: "no or yes", periodSeconds: minute, periods: 2 },
      source: "every backup is right",
      prometheus: told("min", "drillOk", "minimum", ") < 1"),
    },
    {
      key: "drill-old",
      severity: Severity.warning,
      meaning:
        "No backup has been restored and found right for too long: whether there is a usable one is not known.",
      action:
        "`make logs` of the members: the drill falls to the last follower that is well, and says why it was not held (room on the volume, the bucket, no backup).",
      ...{ metric: "drillAge", scope: "cluster", statistic: "Maximum", comparison: ">" },
      ...{ threshold: drillAge, unit: "s", periodSeconds: 5 * minute, periods: 3 },
      source: "`monitoring.drillAgeHours`; by default two turns and an hour",
      prometheus: told("max", "drillAge", "maximum", `) > ${drillAge}`),
    },
    {
      key: "certificate-ending",
      severity: Severity.warning,
      meaning:
        "A certificate on some machine ends soon; when it has ended, members and clients are turned away.",
      action:
        "`pulumi up` renews what ends within `certificateRenewalDays`, without a restart of etcd. If it is an authority, exchange it: docs/operations.md, Certificates.",
      ...{ metric: "certificateDaysLeft", scope: "cluster", statistic: "Minimum", comparison: "<" },
      ...{ threshold: certificateDaysLeft, unit: "days", periodSeconds: 5 * minute, periods: 3 },
      source:
        "`monitoring.certificateDaysLeft`; by default 30, or half of `certificateRenewalDays`",
      prometheus: told("min", "certificateDaysLeft", "minimum", `) < ${certificateDaysLeft}`),
    },
  ];
}
