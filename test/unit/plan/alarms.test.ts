import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import { withAlarmDocs } from "../../../components/plan/alarmDocs";
import { alarms, type AlarmBasis } from "../../../components/plan/alarms";
import { cloudWatchAlarms, memberNames } from "../../../components/plan/cloudWatchAlarms";
import { dashboard } from "../../../components/plan/dashboard";
import { resolveOptions } from "../../../components/plan/options";
import { prometheusRules } from "../../../components/plan/prometheusRules";
import { metricData, type MetricFacts } from "../../../scripts/agent/metrics";
import { judge, Recorded, stateAt } from "../../../lab/front/alarmStates";
import { expectGolden } from "../../support/golden";

/** Every alarm over what the agent's own code publishes: it begins for its cause, when it is meant to, and is quiet in health. */

const basisOf = (size: number): AlarmBasis =>
  resolveOptions("etcd", { region: "eu-central-1", size, adminCidrs: [] });
const basis = basisOf(3);
const made = (of: AlarmBasis) =>
  alarms(of).flatMap((row) => cloudWatchAlarms(row, of).map(({ alarm }) => alarm));

/** What a member that is well says at some minute of an ordinary day. */
function wellAt(minute: number, member: string, size: number): MetricFacts {
  return {
    ...{ cluster: "etcd", member, healthy: true, hasLeader: true, isLeader: member === "m1" },
    ...{ dbBytes: 2 ** 30, inUseBytes: 2 ** 29, quotaBytes: 2 ** 31, noSpace: false },
    ...{ corrupt: false, backupAgeSeconds: (minute % 16) * 60, drillOk: true },
    ...{ drillAgeSeconds: ((minute + 1400) % 1445) * 60, certificateDaysLeft: 30 },
    ...{ rosterSeen: size, rosterExpected: size, memberCount: size, clusterIdMismatch: 0 },
    ...{ fsyncP99: 9.9, commitP99: 24.9, leaderChanges: 0, generation: 1, phase: "open" },
    wait: undefined,
  };
}

type Change = (minute: number, member: string) => Partial<MetricFacts> | "silent";

/** Minutes of health before a cause, in which every alarm has all the data it looks at. */
const before = 60;

/** What the members publish, once a minute, each at its own second. The cause begins at minute 0. */
function published(change: Change, minutes: number, size = 3, from = -before): Recorded {
  const recorded = new Recorded();
  for (let minute = from; minute < minutes; minute += 1) {
    memberNames(size).forEach((member, at) => {
      const changes = minute < 0 ? {} : change(minute, member);
      if (changes !== "silent") {
        const facts = { ...wellAt(minute + before, member, size), ...changes };
        recorded.add(metricData(facts, new Date((minute * 60 + 2 + 2 * at) * 1000)));
      }
    });
  }
  return recorded;
}

/** Which alarms were ever raised, and after how many minutes first; and those still raised at the end. */
function raised(recorded: Recorded, minutes: number, of = basis) {
  const first: Record<string, number> = {};
  const last: string[] = [];
  for (const alarm of made(of)) {
    for (let minute = 0; minute < minutes; minute += 1) {
      const state = stateAt(alarm, recorded, (minute + 1) * 60);
      if (state === "ALARM") {
        first[alarm.name] ??= minute + 1;
        if (minute === minutes - 1) {
          last.push(alarm.name);
        }
      }
    }
  }
  return { first, last };
}

const dead = {
  ...{ healthy: false, hasLeader: false, isLeader: false, dbBytes: undefined },
  ...{ inUseBytes: undefined, noSpace: undefined, corrupt: undefined, drillOk: undefined },
  ...{ drillAgeSeconds: undefined, memberCount: undefined, clusterIdMismatch: undefined },
  ...{ fsyncP99: undefined, commitP99: undefined, leaderChanges: undefined },
} as const;
const only =
  (member: string, changes: Partial<MetricFacts>, others: Partial<MetricFacts> = {}): Change =>
  (_, each) =>
    each === member ? changes : others;
const all =
  (changes: Partial<MetricFacts>): Change =>
  () =>
    changes;

describe("CloudWatch's rules, as its user guide tabulates them", () => {
  const points = (text: string) =>
    Array.from(text)
      .reverse()
      .map((each) => (each === "X" ? "breaching" : each === "0" ? "fine" : undefined));
  test.each([
    ["0-X-X", 3, "OK"],
    ["0----", 3, "OK"],
    ["-----", 3, "ALARM"],
    ["0XX-X", 3, "ALARM"],
    ["--X--", 3, "ALARM"],
    ["0-X-X", 2, "ALARM"],
    ["00X0X", 2, "ALARM"],
    ["0-X--", 2, "ALARM"],
    ["----0", 2, "ALARM"],
    ["---X-", 2, "ALARM"],
  ] as const)("%s, %i of 3: %s", (text, datapoints, state) => {
    expect(judge(points(text), 3, datapoints)).toBe(state);
  });
});

describe("quiet in health", () => {
  test.each([1, 3, 5, 7])("a day of %i members: no alarm at any minute", (size) => {
    const minutes = 300;
    const { first } = raised(published(all({}), minutes, size), minutes, basisOf(size));
    expect(first).toEqual({});
  });

  test("right after creation, with a minute of metrics", () => {
    const young: Change = (at) => ({
      ...{ backupAgeSeconds: at * 60, drillAgeSeconds: at * 60 },
      leaderChanges: at === 0 ? 1 : 0,
    });
    const { first } = raised(published(young, 30, 3, 0), 30);
    expect(first).toEqual({});
  });

  const harmless: [string, Change][] = [
    [
      "a machine replaced: silent for four minutes",
      (at, of) => (of !== "m2" ? (at < 4 ? { rosterSeen: 2 } : {}) : at < 4 ? "silent" : {}),
    ],
    [
      "a roll of all members: three leaders in a quarter of an hour",
      (at) => ({ leaderChanges: [1, 7, 13].includes(at) ? 1 : 0 }),
    ],
    [
      "an election under the look of one minute",
      (at) => (at === 3 ? { hasLeader: false, healthy: false } : {}),
    ],
    ["a member added, the next one ten minutes later", (at) => ({ memberCount: at < 10 ? 4 : 3 })],
    ["a wait of fourteen minutes", (at) => (at < 14 ? { wait: "quorum" } : {})],
    [
      "S3 away for half an hour: the last known backup ages",
      (at) => (at < 30 ? { backupAgeSeconds: (14 + at) * 60 } : {}),
    ],
    ["slow syncs for nine minutes", (at) => (at < 9 ? { fsyncP99: 400, commitP99: 400 } : {})],
    ["a NOSPACE that its cure took back", (at) => (at < 6 ? { noSpace: true } : {})],
    ["four fifths of the quota, exactly", all({ dbBytes: Math.floor(0.8 * 2 ** 31) })],
    ["a backup as old as is allowed", all({ backupAgeSeconds: 45 * 60 })],
    ["a proven backup as old as is allowed", all({ drillAgeSeconds: 49 * 3600 })],
  ];
  test.each(harmless)("%s", (_, change) => {
    expect(raised(published(change, 60), 60).first).toEqual({});
  });
});

describe("raised for its cause, and for nothing else", () => {
  const causes: [string, Change, Record<string, number>][] = [
    [
      "a quorum of etcds dead, their agents alive",
      (_, of) =>
        of === "m1"
          ? { healthy: false, hasLeader: false, rosterSeen: 1 }
          : { ...dead, rosterSeen: 1 },
      {
        "etcd-no-leader": 2,
        "etcd-quorum-at-risk": 5,
        "etcd-m1-member-down": 10,
        "etcd-m2-member-down": 10,
        "etcd-m3-member-down": 10,
      },
    ],
    [
      "a machine gone",
      (_, of) => (of === "m2" ? "silent" : { rosterSeen: 2 }),
      { "etcd-quorum-at-risk": 5, "etcd-m2-member-down": 12 },
    ],
    [
      "an etcd dead, its agent alive",
      only("m3", { ...dead, rosterSeen: 2 }, { rosterSeen: 2 }),
      { "etcd-quorum-at-risk": 5, "etcd-m3-member-down": 10 },
    ],
    [
      "leaders that come and go",
      (at) => ({ leaderChanges: at % 3 === 0 ? 1 : 0 }),
      { "etcd-leader-changes": 10 },
    ],
    ["a member too many", all({ memberCount: 4 }), { "etcd-members-unexpected": 26 }],
    ["a member too few", all({ memberCount: 2 }), { "etcd-members-unexpected": 30 }],
    ["two clusters", only("m1", { clusterIdMismatch: 1 }), { "etcd-cluster-id-mismatch": 2 }],
    ["a named wait that lasts", only("m2", { wait: "rollCall" }), { "etcd-waiting": 15 }],
    [
      "an agent that cannot read etcd's metrics",
      only("m2", { fsyncP99: undefined }),
      { "etcd-facts-missing": 15 },
    ],
    ["data that differs", only("m2", { corrupt: true }), { "etcd-corrupt": 1 }],
    [
      "a database near its quota",
      only("m2", { dbBytes: Math.ceil(0.8 * 2 ** 31) }),
      { "etcd-db-near-quota": 6 },
    ],
    ["a quota used up", all({ noSpace: true }), { "etcd-no-space": 10 }],
    ["one slow disk: the log", only("m3", { fsyncP99: 10.1 }), { "etcd-fsync-slow": 10 }],
    ["one slow disk: the database", only("m3", { commitP99: 25.1 }), { "etcd-commit-slow": 10 }],
    [
      "backups that stopped",
      (at) => ({ backupAgeSeconds: (12 + at) * 60 }),
      // Older than 45 minutes from minute 34 on, for five minutes.
      { "etcd-backup-old": 39 },
    ],
    ["a backup that is not right", all({ drillOk: false }), { "etcd-drill-failed": 2 }],
    [
      "no drill for two days and two hours",
      all({ drillAgeSeconds: 50 * 3600 }),
      { "etcd-drill-old": 11 },
    ],
    [
      "a certificate that ends",
      only("m1", { certificateDaysLeft: 29 }),
      { "etcd-certificate-ending": 11 },
    ],
  ];
  test.each(causes)("%s", (_, change, expected) => {
    const minutes = Math.max(20, ...Object.values(expected)) + 1;
    expect(raised(published(change, minutes), minutes).first).toEqual(expected);
  });

  test("every alarm has a cause here", () => {
    const covered = new Set(causes.flatMap(([, , expected]) => Object.keys(expected)));
    expect(
      made(basis)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([...covered].sort());
  });

  test.each(causes)("%s: and over when that is over", (_, change, expected) => {
    const lasts = Math.max(20, ...Object.values(expected));
    const minutes = lasts + 60;
    const ended: Change = (at, of) => (at < lasts ? change(at, of) : {});
    expect(raised(published(ended, minutes), minutes).last).toEqual([]);
  });

  test("silence raises all of them", () => {
    const { last } = raised(
      published(() => "silent", 60),
      60,
    );
    expect(last).toEqual(made(basis).map(({ name }) => name));
  });
});

describe("the table", () => {
  test("CloudWatch's alarms of three members", () => {
    expectGolden(__dirname, "alarms.json", `${JSON.stringify(made(basis), null, 2)}\n`);
  });

  test("one member is no quorum at risk; seven stay below what metric math takes", () => {
    const names = (size: number) => made(basisOf(size)).map(({ name }) => name);
    expect(names(1)).not.toContain("etcd-quorum-at-risk");
    expect(names(7).filter((name) => name.endsWith("member-down"))).toHaveLength(7);
    for (const { metricQueries = [] } of made(basisOf(7))) {
      expect(metricQueries.filter(({ metric }) => metric !== undefined).length).toBeLessThanOrEqual(
        10,
      );
    }
  });

  test("every metric is one that agents publish, with exactly these dimensions", () => {
    const recorded = published(all({}), 1);
    for (const { metricQueries, ...alarm } of made(basis)) {
      const { namespace = "", metricName = "", dimensions = {} } = alarm;
      const metrics = metricQueries?.flatMap(({ metric }) => metric ?? []) ?? [
        { namespace, metricName, dimensions, stat: "", period: 60 },
      ];
      for (const metric of metrics) {
        expect([metric.metricName, recorded.knows(metric)]).toEqual([metric.metricName, true]);
      }
    }
  });

  test("texts and windows stay within CloudWatch's limits, for the longest name", () => {
    const long = { ...basisOf(7), clusterName: "a".repeat(24) };
    for (const alarm of made(long)) {
      expect(alarm.alarmDescription.length).toBeLessThanOrEqual(1024);
      expect(alarm.name.length).toBeLessThanOrEqual(255);
      const period = alarm.period ?? alarm.metricQueries?.[1]?.metric?.period ?? 0;
      expect(alarm.evaluationPeriods * period).toBeLessThanOrEqual(86_400);
    }
  });

  test("docs/operations.md is made from it", () => {
    const page = readFileSync(join(__dirname, "../../../docs/operations.md"), "utf8");
    const lines = (text: string) => text.split("\n").filter((line) => line !== "");
    // Blank lines are prettier's.
    expect(lines(withAlarmDocs(page))).toEqual(lines(page));
    for (const { key } of alarms(basis)) {
      expect(page).toContain(`\n#### ${key}\n`);
    }
  });

  test("and so are the counts above it", () => {
    const page = readFileSync(join(__dirname, "../../../docs/operations.md"), "utf8");
    const said = metricData(wellAt(0, "m1", 3), new Date(0));
    const perCluster = said.filter(({ Dimensions }) => Dimensions?.length === 1).length;
    const perMember = said.length - perCluster;
    expect(page).toContain(`${perMember} metrics per member and ${perCluster} per cluster`);
    expect(page).toContain("have 19 alarms on 21 metrics");
  });
});

describe("the dashboard", () => {
  const alarmArns = made(basis).map(
    ({ name }) => `arn:aws:cloudwatch:eu-central-1:123456789012:alarm:${name}`,
  );
  const board = dashboard({ ...basis, region: "eu-central-1", alarmArns });

  test("its body", () => {
    expectGolden(__dirname, "dashboard.json", `${JSON.stringify(board, null, 2)}\n`);
  });

  test("no widget lies on another, or beside the grid", () => {
    const taken = new Set<string>();
    for (const { x, y, width, height } of board.widgets) {
      expect(x + width).toBeLessThanOrEqual(24);
      for (let column = x; column < x + width; column += 1) {
        for (let row = y; row < y + height; row += 1) {
          expect(taken.has(`${column},${row}`)).toBe(false);
          taken.add(`${column},${row}`);
        }
      }
    }
  });
});

describe("Prometheus's rules", () => {
  interface Rules {
    groups: {
      name: string;
      rules: {
        alert: string;
        expr: string;
        for: string;
        labels: Record<string, string>;
        annotations: Record<string, string>;
      }[];
    }[];
  }
  const text = prometheusRules(basis);

  test("as YAML, one for every row of the table", () => {
    expect(readFileSync(join(__dirname, "../../../docs/prometheus-rules.yml"), "utf8")).toBe(text);
    const { groups } = parse(text) as Rules;
    expect(groups).toHaveLength(1);
    expect(groups[0]?.rules.map(({ annotations }) => annotations["runbook"])).toEqual(
      alarms(basis).map(({ key }) => `docs/operations.md#${key}`),
    );
    for (const rule of groups[0]?.rules ?? []) {
      expect(rule.alert).toMatch(/^Etcd([A-Z][a-z]+)+$/);
      expect(rule.for).toMatch(/^\d+m$/);
      expect(rule.labels["cluster"]).toBe("etcd");
      const balance = Array.from(rule.expr).reduce((open, each) => {
        expect(open).toBeGreaterThanOrEqual(0);
        return each === "(" ? open + 1 : each === ")" ? open - 1 : open;
      }, 0);
      expect(balance).toBe(0);
    }
  });
});
