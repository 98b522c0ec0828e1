import { alarms, type AlarmBasis } from "./alarms";

/**
 * The table of alarms as a rules file of Prometheus. etcd's own metrics are scraped from the members' port 2381 as the job `etcd`; what only
 * the agents know comes by Prometheus's CloudWatch exporter.
 */
export function prometheusRules(basis: AlarmBasis): string {
  const rules = alarms(basis).flatMap((alarm) => {
    const minutes = (alarm.periodSeconds * alarm.periods) / 60;
    const name = alarm.key.replace(/(^|-)([a-z])/g, (_, __, letter: string) =>
      letter.toUpperCase(),
    );
    // JSON's texts are YAML's.
    return [
      `      - alert: Etcd${name}`,
      `        expr: ${JSON.stringify(alarm.prometheus)}`,
      // What looks back over its whole period already need not last.
      `        for: ${alarm.scope === "acrossMembers" ? 0 : minutes}m`,
      `        labels:`,
      `          severity: ${alarm.severity}`,
      `          cluster: ${JSON.stringify(basis.clusterName)}`,
      `        annotations:`,
      `          summary: ${JSON.stringify(alarm.meaning)}`,
      `          description: ${JSON.stringify(alarm.action)}`,
      `          runbook: ${JSON.stringify(`docs/operations.md#${alarm.key}`)}`,
    ];
  });
  return [
    "# Made from the table of alarms (components/plan/alarms.ts). Thresholds and labels are those of one cluster: a program gets its own",
    "# cluster's as `cluster.prometheusRules`.",
    "groups:",
    `  - name: ${JSON.stringify(`etcd ${basis.clusterName}`)}`,
    "    rules:",
    ...rules,
    "",
  ].join("\n");
}
