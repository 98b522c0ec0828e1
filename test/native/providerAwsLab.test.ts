import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { DetachInternetGatewayCommand } from "@aws-sdk/client-ec2";

import { aws } from "../../lab/providers/aws/provider.ts";
import { Asset, Secret, type Value, type Values } from "../../lab/providers/shared/value.ts";
import { clientsOf, region, startTestLab, type TestLab } from "./frontSupport.ts";
import { halfMade, ProviderClient, type Kept } from "./providerClient.ts";

/** The aws provider against the lab's API: everything that is created is read back, found unchanged, updated, imported, deleted. */

let lab: TestLab;
let provider: ProviderClient;
let folder: string;
before(async () => {
  lab = await startTestLab();
  process.env["AWS_ENDPOINT_URL"] = lab.lab.endpoint;
  provider = await ProviderClient.start(aws, { region });
  folder = mkdtempSync(join(tmpdir(), "etcd-cluster-aws-"));
});
after(async () => {
  provider.stop();
  await lab.stop();
  rmSync(folder, { recursive: true });
});

const type = {
  vpc: "aws:ec2/vpc:Vpc",
  subnet: "aws:ec2/subnet:Subnet",
  gateway: "aws:ec2/internetGateway:InternetGateway",
  table: "aws:ec2/routeTable:RouteTable",
  route: "aws:ec2/route:Route",
  association: "aws:ec2/routeTableAssociation:RouteTableAssociation",
  eip: "aws:ec2/eip:Eip",
  nat: "aws:ec2/natGateway:NatGateway",
  endpoint: "aws:ec2/vpcEndpoint:VpcEndpoint",
  securityGroup: "aws:ec2/securityGroup:SecurityGroup",
  ingress: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  egress: "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
  eni: "aws:ec2/networkInterface:NetworkInterface",
  volume: "aws:ebs/volume:Volume",
  attachment: "aws:ec2/volumeAttachment:VolumeAttachment",
  instance: "aws:ec2/instance:Instance",
  role: "aws:iam/role:Role",
  rolePolicy: "aws:iam/rolePolicy:RolePolicy",
  profile: "aws:iam/instanceProfile:InstanceProfile",
  key: "aws:kms/key:Key",
  alias: "aws:kms/alias:Alias",
  parameter: "aws:ssm/parameter:Parameter",
  bucket: "aws:s3/bucket:Bucket",
  versioning: "aws:s3/bucketVersioning:BucketVersioning",
  publicAccess: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  ownership: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  lifecycle: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  object: "aws:s3/bucketObjectv2:BucketObjectv2",
  zone: "aws:route53/zone:Zone",
  record: "aws:route53/record:Record",
  balancer: "aws:lb/loadBalancer:LoadBalancer",
  targets: "aws:lb/targetGroup:TargetGroup",
  target: "aws:lb/targetGroupAttachment:TargetGroupAttachment",
  listener: "aws:lb/listener:Listener",
} as const;

/** Everything made by one test, in order. */
class Made {
  private readonly all: { type: string; kept: Kept }[] = [];

  /** Creates, and insists that another look finds nothing changed. */
  async make(token: string, args: Values): Promise<Kept> {
    const kept = await provider.create(token, args);
    this.all.push({ type: token, kept });
    const read = await provider.read(token, kept);
    assert.deepEqual(read?.inputs, kept.inputs, `${token}: read back`);
    assert.equal((await provider.diff(token, kept, args)).changed, false, `${token}: diff`);
    return kept;
  }

  /** Deletes everything, newest first; each is gone afterwards, and deleting it once more does no harm. */
  async unmake(): Promise<void> {
    for (const { type: token, kept } of this.all.toReversed()) {
      await provider.delete(token, kept);
      assert.equal(await provider.read(token, kept), undefined, `${token}: gone`);
      await provider.delete(token, kept);
    }
  }
}

function text(kept: Kept, key: string): string {
  const value: Value | undefined = kept.state[key];
  assert.ok(typeof value === "string" && value !== "", `${key} is ${JSON.stringify(value)}`);
  return value;
}

void describe("aws: a network", () => {
  void test("from the VPC to the NAT gateway, and back", async () => {
    const made = new Made();
    const vpcArgs = { cidrBlock: "10.42.0.0/16", enableDnsHostnames: true, tags: { Name: "net" } };
    const vpc = await made.make(type.vpc, vpcArgs);
    assert.match(text(vpc, "arn"), /^arn:aws:ec2:eu-central-1:123456789012:vpc\/vpc-/);
    text(vpc, "mainRouteTableId");
    const imported = await provider.read(type.vpc, { id: vpc.id });
    assert.equal(imported?.inputs["cidrBlock"], "10.42.0.0/16");
    assert.deepEqual(imported.inputs["tags"], { Name: "net" });

    const vpcId = vpc.id;
    const gateway = await made.make(type.gateway, { vpcId });
    const availabilityZone = "eu-central-1a";
    const subnetArgs = { vpcId, availabilityZone, cidrBlock: "10.42.0.0/20" };
    const subnet = await made.make(type.subnet, subnetArgs);
    const table = await made.make(type.table, { vpcId });
    const destinationCidrBlock = "0.0.0.0/0";
    const routeArgs = { routeTableId: table.id, destinationCidrBlock, gatewayId: gateway.id };
    const route = await made.make(type.route, routeArgs);
    assert.equal(route.id, `r-${table.id}1080289494`);
    await made.make(type.association, { subnetId: subnet.id, routeTableId: table.id });
    await made.make(type.endpoint, {
      vpcId,
      serviceName: "com.amazonaws.eu-central-1.s3",
      routeTableIds: [table.id],
    });
    const address = await made.make(type.eip, { domain: "vpc" });
    const nat = await made.make(type.nat, { subnetId: subnet.id, allocationId: address.id });
    assert.equal(text(nat, "publicIp"), text(address, "publicIp"));
    // The NAT gateway's interface now bears the address, which is nobody's change.
    const read = await provider.read(type.eip, address);
    assert.deepEqual(read?.inputs, address.inputs);

    const tagged = await provider.update(type.vpc, vpc, { ...vpcArgs, tags: { other: "1" } });
    assert.deepEqual(tagged.state["tagsAll"], { other: "1" });
    await made.unmake();
  });

  void test("a subnet with something in it is deleted as soon as that has gone", async () => {
    const made = new Made();
    const vpc = await made.make(type.vpc, { cidrBlock: "10.43.0.0/16" });
    const subnet = await made.make(type.subnet, {
      vpcId: vpc.id,
      availabilityZone: "eu-central-1a",
      cidrBlock: "10.43.0.0/20",
    });
    const eni = await provider.create(type.eni, { subnetId: subnet.id });
    const deletion = provider.delete(type.subnet, subnet);
    await provider.delete(type.eni, eni);
    await deletion;
    await made.unmake();
  });
});

void describe("aws: looking again", () => {
  void test("what was taken away or changed outside is found, and put back by the next update", async () => {
    const made = new Made();
    const vpcArgs = { cidrBlock: "10.44.0.0/16", enableDnsHostnames: true };
    const vpc = await made.make(type.vpc, vpcArgs);
    const args = { vpcId: vpc.id };
    const gateway = await made.make(type.gateway, args);
    const { ec2 } = clientsOf(lab.lab.endpoint);
    const detach = { InternetGatewayId: gateway.id, VpcId: vpc.id };
    await ec2.send(new DetachInternetGatewayCommand(detach));
    const found = await provider.read(type.gateway, gateway);
    assert.ok(found !== undefined && !("vpcId" in found.inputs));
    const diff = await provider.diff(type.gateway, found, args);
    assert.deepEqual(diff.details, { vpcId: "ADD" });
    const repaired = await provider.update(type.gateway, found, args);
    assert.equal(repaired.state["vpcId"], vpc.id);
    await made.unmake();
  });

  void test("what was made but not completed is kept, with the reason", async () => {
    const args = { vpcId: "vpc-0123456789abcdef0" };
    const error: unknown = await provider.create(type.gateway, args).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    const half = halfMade(error);
    assert.match(half?.id ?? "", /^igw-/);
    assert.match(half?.reasons.join() ?? "", /InvalidVpcID\.NotFound/);
    assert.equal(half?.state["vpcId"], args.vpcId);
    await provider.delete(type.gateway, { id: half.id, inputs: {}, state: {} });
  });

  void test("an orphan is adopted by its id and the arguments it was made with", async () => {
    const made = new Made();
    const args = { cidrBlock: "10.45.0.0/16", enableDnsHostnames: true, tags: { Name: "a" } };
    const vpc = await made.make(type.vpc, args);
    const adopted = await provider.read(type.vpc, { id: vpc.id, inputs: vpc.inputs });
    assert.deepEqual(adopted, vpc);
    // Created, and killed before its host names were switched on.
    const half = await provider.create(type.vpc, { cidrBlock: "10.46.0.0/16" });
    const wanted = await provider.check(type.vpc, {
      cidrBlock: "10.46.0.0/16",
      enableDnsHostnames: true,
    });
    const found = await provider.read(type.vpc, { id: half.id, inputs: wanted });
    assert.ok(found !== undefined);
    const diff = await provider.diff(type.vpc, found, wanted);
    assert.deepEqual(diff.details, { enableDnsHostnames: "UPDATE" });
    await provider.delete(type.vpc, half);
    await made.unmake();
  });
});

void test("aws: security groups and what they guard", async () => {
  const made = new Made();
  const vpc = await made.make(type.vpc, { cidrBlock: "10.42.0.0/16" });
  const vpcId = vpc.id;
  const subnet = await made.make(type.subnet, {
    vpcId,
    availabilityZone: "eu-central-1a",
    cidrBlock: "10.42.0.0/20",
  });
  const group = await made.make(type.securityGroup, { vpcId, name: "guards", description: "d" });
  const other = await made.make(type.securityGroup, { vpcId, name: "others" });
  const ports = { ipProtocol: "tcp", fromPort: 2379, toPort: 2380 };
  const securityGroupId = group.id;
  const fromBlock = { securityGroupId, ...ports, cidrIpv4: "10.0.0.0/8", description: "block" };
  const rule = await made.make(type.ingress, fromBlock);
  assert.match(rule.id, /^sgr-/);
  const fromGroup = { securityGroupId, ...ports, referencedSecurityGroupId: other.id };
  await made.make(type.ingress, fromGroup);
  await made.make(type.egress, { securityGroupId, ...ports, cidrIpv4: "10.0.0.0/8" });
  const eniArgs = { subnetId: subnet.id, securityGroups: [group.id], description: "member" };
  const eni = await made.make(type.eni, eniArgs);
  assert.match(text(eni, "privateIp"), /^10\.42\./);
  const moved = await provider.update(type.eni, eni, { ...eniArgs, securityGroups: [other.id] });
  assert.deepEqual(moved.state["securityGroups"], [other.id]);
  await made.unmake();
});

void test("aws: keys, roles, parameters, volumes", async () => {
  const made = new Made();
  const key = await made.make(type.key, { description: "k", enableKeyRotation: true });
  const keyId = text(key, "arn");
  await made.make(type.alias, { name: "alias/etcd/test", targetKeyId: key.id });
  const assumeRolePolicy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
    ],
  });
  const role = await made.make(type.role, { name: "machine", assumeRolePolicy });
  const policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "ec2:DescribeVolumes", Resource: "*" }],
  });
  const inline = await made.make(type.rolePolicy, { name: "own", role: role.id, policy });
  assert.equal(inline.id, "machine:own");
  await made.make(type.profile, { name: "machine", role: role.id });
  const name = "/etcd/m1/server-key";
  const parameterArgs = { name, type: "SecureString", keyId, value: new Secret("hidden") };
  const parameter = await made.make(type.parameter, parameterArgs);
  assert.ok(parameter.state["value"] instanceof Secret);
  const value = new Secret("other");
  const newer = await provider.update(type.parameter, parameter, { ...parameterArgs, value });
  assert.equal(newer.state["version"], 2);
  await assert.rejects(provider.create(type.parameter, parameterArgs), /ParameterAlreadyExists/);
  const volumeArgs = {
    availabilityZone: "eu-central-1a",
    size: 10,
    type: "gp3",
    encrypted: true,
    kmsKeyId: keyId,
  };
  const volume = await made.make(type.volume, volumeArgs);
  const bigger = await provider.update(type.volume, volume, { ...volumeArgs, size: 20 });
  assert.equal(bigger.state["size"], 20);
  await made.unmake();
});

void test("aws: a volume in a machine, which is stopped before the volume leaves it", async () => {
  const made = new Made();
  const vpc = await made.make(type.vpc, { cidrBlock: "10.42.0.0/16" });
  const availabilityZone = "eu-central-1a";
  const subnet = await made.make(type.subnet, {
    ...{ vpcId: vpc.id, availabilityZone, cidrBlock: "10.42.0.0/20" },
  });
  const card = await made.make(type.eni, { subnetId: subnet.id });
  const instance = await provider.create(type.instance, {
    ami: "ami-0debia13amd640000",
    instanceType: "t3.micro",
    primaryNetworkInterface: { networkInterfaceId: card.id },
    metadataOptions: { httpTokens: "required" },
  });
  const volume = await made.make(type.volume, { availabilityZone, size: 1, type: "gp3" });
  const [instanceId, volumeId] = [instance.id, volume.id];
  const deviceName = "/dev/sdf";
  const stopInstanceBeforeDetaching = true;
  const attachment = await made.make(type.attachment, {
    ...{ deviceName, instanceId, volumeId, stopInstanceBeforeDetaching },
  });
  assert.equal(attachment.id, `${volumeId}:${instanceId}`);
  await assert.rejects(
    provider.create(type.attachment, { deviceName: "/dev/sdg", instanceId, volumeId }),
    /VolumeInUse|already attached/,
  );
  await provider.delete(type.attachment, attachment);
  const stopped = await provider.read(type.instance, instance);
  assert.equal(stopped?.state["instanceState"], "stopped");
  await provider.delete(type.instance, instance);
  await made.unmake();
});

void test("aws: a bucket and what lies in it", async () => {
  const made = new Made();
  const bucketArgs = { bucket: "etcd-test-backup", forceDestroy: true, tags: { a: "1" } };
  const bucket = await made.make(type.bucket, bucketArgs);
  assert.equal(text(bucket, "arn"), "arn:aws:s3:::etcd-test-backup");
  const retagged = await provider.update(type.bucket, bucket, { ...bucketArgs, tags: { b: "2" } });
  assert.deepEqual(retagged.state["tagsAll"], { b: "2" });
  await made.make(type.publicAccess, { bucket: bucket.id, blockPublicAcls: true });
  const rule = { objectOwnership: "BucketOwnerEnforced" };
  await made.make(type.ownership, { bucket: bucket.id, rule });
  const versioningConfiguration = { status: "Enabled" };
  const versioning = await provider.create(type.versioning, {
    bucket: bucket.id,
    versioningConfiguration,
  });
  const rules = [
    {
      id: "superseded",
      status: "Enabled",
      filter: { prefix: "backups/" },
      noncurrentVersionExpiration: { noncurrentDays: 30 },
    },
  ];
  await made.make(type.lifecycle, { bucket: bucket.id, rules });
  const key = "config/m1/approved";
  const args = { bucket: bucket.id, key, content: "one\n", contentType: "text/plain" };
  const object = await made.make(type.object, args);
  const changed = await provider.update(type.object, object, { ...args, content: "two\n" });
  assert.notEqual(changed.state["versionId"], object.state["versionId"]);
  // Larger than any buffer on the way, so that it is streamed.
  const path = join(folder, "artifact");
  writeFileSync(path, Buffer.alloc(12 * 1024 * 1024, "etcd"));
  const source = new Asset({ hash: "h", path });
  await made.make(type.object, { bucket: bucket.id, key: "artifacts/h", source });
  const remote = new Asset({ hash: "h", uri: "https://example.com/etcd.tar.gz" });
  await assert.rejects(
    provider.create(type.object, { bucket: bucket.id, key: "artifacts/r", source: remote }),
    /reaches nothing outside/,
  );
  await provider.delete(type.versioning, versioning);
  await made.unmake();
});

void test("aws: names and a balancer", async () => {
  const made = new Made();
  const vpc = await made.make(type.vpc, { cidrBlock: "10.42.0.0/16", enableDnsHostnames: true });
  const vpcId = vpc.id;
  const subnet = await made.make(type.subnet, {
    vpcId,
    availabilityZone: "eu-central-1a",
    cidrBlock: "10.42.0.0/20",
  });
  const zone = await made.make(type.zone, { name: "etcd.internal", vpcs: [{ vpcId }] });
  const recordArgs = {
    zoneId: zone.id,
    name: "m1.etcd.internal",
    type: "A",
    ttl: 60,
    records: ["10.42.0.5"],
  };
  const record = await made.make(type.record, recordArgs);
  assert.equal(record.id, `${zone.id}_m1.etcd.internal_A`);
  const moved = await provider.update(type.record, record, { ...recordArgs, ttl: 30 });
  assert.equal(moved.state["ttl"], 30);
  await assert.rejects(provider.create(type.record, recordArgs), /InvalidChangeBatch/);
  const group = await made.make(type.securityGroup, { vpcId, name: "balancer" });
  const balancer = await made.make(type.balancer, {
    name: "etcd-test",
    loadBalancerType: "network",
    internal: true,
    subnets: [subnet.id],
    securityGroups: [group.id],
    enableCrossZoneLoadBalancing: true,
  });
  const targets = await made.make(type.targets, {
    name: "etcd-test",
    vpcId,
    protocol: "TCP",
    port: 2379,
    targetType: "ip",
    preserveClientIp: "false",
    healthCheck: { protocol: "HTTP", port: "2381", path: "/readyz", interval: 5, timeout: 3 },
  });
  const target = { targetGroupArn: targets.id, targetId: "10.42.0.5", port: 2379 };
  await made.make(type.target, target);
  await made.make(type.listener, {
    loadBalancerArn: balancer.id,
    protocol: "TCP",
    port: 2379,
    tcpIdleTimeoutSeconds: 350,
    defaultActions: [{ type: "forward", targetGroupArn: targets.id }],
  });
  await made.unmake();
});
