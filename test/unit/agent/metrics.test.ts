import { metricData, type MetricFacts } from "../../../scripts/agent/metrics";
import { parseCounters, ratesBetween, type EtcdCounters } from "../../../scripts/agent/metricsEtcd";
import { knownFacts as facts } from "./metricFacts";

/** Two bounds are enough to tell how percentiles are made. */
function text(startedAt: number, fsync: readonly number[], leaderChanges: number): string {
  const [first = 0, second = 0, all = 0] = fsync;
  const histogram = (name: string): string =>
    [
      `# TYPE ${name} histogram`,
      `${name}_bucket{le="0.008"} ${first}`,
      `${name}_bucket{le="0.016"} ${second}`,
      `${name}_bucket{le="+Inf"} ${all}`,
      `${name}_sum 1.5`,
      `${name}_count ${all}`,
    ].join("\n");
  return [
    histogram("etcd_disk_wal_fsync_duration_seconds"),
    histogram("etcd_disk_backend_commit_duration_seconds"),
    'etcd_server_leader_changes_seen_total_of_another{a="b"} 9',
    `etcd_server_leader_changes_seen_total ${leaderChanges}`,
    `process_start_time_seconds ${startedAt}`,
    "",
  ].join("\n");
}

const counters = (...args: Parameters<typeof text>): EtcdCounters => parseCounters(text(...args));

describe("etcd's own counts", () => {
  test("are read out of its text", () => {
    expect(counters(1.7e9, [90, 99, 100], 3)).toEqual({
      startedAt: 1.7e9,
      fsync: [
        { upTo: 0.008, count: 90 },
        { upTo: 0.016, count: 99 },
        { upTo: null, count: 100 },
      ],
      commit: [
        { upTo: 0.008, count: 90 },
        { upTo: 0.016, count: 99 },
        { upTo: null, count: 100 },
      ],
      leaderChanges: 3,
    });
  });

  test.each([
    "process_start_time_seconds",
    "etcd_server_leader_changes_seen_total ",
    "etcd_disk_wal_fsync_duration_seconds_bucket",
    "etcd_disk_backend_commit_duration_seconds_bucket",
  ])("without %s they are refused, not taken for none", (name) => {
    const without = text(1, [1, 1, 1], 1)
      .split("\n")
      .filter((line) => !line.startsWith(name))
      .join("\n");
    expect(() => parseCounters(without)).toThrow(
      `etcd's metrics have no ${name.trim().replace("_bucket", "")}`,
    );
  });

  test("what is no number is refused", () => {
    expect(() => parseCounters(text(1, [1, 1, 1], 1).replace(/0\.008"} 1/, '0.008"} x'))).toThrow();
  });

  test("a percentile is of what came in between, spread evenly inside a bucket", () => {
    const before = counters(1, [1000, 1000, 1000], 2);
    // 100 more: 50 below 8 ms, 50 between 8 and 16 ms; the 99th of 100 is 49/50 into the second bucket.
    const now = counters(1, [1050, 1100, 1100], 5);
    const rates = ratesBetween(before, now);
    expect(rates.fsyncP99).toBeCloseTo(8 + 8 * (49 / 50), 9);
    expect(rates.commitP99).toBeCloseTo(8 + 8 * (49 / 50), 9);
    expect(rates.leaderChanges).toBe(3);
  });

  test("an idle minute is not slow, and what is beyond the last bound counts as that bound", () => {
    const before = counters(1, [5, 5, 5], 2);
    expect(ratesBetween(before, before)).toEqual({ fsyncP99: 0, commitP99: 0, leaderChanges: 0 });
    expect(ratesBetween(before, counters(1, [5, 5, 105], 2)).fsyncP99).toBe(16);
  });

  test("a restart begins to count anew; its own first leader is one", () => {
    const before = counters(1, [1000, 1000, 1000], 7);
    const { fsyncP99, leaderChanges } = ratesBetween(before, counters(2, [0, 100, 100], 1));
    expect(fsyncP99).toBeCloseTo(15.92, 9);
    expect(leaderChanges).toBe(1);
  });

  test("the first look knows no times of leader changes", () => {
    expect(ratesBetween(undefined, counters(1, [100, 100, 100], 9))).toEqual({
      fsyncP99: 7.92,
      commitP99: 7.92,
      leaderChanges: 0,
    });
  });
});

/** `name {dimensions} = value`, the metrics' own dimensions without the cluster. */
function said(changes: Partial<MetricFacts> = {}): string[] {
  return metricData({ ...facts, ...changes }, new Date(0)).map(
    ({ MetricName, Dimensions, Value }) => {
      const [cluster, ...rest] = Dimensions ?? [];
      expect(cluster).toEqual({ Name: "Cluster", Value: "etcd" });
      return `${MetricName ?? ""} {${rest.map(({ Value: of }) => of).join()}} = ${Value ?? ""}`;
    },
  );
}

describe("what CloudWatch is told", () => {
  test("of the member, and of the cluster what alarms ask of it as a whole", () => {
    expect(said()).toEqual([
      ...["healthy {m1} = 1", "hasLeader {m1} = 1", "isLeader {m1} = 0", "dbSize {m1} = 20480"],
      ...[
        "dbInUse {m1} = 10240",
        "quota {m1} = 2147483648",
        "noSpace {m1} = 0",
        "corrupt {m1} = 0",
      ],
      ...["backupAge {m1} = 60", "drillAge {m1} = 3600", "drillOk {m1} = 1"],
      ...["certificateDaysLeft {m1} = 300", "rosterSeen {m1} = 3", "rosterExpected {m1} = 3"],
      ...["memberCount {m1} = 3", "clusterIdMismatch {m1} = 0", "fsyncP99 {m1} = 2"],
      ...[
        "commitP99 {m1} = 5",
        "leaderChanges {m1} = 0",
        "unknown {m1} = 0",
        "generation {m1} = 1",
      ],
      ...["phase {m1} = 0", "waiting {m1} = 0", "hasLeader {} = 1", "dbSize {} = 20480"],
      ...["noSpace {} = 0", "corrupt {} = 0", "backupAge {} = 60", "drillAge {} = 3600"],
      ...[
        "drillOk {} = 1",
        "certificateDaysLeft {} = 300",
        "rosterSeen {} = 3",
        "memberCount {} = 3",
      ],
      ...[
        "clusterIdMismatch {} = 0",
        "fsyncP99 {} = 2",
        "commitP99 {} = 5",
        "unknown {} = 0",
        "waiting {} = 0",
      ],
    ]);
  });

  test("what is not known is not said, but that it is not known is", () => {
    const lines = said({ fsyncP99: undefined, backupAgeSeconds: undefined });
    expect(lines.filter((line) => /^(fsyncP99|backupAge)/.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith("unknown"))).toEqual([
      "unknown {m1} = 2",
      "unknown {} = 2",
    ]);
  });

  test("a member that is not well is reported as that, not as one that knows little", () => {
    const lines = said({ healthy: false, dbBytes: undefined, memberCount: undefined });
    expect(lines).toContain("unknown {m1} = 0");
    expect(lines).toContain("healthy {m1} = 0");
  });

  test("a wait has its name", () => {
    const waits = said({ wait: "rollCall" }).filter((line) => line.startsWith("waiting"));
    expect(waits).toEqual(["waiting {m1} = 1", "waiting {} = 1", "waiting {m1,rollCall} = 1"]);
  });
});
