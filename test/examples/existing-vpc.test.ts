import assert from "node:assert/strict";
import { CloudWatchClient, DescribeAlarmsCommand } from "@aws-sdk/client-cloudwatch";
import { DescribeVolumesCommand, DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { customerKeys } from "./harness/account.ts";
import { example } from "./harness/example.ts";

/** The cluster stands in the network that it was given, uses the key and the topic that it was given, and made none of its own. */
example("existing-vpc", async (stack) => {
  const outputs = await stack.outputs();
  const members = outputs["members"] as {
    name: string;
    zone: string;
    address: string;
    volumeId: string;
  }[];
  assert.deepEqual(
    members.map(({ name, zone, address }) => [name, zone, address.replace(/\.\d+$/, "")]),
    [
      ["m1", "eu-central-1a", "10.77.16"],
      ["m2", "eu-central-1b", "10.77.17"],
      ["m3", "eu-central-1c", "10.77.18"],
    ],
  );
  const { Vpcs } = await new EC2Client().send(new DescribeVpcsCommand());
  const ours = (Vpcs ?? []).filter(({ IsDefault }) => IsDefault !== true);
  assert.deepEqual(
    ours.map(({ VpcId }) => VpcId),
    [outputs["vpcId"]],
  );

  const { Volumes } = await new EC2Client().send(new DescribeVolumesCommand());
  const encrypted = (Volumes ?? []).filter(({ KmsKeyId }) => KmsKeyId === outputs["keyArn"]);
  const ids = members.map(({ volumeId }) => volumeId);
  assert.deepEqual(
    ids.filter((id) => !encrypted.some(({ VolumeId }) => VolumeId === id)),
    [],
  );
  assert.deepEqual(await customerKeys(), [outputs["keyArn"]]);

  assert.equal(outputs["alarmTopicArn"], outputs["onCallArn"]);
  const { MetricAlarms } = await new CloudWatchClient().send(new DescribeAlarmsCommand());
  const alarms = (MetricAlarms ?? []).filter(({ AlarmName }) => AlarmName?.startsWith("shared-"));
  assert.ok(alarms.length > 10, `${alarms.length} alarms`);
  for (const { AlarmName, AlarmActions } of alarms) {
    assert.deepEqual(AlarmActions, [outputs["onCallArn"]], AlarmName);
  }

  await stack.etcdctl("put", "greeting", "hello");
  assert.equal(await stack.etcdctl("get", "greeting", "--print-value-only"), "hello");
});
