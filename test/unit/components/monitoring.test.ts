import { alarms } from "../../../components/plan/alarms";
import { cloudWatchAlarms } from "../../../components/plan/cloudWatchAlarms";
import { dashboard } from "../../../components/plan/dashboard";
import { resolveOptions } from "../../../components/plan/options";
import { prometheusRules } from "../../../components/plan/prometheusRules";
import type { EtcdCluster } from "../../../components";
import { recordCluster } from "../../support/cluster";
import { resolve, type Recording } from "../../support/recordingMocks";

jest.mock("../../../components/machineFiles", () => ({
  ...jest.requireActual<object>("../../../components/machineFiles"),
  agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
}));

const basis = resolveOptions("etcd", { region: "eu-central-1", adminCidrs: [] });
const topicArn = "arn:aws:sns:eu-central-1:123456789012:etcd-alarms";
const types = {
  alarm: "aws:cloudwatch/metricAlarm:MetricAlarm",
  board: "aws:cloudwatch/dashboard:Dashboard",
  topic: "aws:sns/topic:Topic",
  subscription: "aws:sns/topicSubscription:TopicSubscription",
};

let cluster: Recording<EtcdCluster>;
beforeAll(async () => {
  cluster = await recordCluster({ tags: { team: "storage" } });
});

const keyStatements = (recording: Recording<unknown>): string[] => {
  const { inputs } = recording.find("aws:kms/key:Key", "etcd-key");
  const document = JSON.parse(String(inputs["policy"])) as { Statement: { Sid: string }[] };
  return document.Statement.map(({ Sid }) => Sid);
};

describe("monitoring", () => {
  test("every alarm of the table, to the topic when it begins and when it ends", () => {
    for (const row of alarms(basis)) {
      for (const { suffix, alarm } of cloudWatchAlarms(row, basis)) {
        const { inputs } = cluster.find(types.alarm, `etcd-monitoring-${suffix}`);
        expect(inputs).toEqual({
          ...alarm,
          alarmActions: [topicArn],
          okActions: [topicArn],
          tags: { team: "storage", "etcd-cluster:cluster": "etcd", severity: row.severity },
        });
      }
    }
    expect(cluster.all(types.alarm)).toHaveLength(19);
  });

  test("no alarm is born before all members are verified; nothing waits for an alarm", () => {
    for (const { typedDependencies } of cluster.all(types.alarm)) {
      for (const member of ["m1", "m2", "m3"]) {
        expect(typedDependencies).toContain(`command:remote:Command etcd-${member}-verify`);
      }
    }
    const waiting = cluster.resources.filter(
      ({ typedDependencies, type }) =>
        type !== types.board && typedDependencies.some((each) => each.startsWith(types.alarm)),
    );
    expect(waiting).toEqual([]);
  });

  test("a topic of its own: encrypted, for this cluster's alarms alone, by TLS", () => {
    const { inputs } = cluster.find(types.topic, "etcd-monitoring");
    const { policy, ...rest } = inputs;
    expect(rest).toEqual({
      name: "etcd-alarms",
      displayName: "etcd cluster etcd",
      kmsMasterKeyId: "arn:aws:kms:eu-central-1:123456789012:key/0000",
      tags: { team: "storage", "etcd-cluster:cluster": "etcd" },
    });
    expect(JSON.parse(String(policy))).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "AlarmsPublish",
          Effect: "Allow",
          Principal: { Service: "cloudwatch.amazonaws.com" },
          Action: "sns:Publish",
          Resource: topicArn,
          Condition: {
            StringEquals: { "aws:SourceAccount": "123456789012" },
            ArnLike: {
              "aws:SourceArn": "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:etcd-*",
            },
          },
        },
        {
          Sid: "TlsOnly",
          Effect: "Deny",
          Principal: "*",
          Action: "sns:Publish",
          Resource: topicArn,
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        },
      ],
    });
    expect(keyStatements(cluster)).toContain("AlarmsReachTheEncryptedTopic");
    expect(cluster.all(types.subscription)).toEqual([]);
  });

  test("the dashboard shows all alarms", () => {
    const { inputs } = cluster.find(types.board, "etcd-monitoring");
    expect(inputs["dashboardName"]).toBe("etcd");
    const alarmArns = cluster
      .all(types.alarm)
      .map(
        ({ inputs: of }) =>
          `arn:aws:cloudwatch:eu-central-1:123456789012:alarm:${String(of["name"])}`,
      );
    const body = JSON.parse(String(inputs["dashboardBody"])) as {
      widgets: { properties: { alarms?: string[] } }[];
    };
    expect(body.widgets[1]?.properties.alarms?.slice().sort()).toEqual(alarmArns.sort());
    const shown = dashboard({ ...basis, region: "eu-central-1", alarmArns });
    expect(body.widgets.slice(2)).toEqual(JSON.parse(JSON.stringify(shown.widgets.slice(2))));
  });

  test("outputs", async () => {
    const { alarmTopicArn, dashboardUrl, prometheusRules: rules } = cluster.result;
    expect(alarmTopicArn && (await resolve(alarmTopicArn)).value).toBe(topicArn);
    expect(dashboardUrl && (await resolve(dashboardUrl)).value).toBe(
      "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#dashboards/dashboard/etcd",
    );
    expect(rules).toBe(prometheusRules(basis));
  });

  test("an address is subscribed to the cluster's own topic", async () => {
    const recording = await recordCluster({ monitoring: { email: "etcd@example.com" } });
    expect(recording.all(types.subscription).map(({ inputs }) => inputs)).toEqual([
      { topic: topicArn, protocol: "email", endpoint: "etcd@example.com" },
    ]);
  });

  test("an existing topic: none is made, and CloudWatch has no business with the key", async () => {
    const existing = "arn:aws:sns:eu-central-1:123456789012:alerts";
    const recording = await recordCluster({ monitoring: { topicArn: existing } });
    expect(recording.all(types.topic)).toEqual([]);
    for (const { inputs } of recording.all(types.alarm)) {
      expect([inputs["alarmActions"], inputs["okActions"]]).toEqual([[existing], [existing]]);
    }
    expect(keyStatements(recording)).not.toContain("AlarmsReachTheEncryptedTopic");
  });

  test("switched off: nothing of it is made", async () => {
    const recording = await recordCluster({ monitoring: { enabled: false } });
    for (const type of Object.values(types)) {
      expect(recording.all(type)).toEqual([]);
    }
    expect(keyStatements(recording)).not.toContain("AlarmsReachTheEncryptedTopic");
    expect(recording.result.alarmTopicArn).toBeUndefined();
  });
});
