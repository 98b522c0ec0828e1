import * as cloudwatch from "@aws-sdk/client-cloudwatch";
import * as ec2 from "@aws-sdk/client-ec2";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import * as iam from "@aws-sdk/client-iam";
import * as kms from "@aws-sdk/client-kms";
import * as route53 from "@aws-sdk/client-route-53";
import * as s3 from "@aws-sdk/client-s3";
import * as sns from "@aws-sdk/client-sns";
import * as ssm from "@aws-sdk/client-ssm";
import type { World } from "../../../lab/world.ts";
import { control, waitFor } from "../../lab/support.ts";

const names = (all: readonly (string | undefined)[] | undefined): string[] =>
  (all ?? []).map((name) => name ?? "").sort();

/** ARNs of the customer's keys. They live on for days after their deletion was asked for; those do not count. */
export async function customerKeys(): Promise<string[]> {
  const client = new kms.KMSClient();
  const { Keys } = await client.send(new kms.ListKeysCommand());
  const described = await Promise.all(
    (Keys ?? []).map(({ KeyId }) => client.send(new kms.DescribeKeyCommand({ KeyId }))),
  );
  return names(
    described
      .map(({ KeyMetadata }) => KeyMetadata)
      .filter((key) => key?.KeyManager === "CUSTOMER" && key.KeyState !== "PendingDeletion")
      .map((key) => key?.Arn),
  );
}

/** Everything that costs money or stands in the way of the next one, by kind. What was there before an example is there after it. */
export async function account(): Promise<Record<string, string[]>> {
  // A lab that has just started has not looked around yet.
  const { value: world } = await waitFor("the lab's first look at the world", 60, async () => {
    const seen = (await control("GET", "world")) as { world?: World };
    return seen.world;
  });
  const iamClient = new iam.IAMClient();
  const compute = new ec2.EC2Client();
  const balancers = new elb.ElasticLoadBalancingV2Client();
  const alarms = await new cloudwatch.CloudWatchClient().send(
    new cloudwatch.DescribeAlarmsCommand(),
  );
  const groups = await compute.send(new ec2.DescribeSecurityGroupsCommand());
  return {
    machines: names(world.machines.map(({ id }) => id)),
    volumes: names(world.disks.map(({ id }) => id)),
    networks: names(world.vpcs.map(({ id }) => id)),
    interfaces: names(world.vpcs.flatMap(({ interfaces }) => interfaces.map(({ id }) => id))),
    addresses: names(
      (await compute.send(new ec2.DescribeAddressesCommand())).Addresses?.map(
        ({ AllocationId }) => AllocationId,
      ),
    ),
    securityGroups: names(groups.SecurityGroups?.map(({ GroupId }) => GroupId)),
    templates: names(
      (await compute.send(new ec2.DescribeLaunchTemplatesCommand())).LaunchTemplates?.map(
        ({ LaunchTemplateName }) => LaunchTemplateName,
      ),
    ),
    balancers: names(
      (await balancers.send(new elb.DescribeLoadBalancersCommand())).LoadBalancers?.map(
        ({ LoadBalancerName }) => LoadBalancerName,
      ),
    ),
    buckets: names(
      (await new s3.S3Client().send(new s3.ListBucketsCommand())).Buckets?.map(({ Name }) => Name),
    ),
    roles: names(
      (await iamClient.send(new iam.ListRolesCommand())).Roles?.map(({ RoleName }) => RoleName),
    ),
    keys: await customerKeys(),
    secrets: names(
      (await new ssm.SSMClient().send(new ssm.DescribeParametersCommand())).Parameters?.map(
        ({ Name }) => Name,
      ),
    ),
    zones: names(
      (
        await new route53.Route53Client().send(new route53.ListHostedZonesCommand())
      ).HostedZones?.map(({ Name }) => Name),
    ),
    topics: names(
      (await new sns.SNSClient().send(new sns.ListTopicsCommand())).Topics?.map(
        ({ TopicArn }) => TopicArn,
      ),
    ),
    alarms: names(alarms.MetricAlarms?.map(({ AlarmName }) => AlarmName)),
  };
}
