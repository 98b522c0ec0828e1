import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";

import { textOf } from "../../lab/providers/aws/awsResource.ts";
import { aws } from "../../lab/providers/aws/provider.ts";
import type { Values } from "../../lab/providers/shared/value.ts";
import { adminCredentials } from "../../lab/paths.ts";
import { finders } from "../../scripts/operator/lib/find.ts";
import { region, startTestLab, type TestLab } from "./frontSupport.ts";
import { ProviderClient, type Kept } from "./providerClient.ts";

/** Alarms, dashboards and topics against the lab's API: as in providerAwsLab.test.ts, and what the front refuses. */

let lab: TestLab;
let provider: ProviderClient;
before(async () => {
  lab = await startTestLab();
  process.env["AWS_ENDPOINT_URL"] = lab.lab.endpoint;
  // The operator's scripts call AWS with what the shell has.
  process.env["AWS_REGION"] = region;
  process.env["AWS_ACCESS_KEY_ID"] = adminCredentials.accessKeyId;
  process.env["AWS_SECRET_ACCESS_KEY"] = adminCredentials.secretAccessKey;
  provider = await ProviderClient.start(aws, { region });
});
after(async () => {
  provider.stop();
  await lab.stop();
});

const alarm = "aws:cloudwatch/metricAlarm:MetricAlarm";
const dashboard = "aws:cloudwatch/dashboard:Dashboard";
const topic = "aws:sns/topic:Topic";
const subscription = "aws:sns/topicSubscription:TopicSubscription";

/** Creates, and insists that another look finds nothing changed. */
async function make(type: string, args: Values): Promise<Kept> {
  const kept = await provider.create(type, args);
  const read = await provider.read(type, kept);
  assert.deepEqual(read?.inputs, kept.inputs, `${type}: read back`);
  const { changed, details } = await provider.diff(type, kept, args);
  assert.deepEqual([changed, details], [false, {}], `${type}: diff`);
  return kept;
}

async function unmake(type: string, kept: Kept): Promise<void> {
  await provider.delete(type, kept);
  assert.equal(await provider.read(type, kept), undefined, `${type}: gone`);
  await provider.delete(type, kept);
}

/** What recover-state finds of something whose creation was interrupted. */
async function found(type: string, inputs: Values): Promise<string[]> {
  const wanted = { urn: `urn:pulumi:dev::etcd-cluster::${type}::it`, type, inputs };
  return (await finders[type]?.({ wanted, tagged: [], known: new Set() })) ?? [];
}

const common = {
  name: "etcd-m1-member-down",
  alarmDescription: "The member says nothing.",
  comparisonOperator: "LessThanThreshold",
  threshold: 1,
  evaluationPeriods: 10,
  datapointsToAlarm: 10,
  treatMissingData: "breaching",
  tags: { severity: "warning" },
};

const plain = {
  ...common,
  namespace: "EtcdCluster",
  metricName: "healthy",
  dimensions: { Cluster: "etcd", Member: "m1" },
  statistic: "Maximum",
  period: 60,
};

const metric = (member: string) => ({
  id: member,
  returnData: false,
  metric: {
    namespace: "EtcdCluster",
    metricName: "leaderChanges",
    dimensions: { Cluster: "etcd", Member: member },
    stat: "Sum",
    period: 900,
  },
});
const math = {
  ...common,
  name: "etcd-leader-changes",
  evaluationPeriods: 1,
  datapointsToAlarm: 1,
  metricQueries: [
    { id: "result", expression: "MAX([m1, m2])", label: "changes", returnData: true },
    metric("m1"),
    metric("m2"),
  ],
};

void describe("an alarm", () => {
  void test("on a metric: made, read back, changed in place, found, deleted", async () => {
    const action = "arn:aws:sns:eu-central-1:123456789012:alerts";
    const args = { ...plain, alarmActions: [action], okActions: [action] };
    const kept = await make(alarm, args);
    assert.equal(kept.id, plain.name);
    assert.equal(
      kept.state["arn"],
      "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:etcd-m1-member-down",
    );
    const news = { ...args, threshold: 2, tags: { severity: "critical" } };
    const diff = await provider.diff(alarm, kept, news);
    assert.deepEqual(diff.details, { threshold: "UPDATE", "tags.severity": "UPDATE" });
    const changed = await provider.update(alarm, kept, news);
    assert.equal(changed.state["threshold"], 2);
    assert.deepEqual(changed.state["tagsAll"], { severity: "critical" });
    // Actions that were taken away are gone, not forgotten.
    const silent = await provider.update(alarm, changed, { ...plain, threshold: 2 });
    const read = await provider.read(alarm, silent);
    assert.ok(read !== undefined && !("alarmActions" in read.inputs));
    assert.deepEqual(await found(alarm, plain), [plain.name]);
    await unmake(alarm, silent);
    assert.deepEqual(await found(alarm, plain), []);
  });

  void test("on metric math: the order of its queries is no change, what they ask is", async () => {
    const kept = await make(alarm, math);
    const turned = { ...math, metricQueries: math.metricQueries.toReversed() };
    assert.equal((await provider.diff(alarm, kept, turned)).changed, false);
    const fewer = {
      ...math,
      metricQueries: [
        { ...math.metricQueries[0], id: "result", expression: "MAX([m1])" },
        metric("m1"),
      ],
    };
    assert.equal((await provider.diff(alarm, kept, fewer)).changed, true);
    const changed = await provider.update(alarm, kept, fewer);
    assert.deepEqual((await provider.read(alarm, changed))?.inputs, changed.inputs);
    await unmake(alarm, changed);
  });

  void test("another name is another alarm", async () => {
    const kept = await provider.create(alarm, plain);
    const diff = await provider.diff(alarm, kept, { ...plain, name: "etcd-m2-member-down" });
    assert.deepEqual(diff.replaces, ["name"]);
    await provider.delete(alarm, kept);
  });

  void test("a metric and queries at once are refused before AWS is asked", async () => {
    await assert.rejects(
      provider.check(alarm, { ...math, metricName: "healthy" }),
      /"metricQueries": conflicts with metricName/,
    );
    await assert.rejects(provider.check(alarm, common), /one of metricName and metricQueries/);
    await assert.rejects(
      provider.check(alarm, { ...plain, evaluationInterval: 60 }),
      /evaluationInterval is not known to the lab/,
    );
  });

  const refusals: [string, Values, RegExp][] = [
    ["more points than periods", { ...plain, datapointsToAlarm: 11 }, /DatapointsToAlarm/],
    ["a period of 90 s", { ...plain, period: 90 }, /multiple of 60/],
    ["more than a day", { ...plain, evaluationPeriods: 1441, datapointsToAlarm: 1 }, /a day/],
    ["a long text", { ...plain, alarmDescription: "x".repeat(1025) }, /1024/],
    ["missing data as anything", { ...plain, treatMissingData: "bad" }, /TreatMissingData/],
    ["an action without SNS", { ...plain, alarmActions: ["arn:aws:ec2:x"] }, /by SNS only/],
    [
      "eleven metrics",
      {
        ...math,
        metricQueries: [
          { id: "result", expression: "MAX([n1])", returnData: true },
          ...Array.from({ length: 11 }, (_, at) => ({ ...metric("m1"), id: `n${at + 1}` })),
        ],
      },
      /at most 10 metrics/,
    ],
    [
      "two results",
      { ...math, metricQueries: [...math.metricQueries, { ...metric("m3"), returnData: true }] },
      /2 do/,
    ],
    [
      "an id that is none",
      {
        ...math,
        metricQueries: [{ id: "r", expression: "MAX([m9])", returnData: true }, metric("m1")],
      },
      /names m9, which is no id/,
    ],
    [
      "a search",
      { ...math, metricQueries: [{ id: "r", expression: "SEARCH('x')", returnData: true }] },
      /SEARCH/,
    ],
  ];
  for (const [what, args, reason] of refusals) {
    void test(`the front refuses ${what}`, async () => {
      await assert.rejects(provider.create(alarm, args), reason);
    });
  }
});

void describe("a dashboard", () => {
  const widget = {
    ...{ type: "text", x: 0, y: 0, width: 24, height: 2 },
    properties: { markdown: "# etcd" },
  };
  const body = (widgets: unknown[]): string => JSON.stringify({ widgets });

  void test("made, read back, changed in place, found, deleted", async () => {
    const args = { dashboardName: "etcd", dashboardBody: body([widget]) };
    const kept = await make(dashboard, args);
    assert.match(textOf(kept.state, "dashboardArn"), /^arn:aws:cloudwatch::123456789012:dashboard/);
    const news = { ...args, dashboardBody: body([widget, { ...widget, y: 2 }]) };
    const changed = await provider.update(dashboard, kept, news);
    assert.equal(changed.state["dashboardBody"], news.dashboardBody);
    assert.deepEqual(
      (await provider.diff(dashboard, changed, { ...news, dashboardName: "other" })).replaces,
      ["dashboardName"],
    );
    assert.deepEqual(await found(dashboard, args), ["etcd"]);
    await unmake(dashboard, changed);
    assert.deepEqual(await found(dashboard, args), []);
  });

  const refusals: [string, Values, RegExp][] = [
    ["a name with a dot", { dashboardName: "a.b", dashboardBody: body([]) }, /DashboardName/],
    [
      "a widget beside the grid",
      { dashboardName: "a", dashboardBody: body([{ ...widget, x: 1 }]) },
      /not on the grid/,
    ],
    [
      "a graph without metrics",
      { dashboardName: "a", dashboardBody: body([{ ...widget, type: "metric" }]) },
      /up to 500 metrics/,
    ],
  ];
  for (const [what, args, reason] of refusals) {
    void test(`the front refuses ${what}`, async () => {
      await assert.rejects(provider.create(dashboard, args), reason);
    });
  }
});

void test("the program's own alarms and dashboard are what AWS takes, and are read back as they were given", async () => {
  const golden = (name: string): unknown =>
    JSON.parse(readFileSync(new URL(`../unit/plan/golden/${name}`, import.meta.url), "utf8"));
  const alarms = golden("alarms.json") as Values[];
  assert.equal(alarms.length, 19);
  const made: Kept[] = [];
  for (const args of alarms) {
    // Tagged like the program's: moto remembers an alarm's tags beyond its deletion.
    made.push(await make(alarm, { ...args, tags: { severity: "warning" } }));
  }
  const body = JSON.stringify(golden("dashboard.json"));
  const board = await make(dashboard, { dashboardName: "etcd", dashboardBody: body });
  for (const kept of made) await provider.delete(alarm, kept);
  await provider.delete(dashboard, board);
});

void test("a topic with a key and a policy, and who hears of it", async () => {
  const key = await provider.create("aws:kms/key:Key", { description: "k" });
  const statement = {
    ...{ Sid: "AlarmsPublish", Effect: "Allow", Action: "sns:Publish", Resource: "*" },
    Principal: { Service: "cloudwatch.amazonaws.com" },
  };
  const args = {
    name: "etcd-alarms",
    displayName: "etcd",
    kmsMasterKeyId: textOf(key.state, "arn"),
    policy: JSON.stringify({ Version: "2012-10-17", Statement: [statement] }),
    tags: { team: "storage" },
  };
  const kept = await make(topic, args);
  assert.equal(kept.id, "arn:aws:sns:eu-central-1:123456789012:etcd-alarms");
  const news = { ...args, displayName: "other", tags: { team: "other" } };
  const changed = await provider.update(topic, kept, news);
  assert.equal(changed.state["displayName"], "other");
  assert.deepEqual(changed.state["tagsAll"], { team: "other" });
  assert.deepEqual((await provider.diff(topic, changed, { ...news, name: "new" })).replaces, [
    "name",
  ]);
  const wants = { topic: kept.id, protocol: "email", endpoint: "etcd@example.com" };
  assert.deepEqual(await found(subscription, wants), []);
  const heard = await make(subscription, wants);
  const others = { ...wants, endpoint: "other@example.com" };
  assert.deepEqual((await provider.diff(subscription, heard, others)).replaces, ["endpoint"]);
  assert.deepEqual(await found(subscription, wants), [heard.id]);
  assert.deepEqual(await found(topic, args), [kept.id]);
  await unmake(subscription, heard);
  await unmake(topic, changed);
  assert.deepEqual(await found(topic, args), []);
  for (const [what, bad] of [
    ["key", { ...args, kmsMasterKeyId: "0000" }],
    ["Policy", { ...args, policy: "{" }],
    ["Name", { ...args, name: "a.fifo" }],
  ] as const) {
    await assert.rejects(provider.create(topic, bad), new RegExp(what));
  }
  await assert.rejects(
    provider.create(subscription, { ...wants, protocol: "sms", endpoint: "1" }),
    /e-mail only/,
  );
  await provider.delete("aws:kms/key:Key", key);
});
