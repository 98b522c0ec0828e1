import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import {
  CreateAutoScalingGroupCommand,
  DeleteAutoScalingGroupCommand,
  DescribeAutoScalingGroupsCommand,
  DescribeAutoScalingInstancesCommand,
  DescribeScalingActivitiesCommand,
  SetInstanceHealthCommand,
} from "@aws-sdk/client-auto-scaling";
import {
  AttachVolumeCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  DescribeInstancesCommand,
  DescribeVolumesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { ListMetricsCommand, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { DeleteRolePolicyCommand, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand } from "@aws-sdk/client-kms";
import {
  CreateBucketCommand,
  GetObjectTaggingCommand,
  PutObjectTaggingCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { GetParameterCommand, PutParameterCommand } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import type { Reality } from "../../lab/daemon/reality.ts";
import { PaperReality } from "../../lab/daemon/reality.ts";
import type { Observed, World } from "../../lab/world.ts";
import {
  makeInterface,
  makeKeyPair,
  makeRole,
  makeSite,
  makeTemplate,
  makeVolume,
  templateData,
  type Site,
} from "./frontFixtures.ts";
import {
  clientsOf,
  eventually,
  region,
  startTestLab,
  type Clients,
  type TestLab,
} from "./frontSupport.ts";

/** Machines that go off when told to, and take their time to end. */
class FrailReality implements Reality {
  readonly off = new Set<string>();
  /** Rounds in which a machine that shall end is still there. */
  lingering = 0;
  private readonly paper = new PaperReality();

  async apply(world: World): Promise<Observed> {
    const observed = await this.paper.apply(world);
    for (const id of this.off) {
      if (observed.machines[id] !== undefined) observed.machines[id] = { state: "exited" };
    }
    for (const { id, desired } of world.machines) {
      if (desired === "terminated" && this.lingering > 0) {
        this.lingering -= 1;
        observed.machines[id] = { state: "running" };
      }
    }
    return observed;
  }

  destroyAll(): Promise<void> {
    return Promise.resolve();
  }
}

const reality = new FrailReality();
const account = "123456789012";
const bucket = "machines-123456789012-eu-central-1";
let lab: TestLab;
let aws: Clients;
let site: Site;
let face: { id: string; address: string };
let keyArn = "";

/** Statements of the role that the component gives to m1, with the key of this test. */
function ownStatements(...sids: readonly string[]): { Sid: string }[] {
  const text = readFileSync(
    new URL("../unit/plan/golden/member-role.json", import.meta.url),
    "utf8",
  )
    .replace(/arn:aws:kms:[a-z0-9-]+:\d+:key\/0000/g, keyArn)
    .replaceAll("etcd-dev-bucket", bucket);
  const { Statement } = JSON.parse(text) as { Statement: { Sid: string }[] };
  const found = Statement.filter(({ Sid }) => sids.includes(Sid));
  assert.equal(found.length, sids.length);
  return found;
}

before(async () => {
  lab = await startTestLab(reality);
  aws = clientsOf(lab.lab.endpoint);
  site = await makeSite(aws);
  face = await makeInterface(aws, site.subnetA, site.groupId);
  await makeKeyPair(aws, "operator");
  const { KeyMetadata } = await aws.kms.send(new CreateKeyCommand({}));
  keyArn = KeyMetadata?.Arn ?? "";
  await makeRole(aws, "m1", [
    {
      Sid: "OwnSecrets",
      Effect: "Allow",
      Action: "ssm:GetParameter",
      Resource: `arn:aws:ssm:${region}:${account}:parameter/c/m1/*`,
    },
    {
      Sid: "KeyThroughSsm",
      Effect: "Allow",
      Action: "kms:Decrypt",
      Resource: keyArn,
      Condition: { StringEquals: { "kms:ViaService": `ssm.${region}.amazonaws.com` } },
    },
    { Sid: "Look", Effect: "Allow", Action: "ec2:DescribeVolumes", Resource: "*" },
    {
      Sid: "OwnVolume",
      Effect: "Allow",
      Action: "ec2:AttachVolume",
      Resource: [
        `arn:aws:ec2:${region}:${account}:volume/*`,
        `arn:aws:ec2:${region}:${account}:instance/*`,
      ],
      Condition: { StringEquals: { "aws:ResourceTag/member": "m1" } },
    },
    {
      Sid: "Control",
      Effect: "Allow",
      Action: ["s3:GetObject", "s3:PutObject"],
      Resource: `arn:aws:s3:::${bucket}/control/*`,
    },
    {
      Sid: "List",
      Effect: "Allow",
      Action: "s3:ListBucket",
      Resource: `arn:aws:s3:::${bucket}`,
      Condition: { StringLike: { "s3:prefix": "control/*" } },
    },
  ]);
  await aws.s3.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint: region },
    }),
  );
  const template = await makeTemplate(
    aws,
    "m1-template",
    templateData(face.id, {
      KeyName: "operator",
      IamInstanceProfile: { Name: "m1" },
      UserData: Buffer.from("#!/bin/sh\necho hello\n").toString("base64"),
      TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "member", Value: "m1" }] }],
    }),
  );
  await aws.autoscaling.send(
    new CreateAutoScalingGroupCommand({
      AutoScalingGroupName: "g-m1",
      MinSize: 1,
      MaxSize: 1,
      AvailabilityZones: [`${region}a`],
      LaunchTemplate: { LaunchTemplateId: template, Version: "1" },
      Tags: [{ Key: "from-group", Value: "yes", PropagateAtLaunch: true }],
    }),
  );
});
after(() => lab.stop());

/** The group's machine in service, once there is one other than those given, and the daemon knows it. */
async function machine(...not: string[]): Promise<string> {
  const id = await inService(...not);
  await eventually(() => lab.lab.loop.world?.machines.find((one) => one.id === id));
  return id;
}

async function inService(...not: string[]): Promise<string> {
  return eventually(async () => {
    const { AutoScalingInstances = [] } = await aws.autoscaling.send(
      new DescribeAutoScalingInstancesCommand({}),
    );
    return AutoScalingInstances.find(
      ({ InstanceId = "", LifecycleState }) =>
        LifecycleState === "InService" && !not.includes(InstanceId),
    )?.InstanceId;
  });
}

const stateOf = async (InstanceId: string) => {
  const { Reservations } = await aws.ec2.send(
    new DescribeInstancesCommand({ InstanceIds: [InstanceId] }),
  );
  return Reservations?.[0]?.Instances?.[0];
};

/** Asks the metadata service as the router passes a machine's request on. */
function ask(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  from = face.address,
) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asking = request(
      {
        socketPath: lab.sockets.imds,
        method,
        path,
        headers: { "x-forwarded-for": `1.2.3.4, ${from}`, ...headers },
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => {
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(parts).toString() });
        });
      },
    );
    asking.on("error", reject);
    asking.end();
  });
}

async function token(from = face.address): Promise<Record<string, string>> {
  const { status, body } = await ask(
    "PUT",
    "/latest/api/token",
    { "x-aws-ec2-metadata-token-ttl-seconds": "60" },
    from,
  );
  assert.equal(status, 200);
  return { "x-aws-ec2-metadata-token": body };
}

describe("an auto scaling group of one", () => {
  test("launches into its interface with everything the template says", async () => {
    const instance = await stateOf(await machine());
    assert.equal(instance?.NetworkInterfaces?.[0]?.NetworkInterfaceId, face.id);
    assert.equal(instance.PrivateIpAddress, face.address);
    assert.equal(instance.MetadataOptions?.HttpTokens, "required");
    assert.equal(instance.KeyName, "operator");
    const tags: Record<string, string | undefined> = Object.fromEntries(
      (instance.Tags ?? []).map(({ Key = "", Value }) => [Key, Value]),
    );
    assert.equal(tags["member"], "m1");
    assert.equal(tags["from-group"], "yes");
    assert.equal(tags["aws:autoscaling:groupName"], "g-m1");
  });

  test("with an interface: one machine at most, zones and not subnets, the interface's zone", async () => {
    const { AutoScalingGroups } = await aws.autoscaling.send(
      new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: ["g-m1"] }),
    );
    const LaunchTemplateId = AutoScalingGroups?.[0]?.LaunchTemplate?.LaunchTemplateId;
    const create = (more: object) =>
      aws.autoscaling.send(
        new CreateAutoScalingGroupCommand({
          AutoScalingGroupName: "g-no",
          MinSize: 1,
          MaxSize: 1,
          LaunchTemplate: { LaunchTemplateId, Version: "1" },
          AvailabilityZones: [`${region}a`],
          ...more,
        }),
      );
    await assert.rejects(create({ MaxSize: 2 }), { message: /maximum size of 1/ });
    await assert.rejects(create({ VPCZoneIdentifier: site.subnetA }), {
      message: /not VPCZoneIdentifier/,
    });
    await assert.rejects(create({ AvailabilityZones: [`${region}b`] }), {
      message: /is in eu-central-1a/,
    });
    await assert.rejects(create({ AutoScalingGroupName: "a:b" }), { message: /255/ });
    await assert.rejects(create({ HealthCheckType: "EC2", Context: "x" }), { message: /Context/ });
  });

  test("a machine that dies is replaced; the launch is tried again while the interface is still held", async () => {
    const first = await machine();
    reality.lingering = 3;
    reality.off.add(first);
    const second = await machine(first);
    assert.notEqual(second, first);
    assert.equal((await stateOf(first))?.State?.Name, "terminated");
    assert.equal((await stateOf(second))?.PrivateIpAddress, face.address);
    const { Activities = [] } = await aws.autoscaling.send(
      new DescribeScalingActivitiesCommand({ AutoScalingGroupName: "g-m1" }),
    );
    const failed = Activities.find(({ StatusCode }) => StatusCode === "Failed");
    assert.match(failed?.StatusMessage ?? "", /in use/);
    assert.match(Activities[0]?.Description ?? "", new RegExp(`Launching.*${second}`));
  });

  test("an unhealthy and a terminated machine are replaced too", async () => {
    const first = await machine();
    await aws.autoscaling.send(
      new SetInstanceHealthCommand({
        InstanceId: first,
        HealthStatus: "Unhealthy",
        ShouldRespectGracePeriod: false,
      }),
    );
    const second = await machine(first);
    await aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [second] }));
    assert.notEqual(await machine(first, second), second);
  });
});

describe("the metadata service", () => {
  test("asks for a token, bound to its address", async () => {
    await machine();
    assert.equal((await ask("GET", "/latest/meta-data/")).status, 401);
    const own = await token();
    assert.equal((await ask("GET", "/latest/meta-data/instance-id", own)).status, 200);
    const other = await makeInterface(aws, site.subnetA, site.groupId);
    assert.equal(
      (await ask("GET", "/latest/meta-data/instance-id", own, other.address)).status,
      404,
    );
    // The same address in another VPC is another machine's, or nobody's.
    for (const [vpc, status] of [
      [site.vpcId, 200],
      ["vpc-00000000000000000", 404],
    ] as const) {
      const answer = await ask("GET", "/latest/meta-data/instance-id", {
        ...own,
        "x-lab-vpc": vpc,
      });
      assert.equal(answer.status, status, vpc);
    }
    for (const ttl of ["0", "21601", "x"]) {
      const { status } = await ask("PUT", "/latest/api/token", {
        "x-aws-ec2-metadata-token-ttl-seconds": ttl,
      });
      assert.equal(status, 400);
    }
  });

  test("tells what cloud-init asks for", async () => {
    const id = await machine();
    const own = await token();
    const get = async (path: string): Promise<string> => {
      const { status, body } = await ask("GET", path, own);
      assert.equal(status, 200, path);
      return body;
    };
    const root = "/2021-03-23/meta-data";
    assert.equal(await get(`${root}/instance-id`), id);
    assert.equal(await get(`${root}/public-keys/`), "0=operator");
    assert.match(await get(`${root}/public-keys/0/openssh-key`), /^ssh-ed25519 /);
    assert.equal(await get(`${root}/placement/availability-zone`), "eu-central-1a");
    assert.equal(await get("/latest/user-data"), "#!/bin/sh\necho hello\n");
    const macs = await get(`${root}/network/interfaces/macs/`);
    assert.match(macs, /^[0-9a-f:]{17}\/$/);
    assert.equal(await get(`${root}/network/interfaces/macs/${macs}local-ipv4s`), face.address);
    const document = JSON.parse(await get("/latest/dynamic/instance-identity/document")) as Record<
      string,
      string
    >;
    assert.equal(document["instanceId"], id);
    assert.equal(document["region"], region);
    assert.equal((await ask("GET", `${root}/tags/instance`, own)).status, 404);
    assert.equal((await ask("GET", "/latest/nothing", own)).status, 404);
    // Every folder can be walked.
    const walk = async (path: string): Promise<void> => {
      for (const line of (await get(path)).split("\n")) {
        if (line.endsWith("/")) await walk(path + line);
        else if (!line.includes("=")) await get(path + line);
      }
    };
    await walk(`${root}/`);
  });
});

describe("a machine's role", () => {
  async function asMachine(): Promise<Clients> {
    await machine();
    const own = await token();
    const { body } = await ask("GET", "/latest/meta-data/iam/security-credentials/m1", own);
    const made = JSON.parse(body) as {
      AccessKeyId: string;
      SecretAccessKey: string;
      Token: string;
    };
    return clientsOf(lab.lab.endpoint, {
      accessKeyId: made.AccessKeyId,
      secretAccessKey: made.SecretAccessKey,
      sessionToken: made.Token,
    });
  }

  test("is who it is, and reads its own secret only", async () => {
    const self = await asMachine();
    const { Arn } = await self.sts.send(new GetCallerIdentityCommand({}));
    assert.equal(Arn, `arn:aws:sts::${account}:assumed-role/m1/${await machine()}`);
    for (const Name of ["/c/m1/key", "/c/m2/key"]) {
      await aws.ssm.send(
        new PutParameterCommand({ Name, Value: "secret", Type: "SecureString", KeyId: keyArn }),
      );
    }
    const read = (Name: string) =>
      self.ssm.send(new GetParameterCommand({ Name, WithDecryption: true }));
    assert.equal((await read("/c/m1/key")).Parameter?.Value, "secret");
    await assert.rejects(read("/c/m2/key"), {
      name: "AccessDeniedException",
      message:
        /assumed-role\/m1\/i-.* ssm:GetParameter on resource: arn:aws:ssm:.*parameter\/c\/m2\/key/,
    });
    const { KeyMetadata } = await aws.kms.send(new CreateKeyCommand({}));
    await aws.ssm.send(
      new PutParameterCommand({
        Name: "/c/m1/other",
        Value: "x",
        Type: "SecureString",
        KeyId: KeyMetadata?.KeyId,
      }),
    );
    await assert.rejects(read("/c/m1/other"), { message: /kms:Decrypt/ });
  });

  test("attaches its own volume to its own machine, and an encrypted one not without a grant", async () => {
    const self = await asMachine();
    const InstanceId = await machine();
    const attach = (VolumeId: string, Device: string) =>
      self.ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device }));
    const own = await makeVolume(aws, { member: "m1" });
    const foreign = await makeVolume(aws, { member: "m2" });
    await assert.rejects(attach(foreign, "/dev/sdf"), {
      name: "UnauthorizedOperation",
      message: /ec2:AttachVolume on resource: arn:aws:ec2:.*volume\/vol-/,
    });
    await attach(own, "/dev/sdf");
    const { Volumes } = await self.ec2.send(new DescribeVolumesCommand({ VolumeIds: [own] }));
    assert.equal(Volumes?.[0]?.State, "in-use");
    const { VolumeId = "" } = await aws.ec2.send(
      new CreateVolumeCommand({
        AvailabilityZone: `${region}a`,
        Size: 1,
        VolumeType: "gp3",
        Encrypted: true,
        KmsKeyId: keyArn,
      }),
    );
    await aws.ec2.send(
      new CreateTagsCommand({ Resources: [VolumeId], Tags: [{ Key: "member", Value: "m1" }] }),
    );
    await assert.rejects(attach(VolumeId, "/dev/sdg"), { message: /kms:CreateGrant/ });
    await assert.rejects(
      self.ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] })),
      { name: "UnauthorizedOperation" },
    );
    await assert.rejects(
      self.ec2.send(
        new CreateTagsCommand({ Resources: [own], Tags: [{ Key: "member", Value: "m2" }] }),
      ),
      { message: /ec2:CreateTags/ },
    );
  });

  test("creates a volume in place of its own: with its tags, in its zone, of that type, under that key", async () => {
    const self = await asMachine();
    const policy = { RoleName: "m1", PolicyName: "replacement" };
    const Statement = ownStatements(
      ...["CreateReplacementVolume", "TagReplacementVolumeAtCreation"],
      ...["OpenOwnEncryptedVolume", "GrantTheKeyToAttachedVolumes"],
    );
    await aws.iam.send(
      new PutRolePolicyCommand({
        ...policy,
        PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
      }),
    );
    const create = (tags: Record<string, string>, more: object = {}) =>
      self.ec2.send(
        new CreateVolumeCommand({
          ...{ AvailabilityZone: `${region}a`, VolumeType: "gp3", Size: 10, Iops: 3000 },
          ...{ Throughput: 125, Encrypted: true, KmsKeyId: keyArn },
          TagSpecifications: [
            {
              ResourceType: "volume",
              Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
            },
          ],
          ...more,
        }),
      );
    const tags = { "etcd-cluster:cluster": "etcd-dev", "etcd-cluster:member": "m1" };
    const { VolumeId = "" } = await create({ ...tags, Name: "etcd-dev-m1" });
    assert.match(VolumeId, /^vol-[0-9a-f]{17}$/);
    const { KeyMetadata } = await aws.kms.send(new CreateKeyCommand({}));
    const refused: [string, () => Promise<unknown>][] = [
      ["another member's", () => create({ ...tags, "etcd-cluster:member": "m2" })],
      ["nobody's", () => create({ Name: "etcd-dev-m1" })],
      ["in another zone", () => create(tags, { AvailabilityZone: `${region}b` })],
      ["not encrypted", () => create(tags, { Encrypted: false, KmsKeyId: undefined })],
      ["under another key", () => create(tags, { KmsKeyId: KeyMetadata?.Arn })],
    ];
    for (const [what, attempt] of refused) {
      await assert.rejects(attempt(), { name: "UnauthorizedOperation" }, what);
    }
    await aws.iam.send(new DeleteRolePolicyCommand(policy));
  });

  test("lets its own backups expire, by that tag alone, and publishes under one namespace", async () => {
    const self = await asMachine();
    const policy = { RoleName: "m1", PolicyName: "upkeep" };
    const Statement = ownStatements("CreateOnly", "LetOwnOldBackupsExpire", "PublishMetrics");
    await aws.iam.send(
      new PutRolePolicyCommand({
        ...policy,
        PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
      }),
    );
    const put = (Key: string, more: object = {}) =>
      self.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x", ...more }));
    const once = { IfNoneMatch: "*" };
    await put("backups/m1/a.db", once);
    await assert.rejects(put("backups/m1/a.db", once), { name: "PreconditionFailed" });
    await assert.rejects(put("backups/m1/a.db"), { name: "AccessDenied" });
    await assert.rejects(put("backups/m2/a.db", once), { name: "AccessDenied" });
    const tag = (Key: string, tags: Record<string, string>) =>
      self.s3.send(
        new PutObjectTaggingCommand({
          ...{ Bucket: bucket, Key },
          Tagging: { TagSet: Object.entries(tags).map(([name, Value]) => ({ Key: name, Value })) },
        }),
      );
    const expire = { "etcd-cluster:expire": "yes" };
    await tag("backups/m1/a.db", expire);
    const { TagSet } = await aws.s3.send(
      new GetObjectTaggingCommand({ Bucket: bucket, Key: "backups/m1/a.db" }),
    );
    assert.deepEqual(TagSet, [{ Key: "etcd-cluster:expire", Value: "yes" }]);
    const refused: [string, () => Promise<unknown>][] = [
      ["another member's", () => tag("backups/m2/a.db", expire)],
      ["the record", () => tag("control/cluster.json", expire)],
      ["with another value", () => tag("backups/m1/a.db", { "etcd-cluster:expire": "no" })],
      ["with another tag", () => tag("backups/m1/a.db", { ...expire, more: "x" })],
      ["with no tag", () => tag("backups/m1/a.db", {})],
    ];
    for (const [what, attempt] of refused) {
      await assert.rejects(attempt(), { name: "AccessDenied" }, what);
    }
    const publish = (Namespace: string) =>
      self.cloudWatch.send(
        new PutMetricDataCommand({
          Namespace,
          MetricData: [
            {
              MetricName: "healthy",
              Value: 1,
              Dimensions: [
                { Name: "Cluster", Value: "etcd-dev" },
                { Name: "Member", Value: "m1" },
              ],
            },
          ],
        }),
      );
    await publish("EtcdCluster");
    await assert.rejects(publish("AWS/EC2"), { name: /AccessDenied/ });
    const { Metrics } = await aws.cloudWatch.send(
      new ListMetricsCommand({ Namespace: "EtcdCluster" }),
    );
    assert.deepEqual(
      Metrics?.map(({ MetricName }) => MetricName),
      ["healthy"],
    );
    await aws.iam.send(new DeleteRolePolicyCommand(policy));
  });

  test("tells absent from refused only where it may list", async () => {
    const self = await asMachine();
    const get = (Key: string) => self.s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
    await assert.rejects(get("control/cluster.json"), { name: "NoSuchKey" });
    await assert.rejects(get("config/m1/approved"), { name: "AccessDenied" });
    await self.s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: "control/cluster.json", Body: "{}" }),
    );
    const list = (Prefix?: string) =>
      self.s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix }));
    assert.equal((await list("control/")).KeyCount, 1);
    await assert.rejects(list(), { name: "AccessDenied" });
  });

  test("credentials end with their machine", async () => {
    const self = await asMachine();
    const first = await machine();
    reality.off.add(first);
    await machine(first);
    await assert.rejects(self.sts.send(new GetCallerIdentityCommand({})), {
      name: "InvalidClientTokenId",
    });
  });
});

test("a deleted group ends its machine and goes", async () => {
  const last = await machine();
  const remove = (ForceDelete: boolean) =>
    aws.autoscaling.send(
      new DeleteAutoScalingGroupCommand({ AutoScalingGroupName: "g-m1", ForceDelete }),
    );
  await assert.rejects(remove(false), { name: "ResourceInUseFault" });
  await remove(true);
  await eventually(async () => {
    const { AutoScalingGroups = [] } = await aws.autoscaling.send(
      new DescribeAutoScalingGroupsCommand({}),
    );
    return AutoScalingGroups.length === 0 ? true : undefined;
  });
  assert.equal((await stateOf(last))?.State?.Name, "terminated");
});
