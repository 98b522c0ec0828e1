import assert from "node:assert/strict";
import { after, before, describe as group, test } from "node:test";

import {
  DescribeAlarmsCommand,
  PutMetricAlarmCommand,
  PutMetricDataCommand,
  type CloudWatchClient,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";

import { describe, isAbout } from "../../scripts/operator/alarms.ts";
import { clientsOf, startTestLab, type TestLab } from "./frontSupport.ts";

/** Alarms have states in the lab: what was published is looked at through them, by CloudWatch's rules. */

let lab: TestLab;
let cloudWatch: CloudWatchClient;
before(async () => {
  lab = await startTestLab();
  cloudWatch = clientsOf(lab.lab.endpoint).cloudWatch;
});
after(async () => {
  await lab.stop();
});

const Namespace = "EtcdCluster";
const dimensions = (Member?: string) => [
  { Name: "Cluster", Value: "c" },
  ...(Member === undefined ? [] : [{ Name: "Member", Value: Member }]),
];
const common = { EvaluationPeriods: 3, DatapointsToAlarm: 3, TreatMissingData: "breaching" };

/** One value for each of the last minutes, the newest last; undefined where nothing was said. */
async function publish(name: string, member: string | undefined, values: (number | undefined)[]) {
  const thisMinute = Math.floor(Date.now() / 60_000) * 60_000;
  await cloudWatch.send(
    new PutMetricDataCommand({
      Namespace,
      MetricData: values.flatMap((Value, at) =>
        Value === undefined
          ? []
          : {
              MetricName: name,
              Dimensions: dimensions(member),
              Timestamp: new Date(thisMinute - (values.length - at) * 60_000 + 5000),
              Value,
            },
      ),
    }),
  );
}

async function states(): Promise<Record<string, string | undefined>> {
  const { MetricAlarms = [] } = await cloudWatch.send(new DescribeAlarmsCommand({}));
  return Object.fromEntries(
    MetricAlarms.map(({ AlarmName = "", StateValue }) => [AlarmName, StateValue]),
  );
}

test("an alarm's state follows from what was published; silence is bad news", async () => {
  for (const member of ["m1", "m2", "m3"]) {
    await cloudWatch.send(
      new PutMetricAlarmCommand({
        ...{ ...common, AlarmName: `c-${member}-down`, Namespace, MetricName: "healthy" },
        ...{ Dimensions: dimensions(member), Statistic: "Maximum", Period: 60 },
        ...{ ComparisonOperator: "LessThanThreshold", Threshold: 1 },
      }),
    );
  }
  await cloudWatch.send(
    new PutMetricAlarmCommand({
      ...{ ...common, AlarmName: "c-unexpected" },
      ...{ ComparisonOperator: "GreaterThanThreshold", Threshold: 0 },
      Metrics: [
        { Id: "result", Expression: "ABS(found - 3)", ReturnData: true },
        {
          Id: "found",
          ReturnData: false,
          MetricStat: {
            Metric: { Namespace, MetricName: "memberCount", Dimensions: dimensions() },
            Stat: "Maximum",
            Period: 60,
          },
        },
      ],
    }),
  );
  await publish("healthy", "m1", [1, 1, 1, 1, 1, 1]);
  await publish("healthy", "m2", [1, 1, 1, 0, 0, 0]);
  await publish("memberCount", undefined, [3, 3, 4, 3, 3, 3]);
  assert.deepEqual(await states(), {
    "c-m1-down": "OK",
    "c-m2-down": "ALARM",
    "c-m3-down": "ALARM",
    "c-unexpected": "OK",
  });
  await publish("memberCount", undefined, [4, 4, 4]);
  assert.equal((await states())["c-unexpected"], "ALARM");
});

group("the operator's table", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");
  const alarm = (AlarmName: string, StateValue: "OK" | "ALARM", minutes: number): MetricAlarm => ({
    ...{ AlarmName, StateValue, AlarmDescription: `what ${AlarmName} asks for` },
    StateUpdatedTimestamp: new Date(now - minutes * 60_000),
  });

  test("raised ones come first, with what they ask for", () => {
    const all = [alarm("c-a", "OK", 60), alarm("c-b", "ALARM", 5)];
    assert.equal(
      describe("c", all, now),
      [
        "ALARM  STATE  SINCE",
        "b      ALARM  5 min ago",
        "a      OK     60 min ago",
        "",
        "1 of 2 alarms raised:",
        "  c-b: what c-b asks for",
      ].join("\n"),
    );
    assert.match(describe("c", [alarm("c-a", "OK", 1)], now), /none of 1 alarms is raised$/);
  });

  test("another cluster whose name begins alike is not this one", () => {
    const of = (cluster: string) => [{ Name: "Cluster", Value: cluster }];
    assert.equal(isAbout("c", { Dimensions: of("c") }), true);
    assert.equal(isAbout("c", { Dimensions: of("c-2") }), false);
    const stat = { Metric: { Dimensions: of("c") }, Period: 60, Stat: "Maximum" };
    assert.equal(isAbout("c", { Metrics: [{ Id: "found", MetricStat: stat }] }), true);
  });
});
