import { z } from "zod";

/** What of a program's resources is billed: counted from what it registers, so that the page of costs cannot forget one. Pure. */

/** One resource, as the tests' mocks record it. */
export interface Registered {
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/** What a bill is made of. */
export type Counted = Readonly<ReturnType<typeof count>>;

/** Types that cost nothing by themselves. */
const free = [
  "aws:ec2/vpc:Vpc",
  "aws:ec2/subnet:Subnet",
  "aws:ec2/internetGateway:InternetGateway",
  "aws:ec2/routeTable:RouteTable",
  "aws:ec2/route:Route",
  "aws:ec2/routeTableAssociation:RouteTableAssociation",
  "aws:ec2/securityGroup:SecurityGroup",
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  "aws:ec2/networkInterface:NetworkInterface",
  "aws:ec2/keyPair:KeyPair",
  "aws:autoscaling/group:Group",
  "aws:iam/role:Role",
  "aws:iam/rolePolicy:RolePolicy",
  "aws:iam/instanceProfile:InstanceProfile",
  "aws:kms/alias:Alias",
  "aws:lb/targetGroup:TargetGroup",
  "aws:lb/targetGroupAttachment:TargetGroupAttachment",
  "aws:lb/listener:Listener",
  "aws:route53/record:Record",
  "aws:sns/topic:Topic",
  "aws:sns/topicSubscription:TopicSubscription",
  "aws:s3/bucket:Bucket",
  "aws:s3/bucketVersioning:BucketVersioning",
  "aws:s3/bucketPolicy:BucketPolicy",
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  // What is in the bucket is an assumption, not a resource: artifacts, backups.
  "aws:s3/bucketObjectv2:BucketObjectv2",
];

const shapes = {
  template: z.object({
    instanceType: z.string(),
    blockDeviceMappings: z.tuple([z.object({ ebs: z.object({ volumeSize: z.number() }) })]),
  }),
  instance: z.object({
    instanceType: z.string(),
    rootBlockDevice: z.object({ volumeSize: z.number() }),
  }),
  volume: z.object({
    type: z.literal("gp3"),
    size: z.number(),
    iops: z.number(),
    throughput: z.number(),
  }),
  endpoint: z.object({
    vpcEndpointType: z.enum(["Gateway", "Interface"]),
    subnetIds: z.array(z.string()).default([]),
  }),
  // Only standard parameters are free.
  parameter: z.object({ tier: z.undefined().optional() }),
  lifecycle: z.object({
    rules: z.array(
      z.object({
        noncurrentVersionExpiration: z.object({ noncurrentDays: z.number() }).optional(),
        expiration: z.object({ days: z.number().optional() }),
      }),
    ),
  }),
  alarm: z.object({
    metricQueries: z.array(z.looseObject({ metric: z.unknown().optional() })).optional(),
  }),
  any: z.looseObject({}),
} as const;

/**
 * Counts.
 *
 * @throws when there are resources of which nobody said what they cost
 */
export function count(resources: readonly Registered[]) {
  const left = Map.groupBy(
    resources.filter(({ type }) => type.startsWith("aws:") && !free.includes(type)),
    ({ type }) => type,
  );
  const take = <T>(type: string, shape: z.ZodType<T>): T[] => {
    const found = left.get(type) ?? [];
    left.delete(type);
    return found.map(({ inputs }) => shape.parse(inputs));
  };
  const templates = take("aws:ec2/launchTemplate:LaunchTemplate", shapes.template);
  const bastions = take("aws:ec2/instance:Instance", shapes.instance);
  const endpoints = take("aws:ec2/vpcEndpoint:VpcEndpoint", shapes.endpoint);
  const rules = take(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    shapes.lifecycle,
  ).flatMap((each) => each.rules);
  const alarms = take("aws:cloudwatch/metricAlarm:MetricAlarm", shapes.alarm);
  // A group of one for each template.
  const counted = {
    members: templates.map(({ instanceType }) => instanceType),
    bastions: bastions.map(({ instanceType }) => instanceType),
    rootDisksGiB: [
      ...templates.map(({ blockDeviceMappings: [root] }) => root.ebs.volumeSize),
      ...bastions.map(({ rootBlockDevice }) => rootBlockDevice.volumeSize),
    ],
    volumes: take("aws:ebs/volume:Volume", shapes.volume),
    natGateways: take("aws:ec2/natGateway:NatGateway", shapes.any).length,
    publicAddresses: take("aws:ec2/eip:Eip", shapes.any).length,
    endpointZones: endpoints
      .filter(({ vpcEndpointType }) => vpcEndpointType === "Interface")
      .reduce((zones, { subnetIds }) => zones + subnetIds.length, 0),
    balancers: take("aws:lb/loadBalancer:LoadBalancer", shapes.any).length,
    keys: take("aws:kms/key:Key", shapes.any).length,
    parameters: take("aws:ssm/parameter:Parameter", shapes.parameter).length,
    zones: take("aws:route53/zone:Zone", shapes.any).length,
    alarms: alarms.length,
    alarmMetrics: alarms.reduce(
      (metrics, { metricQueries }) =>
        metrics + (metricQueries?.filter(({ metric }) => metric !== undefined).length ?? 1),
      0,
    ),
    dashboards: take("aws:cloudwatch/dashboard:Dashboard", shapes.any).length,
    keepDays: Math.max(0, ...rules.map(({ expiration }) => expiration.days ?? 0)),
    noncurrentDays: Math.max(
      0,
      ...rules.map((rule) => rule.noncurrentVersionExpiration?.noncurrentDays ?? 0),
    ),
  };
  if (left.size > 0) {
    throw new Error(
      `nobody said what these cost: ${[...left.keys()].join(", ")}; count them in scripts/build/costs/count.ts, or name them among what is free`,
    );
  }
  return counted;
}
