import * as asg from "@aws-sdk/client-auto-scaling";
import * as ec2 from "@aws-sdk/client-ec2";
import * as elb from "@aws-sdk/client-elastic-load-balancing-v2";
import * as iam from "@aws-sdk/client-iam";
import * as kms from "@aws-sdk/client-kms";
import * as route53 from "@aws-sdk/client-route-53";
import * as s3 from "@aws-sdk/client-s3";
import * as ssm from "@aws-sdk/client-ssm";
import type { StateResource } from "./deployment.ts";
import type { Tagged } from "./inventory.ts";
import { monitoringFinders } from "./findMonitoring.ts";
import { clusterTag } from "./inventory.ts";

/** Finds in AWS what a killed Pulumi had begun to create: by its tags where it bears any, else by its name. */

/** What a finder works with. */
export interface Search {
  /** What Pulumi was about to create, with the inputs the program gave it. */
  readonly wanted: StateResource;
  /** Everything in EC2 with the cluster's tag. */
  readonly tagged: readonly Tagged[];
  /** Ids that the state already knows. */
  readonly known: ReadonlySet<string>;
}

/** Ids, as Pulumi's state would have them, of what may be the wanted thing. */
type Finder = (search: Search) => Promise<string[]>;

/** A text among the inputs; empty when it is none. */
export function input({ inputs }: StateResource, key: string): string {
  const value = inputs?.[key];
  return typeof value === "string" ? value : "";
}

/** The tags that a resource was to have. */
export function wantedTags({ inputs }: StateResource): Record<string, string> {
  const tags = inputs?.["tags"];
  return Object.fromEntries(
    Object.entries(typeof tags === "object" && tags !== null ? tags : {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string",
    ),
  );
}

/** Candidates in EC2: of the right kind, unknown to the state, and with all the tags the program gave. */
export function byTags(prefix: string, { wanted, tagged, known }: Search): string[] {
  const tags = Object.entries(wantedTags(wanted));
  if (!tags.some(([key]) => key === clusterTag)) return [];
  return tagged
    .filter(({ id }) => id.startsWith(prefix) && !known.has(id))
    .filter((thing) => tags.every(([key, value]) => thing.tags[key] === value))
    .map(({ id }) => id);
}

const tagsOf =
  (prefix: string): Finder =>
  (search) =>
    Promise.resolve(byTags(prefix, search));

/** A call whose "there is none" is an error. */
async function orNone<T>(names: readonly string[], call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Error && names.includes(error.name)) return undefined;
    throw error;
  }
}

const present = (...ids: readonly (string | undefined)[]): string[] =>
  ids.filter((id): id is string => id !== undefined && id !== "");

/** Types whose creation leaves something behind that must not be made twice. */
export const finders: Readonly<Record<string, Finder>> = {
  "aws:ec2/vpc:Vpc": tagsOf("vpc-"),
  "aws:ec2/subnet:Subnet": tagsOf("subnet-"),
  "aws:ec2/internetGateway:InternetGateway": tagsOf("igw-"),
  "aws:ec2/routeTable:RouteTable": tagsOf("rtb-"),
  "aws:ec2/natGateway:NatGateway": tagsOf("nat-"),
  "aws:ec2/vpcEndpoint:VpcEndpoint": tagsOf("vpce-"),
  "aws:ec2/eip:Eip": tagsOf("eipalloc-"),
  "aws:ec2/networkInterface:NetworkInterface": tagsOf("eni-"),
  "aws:ebs/volume:Volume": tagsOf("vol-"),
  "aws:ec2/instance:Instance": tagsOf("i-"),
  "aws:ec2/securityGroup:SecurityGroup": tagsOf("sg-"),
  "aws:ec2/launchTemplate:LaunchTemplate": async ({ wanted }) => {
    const found = await orNone(
      ["InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound"],
      () =>
        new ec2.EC2Client().send(
          new ec2.DescribeLaunchTemplatesCommand({ LaunchTemplateNames: [input(wanted, "name")] }),
        ),
    );
    return present(found?.LaunchTemplates?.[0]?.LaunchTemplateId);
  },
  "aws:ec2/keyPair:KeyPair": async ({ wanted }) => {
    const found = await orNone(["InvalidKeyPair.NotFound"], () =>
      new ec2.EC2Client().send(
        new ec2.DescribeKeyPairsCommand({ KeyNames: [input(wanted, "keyName")] }),
      ),
    );
    return present(found?.KeyPairs?.[0]?.KeyName);
  },
  "aws:iam/role:Role": async ({ wanted }) => {
    const found = await orNone(["NoSuchEntityException", "NoSuchEntity"], () =>
      new iam.IAMClient().send(new iam.GetRoleCommand({ RoleName: input(wanted, "name") })),
    );
    return present(found?.Role?.RoleName);
  },
  "aws:iam/instanceProfile:InstanceProfile": async ({ wanted }) => {
    const name = input(wanted, "name");
    const found = await orNone(["NoSuchEntityException", "NoSuchEntity"], () =>
      new iam.IAMClient().send(new iam.GetInstanceProfileCommand({ InstanceProfileName: name })),
    );
    return present(found?.InstanceProfile?.InstanceProfileName);
  },
  "aws:kms/key:Key": async ({ wanted, known }) => keysOf(wantedTags(wanted)[clusterTag], known),
  "aws:kms/alias:Alias": async ({ wanted }) => {
    const name = input(wanted, "name");
    for await (const page of kms.paginateListAliases({ client: new kms.KMSClient() }, {})) {
      if (page.Aliases?.some(({ AliasName }) => AliasName === name) === true) return [name];
    }
    return [];
  },
  "aws:s3/bucket:Bucket": async ({ wanted }) => {
    const name = input(wanted, "bucket");
    const found = await orNone(["NotFound", "NoSuchBucket"], () =>
      new s3.S3Client().send(new s3.HeadBucketCommand({ Bucket: name })),
    );
    return found === undefined ? [] : [name];
  },
  "aws:ssm/parameter:Parameter": async ({ wanted }) => {
    const name = input(wanted, "name");
    const found = await orNone(["ParameterNotFound"], () =>
      new ssm.SSMClient().send(new ssm.GetParameterCommand({ Name: name, WithDecryption: false })),
    );
    return present(found?.Parameter?.Name);
  },
  "aws:lb/loadBalancer:LoadBalancer": async ({ wanted }) => {
    const found = await orNone(["LoadBalancerNotFoundException", "LoadBalancerNotFound"], () =>
      new elb.ElasticLoadBalancingV2Client().send(
        new elb.DescribeLoadBalancersCommand({ Names: [input(wanted, "name")] }),
      ),
    );
    return present(found?.LoadBalancers?.[0]?.LoadBalancerArn);
  },
  "aws:lb/targetGroup:TargetGroup": async ({ wanted }) => {
    const found = await orNone(["TargetGroupNotFoundException", "TargetGroupNotFound"], () =>
      new elb.ElasticLoadBalancingV2Client().send(
        new elb.DescribeTargetGroupsCommand({ Names: [input(wanted, "name")] }),
      ),
    );
    return present(found?.TargetGroups?.[0]?.TargetGroupArn);
  },
  "aws:lb/listener:Listener": async ({ wanted }) => {
    const found = await new elb.ElasticLoadBalancingV2Client().send(
      new elb.DescribeListenersCommand({ LoadBalancerArn: input(wanted, "loadBalancerArn") }),
    );
    const port = wanted.inputs?.["port"];
    return present(found.Listeners?.find(({ Port }) => Port === port)?.ListenerArn);
  },
  "aws:route53/zone:Zone": async ({ wanted, known }) => {
    const name = `${input(wanted, "name")}.`;
    const found = await new route53.Route53Client().send(
      new route53.ListHostedZonesByNameCommand({ DNSName: name }),
    );
    return (found.HostedZones ?? [])
      .filter((zone) => zone.Name === name && zone.Config?.PrivateZone === true)
      .flatMap(({ Id }) => present(Id?.replace("/hostedzone/", "")))
      .filter((id) => !known.has(id));
  },
  "aws:route53/record:Record": async ({ wanted }) => {
    const [zone, name, type] = ["zoneId", "name", "type"].map((key) => input(wanted, key));
    if (zone === undefined || name === undefined || type === undefined) return [];
    const found = await new route53.Route53Client().send(
      new route53.ListResourceRecordSetsCommand({
        HostedZoneId: zone,
        StartRecordName: name,
        MaxItems: 20,
      }),
    );
    const is = (record: route53.ResourceRecordSet): boolean =>
      record.Name?.replace(/\.$/, "") === name.replace(/\.$/, "") && record.Type === type;
    return found.ResourceRecordSets?.some(is) === true ? [`${zone}_${name}_${type}`] : [];
  },
  "aws:autoscaling/group:Group": async ({ wanted }) => {
    const found = await new asg.AutoScalingClient().send(
      new asg.DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [input(wanted, "name")] }),
    );
    return present(found.AutoScalingGroups?.[0]?.AutoScalingGroupName);
  },
  ...monitoringFinders,
};

/** Keys with the cluster's tag that live and that the state does not know. */
export async function keysOf(
  cluster: string | undefined,
  known: ReadonlySet<string>,
): Promise<string[]> {
  if (cluster === undefined) return [];
  const client = new kms.KMSClient();
  const found: string[] = [];
  for await (const page of kms.paginateListKeys({ client }, {})) {
    for (const { KeyId } of page.Keys ?? []) {
      if (KeyId === undefined || known.has(KeyId)) continue;
      const { KeyMetadata } = await client.send(new kms.DescribeKeyCommand({ KeyId }));
      if (KeyMetadata?.KeyManager !== "CUSTOMER" || KeyMetadata.KeyState !== "Enabled") continue;
      const { Tags } = await client.send(new kms.ListResourceTagsCommand({ KeyId }));
      if (Tags?.some(({ TagKey, TagValue }) => TagKey === clusterTag && TagValue === cluster)) {
        found.push(KeyId);
      }
    }
  }
  return found;
}
