import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  AllocateAddressCommand,
  AssociateAddressCommand,
  AttachVolumeCommand,
  AuthorizeSecurityGroupIngressCommand,
  CreateLaunchTemplateCommand,
  CreateNetworkInterfaceCommand,
  CreateSubnetCommand,
  CreateTagsCommand,
  CreateVolumeCommand,
  DeleteNetworkInterfaceCommand,
  DeleteSecurityGroupCommand,
  DeleteSubnetCommand,
  DeleteVpcCommand,
  DescribeAvailabilityZonesCommand,
  DescribeFleetsCommand,
  DescribeImagesCommand,
  DescribeNetworkInterfacesCommand,
  ReleaseAddressCommand,
  RunInstancesCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import { CreateRoleCommand, DeleteRoleCommand } from "@aws-sdk/client-iam";
import { CreateKeyCommand, DescribeKeyCommand } from "@aws-sdk/client-kms";
import {
  ChangeResourceRecordSetsCommand,
  CreateHostedZoneCommand,
  type ChangeAction,
} from "@aws-sdk/client-route-53";
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { PutParameterCommand } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import { contains, parseCidr } from "../../lab/front/cidr.ts";
import { addresses, adminCredentials } from "../../lab/paths.ts";
import {
  image,
  makeInterface,
  makeRole,
  makeSite,
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

const run = promisify(execFile);
let lab: TestLab;
let aws: Clients;
let site: Site;
const bucket = "front-123456789012-eu-central-1";

before(async () => {
  lab = await startTestLab();
  aws = clientsOf(lab.lab.endpoint);
  site = await makeSite(aws);
  await aws.s3.send(
    new CreateBucketCommand({
      Bucket: bucket,
      CreateBucketConfiguration: { LocationConstraint: region },
    }),
  );
});
after(() => lab.stop());

/** The SDK's error has this name. */
const named = (name: string, words = /./) => ({ name, message: words });

describe("who calls", () => {
  test("the administrator is known", async () => {
    const { Arn, Account } = await aws.sts.send(new GetCallerIdentityCommand({}));
    assert.equal(Arn, "arn:aws:iam::123456789012:user/lab-admin");
    assert.equal(Account, "123456789012");
  });

  test("a wrong secret, an unknown key and a wrong token are refused in each service's own words", async () => {
    const wrong = clientsOf(lab.lab.endpoint, { ...adminCredentials, secretAccessKey: "no" });
    await assert.rejects(
      wrong.sts.send(new GetCallerIdentityCommand({})),
      named("SignatureDoesNotMatch"),
    );
    await assert.rejects(
      wrong.ec2.send(new DescribeAvailabilityZonesCommand({})),
      named("AuthFailure"),
    );
    const stranger = clientsOf(lab.lab.endpoint, {
      accessKeyId: "AKIANOBODY",
      secretAccessKey: "x",
    });
    await assert.rejects(
      stranger.sts.send(new GetCallerIdentityCommand({})),
      named("InvalidClientTokenId"),
    );
    await assert.rejects(
      stranger.s3.send(new GetObjectCommand({ Bucket: bucket, Key: "x" })),
      named("InvalidAccessKeyId"),
    );
    await assert.rejects(
      stranger.ssm.send(new PutParameterCommand({ Name: "/a", Value: "b" })),
      named("UnrecognizedClientException"),
    );
  });

  test("credentials whose time has come are expired, not unknown", async () => {
    const minted = lab.lab.assembly.credentials.mint(
      { kind: "role", roleName: "r", instanceId: "i-1", region },
      new Date(Date.now() - 7 * 3600 * 1000),
    );
    const late = clientsOf(lab.lab.endpoint, minted);
    await assert.rejects(late.sts.send(new GetCallerIdentityCommand({})), named("ExpiredToken"));
    await assert.rejects(
      late.ec2.send(new DescribeAvailabilityZonesCommand({})),
      named("RequestExpired"),
    );
    const tampered = clientsOf(lab.lab.endpoint, { ...minted, sessionToken: "other" });
    await assert.rejects(
      tampered.sts.send(new GetCallerIdentityCommand({})),
      named("InvalidClientTokenId"),
    );
  });

  test("curl signs as well", async () => {
    await aws.s3.send(new PutObjectCommand({ Bucket: bucket, Key: "dir/by curl+", Body: "hello" }));
    const { stdout } = await run("curl", [
      "--silent",
      "--fail",
      "--aws-sigv4",
      `aws:amz:${region}:s3`,
      "--user",
      `${adminCredentials.accessKeyId}:${adminCredentials.secretAccessKey}`,
      `${lab.lab.endpoint}/${bucket}/dir/by%20curl%2B`,
    ]);
    assert.equal(stdout, "hello");
  });

  test("an operation outside the table is refused by name, and recorded", async () => {
    await assert.rejects(
      aws.ec2.send(new DescribeFleetsCommand({})),
      named("LabUnknownOperation", /ec2:DescribeFleets/),
    );
    const entry = lab.lab.assembly.calls.all().at(-1);
    assert.equal(entry?.operation, "DescribeFleets");
    assert.equal(entry.allowed, false);
  });
});

describe("what AWS gives and moto does not", () => {
  test("one image, found as the program looks for it", async () => {
    const { Images } = await aws.ec2.send(
      new DescribeImagesCommand({
        Owners: ["136693071363"],
        Filters: [
          { Name: "name", Values: ["debian-13-amd64-*"] },
          { Name: "architecture", Values: ["x86_64"] },
        ],
      }),
    );
    assert.deepEqual(
      Images?.map(({ ImageId }) => ImageId),
      [image],
    );
  });

  test("addresses: the lowest free one, no reserved and no taken one", async () => {
    const first = await makeInterface(aws, site.subnetB, site.groupId);
    const second = await makeInterface(aws, site.subnetB, site.groupId);
    assert.deepEqual([first.address, second.address], ["10.42.1.4", "10.42.1.5"]);
    const wish = (PrivateIpAddress: string) =>
      aws.ec2.send(new CreateNetworkInterfaceCommand({ SubnetId: site.subnetB, PrivateIpAddress }));
    await assert.rejects(wish("10.42.1.5"), named("InvalidIPAddress.InUse"));
    await assert.rejects(wish("10.42.1.3"), named("InvalidParameterValue", /reserved/));
    await assert.rejects(wish("10.42.9.9"), named("InvalidParameterValue", /does not fall/));
  });

  test("interfaces and a balancer made at the same moment have addresses of their own", async () => {
    const balancer = aws.elb.send(
      new CreateLoadBalancerCommand({
        Name: "simultaneous",
        Type: "network",
        Scheme: "internal",
        Subnets: [site.subnetB],
        SecurityGroups: [site.groupId],
      }),
    );
    const made = Array.from({ length: 8 }, () => makeInterface(aws, site.subnetB, site.groupId));
    await Promise.all([balancer, ...made]);
    const { NetworkInterfaces = [] } = await aws.ec2.send(
      new DescribeNetworkInterfacesCommand({
        Filters: [{ Name: "subnet-id", Values: [site.subnetB] }],
      }),
    );
    const all = NetworkInterfaces.map(({ PrivateIpAddress }) => PrivateIpAddress);
    assert.ok(all.length >= 9, String(all.length));
    assert.equal(new Set(all).size, all.length, all.join(" "));
  });

  test("elastic addresses are of the lab's range and cannot be released in use", async () => {
    const { PublicIp, AllocationId } = await aws.ec2.send(
      new AllocateAddressCommand({ Domain: "vpc" }),
    );
    assert.ok(contains(parseCidr(addresses.elasticIpRange), parseCidr(`${PublicIp ?? ""}/32`)));
    const { id } = await makeInterface(aws, site.subnetA, site.groupId);
    await aws.ec2.send(new AssociateAddressCommand({ AllocationId, NetworkInterfaceId: id }));
    await assert.rejects(
      aws.ec2.send(new ReleaseAddressCommand({ AllocationId })),
      named("InvalidIPAddress.InUse"),
    );
  });

  test("S3 bodies in every form arrive whole, and conditions hold", async () => {
    const put = (Key: string, Body: string | Readable, more = {}) =>
      aws.s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body, ...more }));
    await put("stream", Readable.from([Buffer.from("in "), Buffer.from("chunks")]), {
      ContentLength: 9,
    });
    const { Body } = await aws.s3.send(new GetObjectCommand({ Bucket: bucket, Key: "stream" }));
    assert.equal(await Body?.transformToString(), "in chunks");
    await assert.rejects(put("stream", "x", { IfNoneMatch: "*" }), named("PreconditionFailed"));
    await assert.rejects(
      aws.s3.send(new HeadObjectCommand({ Bucket: bucket, Key: "absent" })),
      named("NotFound"),
    );
  });

  test("of many who create the same object, one wins", async () => {
    const puts = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        aws.s3.send(
          new PutObjectCommand({
            Bucket: bucket,
            Key: "once",
            Body: String(index),
            IfNoneMatch: "*",
          }),
        ),
      ),
    );
    assert.equal(puts.filter(({ status }) => status === "fulfilled").length, 1);
  });

  test("a record that was deleted can be created again, whatever is beside it; one that is there cannot", async () => {
    const { HostedZone } = await aws.route53.send(
      new CreateHostedZoneCommand({
        Name: "again.internal",
        CallerReference: "again",
        VPC: { VPCId: site.vpcId, VPCRegion: region },
      }),
    );
    const change = (Action: ChangeAction, member: string, Value = "10.42.0.9") =>
      aws.route53.send(
        new ChangeResourceRecordSetsCommand({
          HostedZoneId: HostedZone?.Id,
          ChangeBatch: {
            Changes: [
              {
                Action,
                ResourceRecordSet: {
                  Name: `${member}.again.internal`,
                  ...{ Type: "A" as const, TTL: 10, ResourceRecords: [{ Value }] },
                },
              },
            ],
          },
        }),
      );
    await change("CREATE", "m4");
    await change("CREATE", "m5");
    await change("DELETE", "m4");
    await change("CREATE", "m4");
    for (const value of ["10.42.0.9", "10.42.0.10"]) {
      await assert.rejects(
        change("CREATE", "m4", value),
        named("InvalidChangeBatch", /m4\.again\.internal.*already exists/),
      );
    }
    await change("DELETE", "m4");
  });

  test("a disk encrypted without a key has AWS's own, which is nobody's to look after", async () => {
    const volume = { AvailabilityZone: `${region}a`, Size: 1, VolumeType: "gp3" } as const;
    const { KmsKeyId } = await aws.ec2.send(
      new CreateVolumeCommand({ ...volume, Encrypted: true }),
    );
    const { KeyMetadata } = await aws.kms.send(new DescribeKeyCommand({ KeyId: KmsKeyId }));
    assert.equal(KeyMetadata?.KeyManager, "AWS");
    const made = await aws.kms.send(new CreateKeyCommand({}));
    assert.equal(made.KeyMetadata?.KeyManager, "CUSTOMER");
  });

  test("target health is what the balancers see", async () => {
    const { LoadBalancers } = await aws.elb.send(
      new CreateLoadBalancerCommand({
        Name: "front-nlb",
        Type: "network",
        Scheme: "internal",
        Subnets: [site.subnetA, site.subnetB],
        SecurityGroups: [site.groupId],
      }),
    );
    const { TargetGroups } = await aws.elb.send(
      new CreateTargetGroupCommand({
        Name: "front-tg",
        Protocol: "TCP",
        Port: 2379,
        VpcId: site.vpcId,
        TargetType: "ip",
        HealthCheckTimeoutSeconds: 3,
        HealthCheckIntervalSeconds: 5,
      }),
    );
    const TargetGroupArn = TargetGroups?.[0]?.TargetGroupArn;
    await aws.elb.send(
      new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "10.42.1.4" }] }),
    );
    await assert.rejects(
      aws.elb.send(new RegisterTargetsCommand({ TargetGroupArn, Targets: [{ Id: "10.9.1.4" }] })),
      named("InvalidTargetException"),
    );
    // No listener leads to the group, so no balancer has looked yet.
    const { TargetHealthDescriptions } = await aws.elb.send(
      new DescribeTargetHealthCommand({ TargetGroupArn }),
    );
    assert.equal(TargetHealthDescriptions?.[0]?.TargetHealth?.State, "initial");
    await drainsBeforeItIsForgotten(aws.elb, TargetGroupArn, "10.42.1.4");
    const held = await aws.ec2.send(
      new DescribeNetworkInterfacesCommand({
        Filters: [{ Name: "description", Values: ["ELB net/front-nlb/*"] }],
      }),
    );
    assert.equal(held.NetworkInterfaces?.length, 2);
    const LoadBalancerArn = LoadBalancers?.[0]?.LoadBalancerArn;
    const world = await eventually(() =>
      lab.lab.loop.world?.vpcs[0]?.balancers.find((one) => one.addresses.length === 2),
    );
    assert.equal(world.arn, LoadBalancerArn);
    await aws.elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn }));
  });
});

describe("limits that moto lets pass", () => {
  const template = (LaunchTemplateName: string, more: Parameters<typeof templateData>[1]) =>
    aws.ec2.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName,
        LaunchTemplateData: templateData("eni-0", more),
      }),
    );

  test("user data of 16 KiB and a byte", async () => {
    const UserData = Buffer.alloc(16 * 1024 + 1, "x").toString("base64");
    await assert.rejects(template("big", { UserData }), named("InvalidParameterValue", /16384/));
  });

  test("launch templates: name, type, groups twice, unknown parts", async () => {
    await assert.rejects(template("no", {}), { message: /3 to 128/ });
    await assert.rejects(template("strange", { InstanceType: "z9.huge" as "t3.nano" }), {
      message: /z9\.huge/,
    });
    await assert.rejects(
      template("twice", { SecurityGroupIds: [site.groupId] }),
      named("InvalidParameterCombination"),
    );
    await assert.rejects(
      template("spot", { InstanceMarketOptions: { MarketType: "spot" } }),
      named("LabUnknownParameter", /InstanceMarketOptions/),
    );
    await assert.rejects(
      template("open", { MetadataOptions: { HttpEndpoint: "enabled" } }),
      named("InvalidParameterValue", /HttpTokens/),
    );
  });

  test("gp3: size, IOPS and throughput, alone and in proportion", async () => {
    const volume = (more: object) =>
      aws.ec2.send(
        new CreateVolumeCommand({
          AvailabilityZone: `${region}a`,
          VolumeType: "gp3",
          Size: 10,
          ...more,
        }),
      );
    await assert.rejects(volume({ Size: 20_000 }), named("InvalidParameterValue"));
    await assert.rejects(volume({ Iops: 2999 }), named("InvalidParameterValue"));
    await assert.rejects(volume({ Iops: 6000 }), named("InvalidParameterValue", /ratio/));
    await assert.rejects(volume({ Throughput: 1000 }), named("InvalidParameterValue", /ratio/));
    await assert.rejects(volume({ VolumeType: "gp2" }), named("InvalidParameterValue", /gp3/));
    await assert.rejects(volume({ AvailabilityZone: "us-east-1a" }), named("InvalidZone.NotFound"));
    await assert.rejects(volume({ KmsKeyId: "x" }), named("InvalidParameterDependency"));
  });

  test("a security group rule has one peer and ports in order", async () => {
    const rule = (permission: object) =>
      aws.ec2.send(
        new AuthorizeSecurityGroupIngressCommand({
          GroupId: site.groupId,
          IpPermissions: [{ IpProtocol: "tcp", FromPort: 22, ToPort: 22, ...permission }],
        }),
      );
    await assert.rejects(rule({}), named("InvalidParameterValue", /exactly one peer/));
    await assert.rejects(
      rule({ IpRanges: [{ CidrIp: "10.0.0.0/8" }], UserIdGroupPairs: [{ GroupId: site.groupId }] }),
      named("InvalidParameterValue", /exactly one peer/),
    );
    await assert.rejects(
      rule({ FromPort: 23, IpRanges: [{ CidrIp: "10.0.0.0/8" }] }),
      named("InvalidParameterValue", /portRange/),
    );
    await assert.rejects(
      rule({ IpRanges: [{ CidrIp: "10.0.0.1/8" }] }),
      named("InvalidParameterValue"),
    );
  });

  test("names: buckets, roles, balancers, parameters, tags", async () => {
    await assert.rejects(
      aws.s3.send(new CreateBucketCommand({ Bucket: "Bad_Name" })),
      named("InvalidBucketName"),
    );
    const role = (RoleName: string) =>
      aws.iam.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: "{}" }));
    await assert.rejects(role("r".repeat(65)), { message: /less than or equal to 64/ });
    await assert.rejects(role("fine"), { message: /not understood|policy/i });
    const balancer = (Name: string) =>
      aws.elb.send(
        new CreateLoadBalancerCommand({
          Name,
          Type: "network",
          Scheme: "internal",
          Subnets: [site.subnetA],
        }),
      );
    await assert.rejects(balancer("b".repeat(33)), { message: /32/ });
    await assert.rejects(balancer("internal-x"), { message: /internal-/ });
    const parameter = (Name: string, Value = "v") =>
      aws.ssm.send(new PutParameterCommand({ Name, Value, Type: "String" }));
    await assert.rejects(parameter("/aws/x"), named("ValidationException"));
    await assert.rejects(parameter("a/b"), named("ValidationException", /slash/));
    await assert.rejects(parameter("/a", "v".repeat(4097)), named("ValidationException", /4096/));
    const tag = (Key: string) =>
      aws.ec2.send(new CreateTagsCommand({ Resources: [site.vpcId], Tags: [{ Key, Value: "" }] }));
    await assert.rejects(tag("aws:mine"), named("InvalidParameterValue", /reserved/));
    await assert.rejects(tag("k".repeat(129)), named("InvalidParameterValue"));
  });

  test("ranges: subnets within the VPC, without overlap, in a zone of the region", async () => {
    const subnet = (CidrBlock: string, zone = `${region}a`) =>
      aws.ec2.send(
        new CreateSubnetCommand({ VpcId: site.vpcId, CidrBlock, AvailabilityZone: zone }),
      );
    await assert.rejects(subnet("10.43.0.0/24"), named("InvalidSubnet.Range"));
    await assert.rejects(subnet("10.42.0.128/25"), named("InvalidSubnet.Conflict"));
    await assert.rejects(subnet("10.42.8.0/29"), named("InvalidSubnet.Range"));
    await assert.rejects(subnet("10.42.8.0/24", "us-east-1a"), named("InvalidParameterValue"));
  });

  test("what is in use is not deleted", async () => {
    const other = await makeSite(aws, 50);
    const { id } = await makeInterface(aws, other.subnetA, other.groupId);
    await assert.rejects(
      aws.ec2.send(new DeleteSubnetCommand({ SubnetId: other.subnetA })),
      named("DependencyViolation"),
    );
    await assert.rejects(
      aws.ec2.send(new DeleteSecurityGroupCommand({ GroupId: other.groupId })),
      named("DependencyViolation"),
    );
    await assert.rejects(
      aws.ec2.send(new DeleteVpcCommand({ VpcId: other.vpcId })),
      named("DependencyViolation"),
    );
    await aws.ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: id }));
    await aws.ec2.send(new DeleteSubnetCommand({ SubnetId: other.subnetA }));
    await makeRole(aws, "kept", [
      { Effect: "Allow", Action: "s3:ListAllMyBuckets", Resource: "*" },
    ]);
    await assert.rejects(
      aws.iam.send(new DeleteRoleCommand({ RoleName: "kept" })),
      named("DeleteConflictException"),
    );
  });

  test("volumes: same zone, one machine at a time; interfaces: one machine at a time", async () => {
    const { id } = await makeInterface(aws, site.subnetA, site.groupId);
    const launch = () =>
      aws.ec2.send(
        new RunInstancesCommand({
          MinCount: 1,
          MaxCount: 1,
          ImageId: image,
          InstanceType: "t3.micro",
          NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: id }],
        }),
      );
    const { Instances } = await launch();
    const InstanceId = Instances?.[0]?.InstanceId ?? "";
    await assert.rejects(launch(), named("InvalidNetworkInterface.InUse"));
    await assert.rejects(
      aws.ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId: id })),
      named("InvalidParameterValue", /in use/),
    );
    const attach = (VolumeId: string, Device = "/dev/sdf") =>
      aws.ec2.send(new AttachVolumeCommand({ VolumeId, InstanceId, Device }));
    const far = await makeVolume(aws, {}, "b");
    await assert.rejects(attach(far), named("InvalidVolume.ZoneMismatch"));
    const volume = await makeVolume(aws);
    await attach(volume);
    await assert.rejects(attach(volume, "/dev/sdg"), named("VolumeInUse", new RegExp(InstanceId)));
    await assert.rejects(
      attach(await makeVolume(aws)),
      named("InvalidParameterValue", /already in use/),
    );
    await assert.rejects(
      attach(await makeVolume(aws), "/dev/xvda"),
      named("InvalidParameterValue"),
    );
  });

  test("a machine is in its interface's zone, and so is what it can attach", async () => {
    const { id } = await makeInterface(aws, site.subnetB, site.groupId);
    const launch = (more: object) =>
      aws.ec2.send(
        new RunInstancesCommand({
          MinCount: 1,
          MaxCount: 1,
          ImageId: image,
          InstanceType: "t3.micro",
          NetworkInterfaces: [{ DeviceIndex: 0, NetworkInterfaceId: id }],
          ...more,
        }),
      );
    await assert.rejects(
      launch({ Placement: { AvailabilityZone: `${region}a` } }),
      named("InvalidParameterValue", /is in eu-central-1b/),
    );
    const { Instances } = await launch({});
    assert.equal(Instances?.[0]?.Placement?.AvailabilityZone, `${region}b`);
    await aws.ec2.send(
      new AttachVolumeCommand({
        VolumeId: await makeVolume(aws, {}, "b"),
        InstanceId: Instances[0].InstanceId ?? "",
        Device: "/dev/sdf",
      }),
    );
  });

  test("a bucket policy's denial holds for the administrator too", async () => {
    const Policy = JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        {
          Effect: "Deny",
          Principal: "*",
          Action: "s3:PutObject",
          Resource: `arn:aws:s3:::${bucket}/control/*`,
          Condition: { Null: { "s3:if-match": "true", "s3:if-none-match": "true" } },
        },
      ],
    });
    await aws.s3.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }));
    const put = (more: object) =>
      aws.s3.send(new PutObjectCommand({ Bucket: bucket, Key: "control/a", Body: "1", ...more }));
    await assert.rejects(put({}), named("AccessDenied", /explicit deny/));
    await put({ IfNoneMatch: "*" });
    await assert.rejects(put({ IfNoneMatch: "*" }), named("PreconditionFailed"));
  });
});

/** Deregisters a target of a group with a delay of a second, and follows it until it is forgotten; then registers it again. */
async function drainsBeforeItIsForgotten(
  elb: Clients["elb"],
  TargetGroupArn: string | undefined,
  address: string,
): Promise<void> {
  const target = { TargetGroupArn, Targets: [{ Id: address }] };
  const health = async (of: { TargetGroupArn: string | undefined }) =>
    (await elb.send(new DescribeTargetHealthCommand(of))).TargetHealthDescriptions?.map(
      ({ Target, TargetHealth }) => [Target?.Id, TargetHealth?.State, TargetHealth?.Reason],
    );
  await elb.send(
    new ModifyTargetGroupAttributesCommand({
      TargetGroupArn,
      Attributes: [{ Key: "deregistration_delay.timeout_seconds", Value: "1" }],
    }),
  );
  const began = performance.now();
  await elb.send(new DeregisterTargetsCommand(target));
  const draining = [[address, "draining", "Target.DeregistrationInProgress"]];
  assert.deepEqual(await health({ TargetGroupArn }), draining);
  assert.deepEqual(await health(target), draining);
  await eventually(async () =>
    (await health({ TargetGroupArn }))?.length === 0 ? true : undefined,
  );
  assert.ok(performance.now() - began >= 1000, "forgotten before the delay");
  assert.deepEqual(await health(target), [[address, "unused", "Target.NotRegistered"]]);
  await assert.rejects(
    elb.send(new DeregisterTargetsCommand(target)),
    named("InvalidTargetException"),
  );
  // Back while it drains: it drains no more.
  await elb.send(new RegisterTargetsCommand(target));
  await elb.send(new DeregisterTargetsCommand(target));
  await elb.send(new RegisterTargetsCommand(target));
  assert.deepEqual(await health({ TargetGroupArn }), [
    [address, "initial", "Elb.InitialHealthChecking"],
  ]);
}
