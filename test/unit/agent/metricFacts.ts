import type { MetricFacts } from "../../../scripts/agent/metrics";

/** What a member that is well, and knows everything, tells CloudWatch. */
export const knownFacts: MetricFacts = {
  ...{ cluster: "etcd", member: "m1", healthy: true, hasLeader: true, isLeader: false },
  ...{ dbBytes: 20_480, inUseBytes: 10_240, quotaBytes: 2 ** 31, noSpace: false, corrupt: false },
  ...{ backupAgeSeconds: 60, drillAgeSeconds: 3600, drillOk: true, certificateDaysLeft: 300 },
  ...{ rosterSeen: 3, rosterExpected: 3, memberCount: 3, clusterIdMismatch: 0 },
  ...{ fsyncP99: 2, commitP99: 5, leaderChanges: 0, generation: 1, phase: "open" },
  wait: undefined,
};
