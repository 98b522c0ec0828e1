import type { MemberConfig } from "../../components/plan/memberConfig";
import { peerUrlOf } from "./listed";
import type { ClusterRecord } from "./record";

/** How etcd is started: as one of the first of a generation, or into a cluster that exists. */
export type StartAs = "new" | "existing";

/**
 * /etc/etcd/etcd.env: the desired state's settings and the three variables that come from the cluster record. `initial` alone
 * forms a cluster; etcd reads these three only when its data directory is empty.
 */
export function etcdEnvironmentFile(
  config: MemberConfig,
  record: ClusterRecord,
  startAs: StartAs,
): string {
  const names = startAs === "new" ? record.initial : record.roster.map(({ name }) => name);
  const variables: Record<string, string> = {
    ...config.etcd.environment,
    ETCD_INITIAL_CLUSTER: initialCluster(record, names),
    ETCD_INITIAL_CLUSTER_STATE: startAs,
    ETCD_INITIAL_CLUSTER_TOKEN: record.token,
  };
  const lines = Object.entries(variables)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}\n`);
  return ["# Written by etcd-agent; changes here are lost.\n", ...lines].join("");
}

/** Members of the roster as `--initial-cluster` wants them. */
export function initialCluster(record: ClusterRecord, names: readonly string[]): string {
  return names
    .map((name) => {
      const entry = record.roster.find((each) => each.name === name);
      if (entry === undefined) {
        throw new Error(`the cluster record has ${name} among the first, but not in the roster`);
      }
      return `${name}=${peerUrlOf(entry.address)}`;
    })
    .join(",");
}
