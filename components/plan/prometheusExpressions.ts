import { metricNamespace } from "./iamDocuments";

/**
 * What only the agents know reaches Prometheus by its CloudWatch exporter (prometheus/cloudwatch_exporter), which makes
 * `etcdcluster_backup_age_maximum` of the metric `backupAge` in the namespace `EtcdCluster`.
 */

/** The exporter's name for a metric. */
export function exported(metric: string, statistic: string): string {
  const snake = metric.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase();
  return `${metricNamespace.toLowerCase()}_${snake}_${statistic}`;
}

/** Asks for a metric of the cluster as a whole; its absence is as bad. `rest` begins with what closes the function. */
export function told(cluster: string) {
  return (
    aggregate: "max" | "min" | "abs",
    metric: string,
    statistic: string,
    rest: string,
  ): string => {
    // Of the cluster as a whole: the exporter gives what has no such dimension an empty label.
    const series = `${exported(metric, statistic)}{cluster="${cluster}",member=""}`;
    const gap = rest.startsWith(")") ? "" : " ";
    return `${aggregate}(${series}${gap}${rest} or absent(${series})`;
  };
}
