import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { EtcdCluster, type EtcdClusterArgs } from "../../../components";
import { answers, outputs } from "../../support/awsMocks";
import { leastArgs, recordCluster } from "../../support/cluster";
import { record, resolve } from "../../support/recordingMocks";

jest.mock("../../../components/machineFiles", () => ({
  ...jest.requireActual<object>("../../../components/machineFiles"),
  agentArtifact: () => ({ kind: "file", path: "/agent.tar.gz", sha256: "a".repeat(64) }),
}));

const vpcId = "vpc-0123456789abcdef0";
const subnets = (letters: string) =>
  Array.from(letters, (letter, index) => ({
    zone: `eu-central-1${letter}`,
    privateSubnetId: `subnet-0000000${index}`,
    publicSubnetId: `subnet-1000000${index}`,
  }));
const key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/** What a program is told that is not type-checked. */
async function refusal(args: Record<string, unknown>): Promise<string> {
  const recorded = recordCluster(args);
  return recorded.then(
    () => "not refused",
    (error: unknown) => (error as Error).message,
  );
}

describe("what another program asks for", () => {
  test("all that is wrong comes in one error, with path, value, rule and remedy", async () => {
    const message = await refusal({
      sise: 5,
      existingNetwork: { vpcId, subnets: subnets("ab"), cidr: "10.0.0.0/16" },
      monitoring: { mail: "ops@example.com" },
      recovery: { mode: "sometimes" },
      backup: { everyMinutes: "5" },
      zones: "eu-central-1a",
      volumeSizeGiB: pulumi.output(20),
      certificateValidityDays: 7,
    });
    expect(message.split("\n")).toEqual([
      "The etcd cluster cannot be built as asked (8 problems); nothing was changed.",
      expect.stringMatching(/^ {2}- sise is 5: there is no such argument\.$/),
      expect.stringMatching(/^ {4}Remedy: remove it, or correct its name; there are region, /),
      expect.stringMatching(/^ {2}- existingNetwork\.cidr is "10\.0\.0\.0\/16": there is no such/),
      expect.stringMatching(/there are vpcId, subnets\.$/),
      expect.stringMatching(/^ {2}- monitoring\.mail is "ops@example\.com": there is no such/),
      expect.stringMatching(/there are enabled, topicArn, email, /),
      expect.stringMatching(/^ {2}- recovery\.mode is "sometimes": .*form.*automatic/),
      expect.stringMatching(/Remedy: correct it; docs\/reference/),
      expect.stringMatching(/^ {2}- backup\.everyMinutes is "5": .*number/),
      expect.stringMatching(/Remedy/),
      expect.stringMatching(/^ {2}- zones is "eu-central-1a": .*array/),
      expect.stringMatching(/Remedy/),
      expect.stringMatching(/^ {2}- volumeSizeGiB is "known only later": it decides what is/),
      expect.stringMatching(/plain value, not the output/),
      expect.stringMatching(/^ {2}- certificateValidityDays is 7: .*30 to 1825/),
      expect.stringMatching(/Remedy/),
    ]);
  });

  test("subnets of too few zones, and what is passed through may come later", async () => {
    const existingNetwork = { vpcId: pulumi.output(vpcId), subnets: subnets("ab") };
    expect(await refusal({ existingNetwork })).toMatch(
      /1 problem.*\n.*zones is \["eu-central-1a","eu-central-1b"\]: .*needs 3 zones/,
    );
    const found = await recordCluster({
      existingNetwork: { vpcId: pulumi.output(vpcId), subnets: subnets("abc") },
      tags: { team: pulumi.output("db") },
      amiId: Promise.resolve("ami-0123456789abcdef0"),
    });
    expect(found.all("aws:ec2/vpc:Vpc")).toEqual([]);
    expect(found.find("aws:ebs/volume:Volume", "etcd-m1").inputs["tags"]).toMatchObject({
      team: "db",
    });
  });

  test("no arguments at all", async () => {
    const none = record(
      () => new EtcdCluster("etcd", undefined as unknown as EtcdClusterArgs),
      outputs,
      answers,
    );
    await expect(none).rejects.toThrow(/cannot be built as asked[^]*adminCidrs is/);
  });
});

describe("the region", () => {
  afterEach(() => {
    pulumi.runtime.setAllConfig({});
  });

  const build = (opts?: pulumi.ComponentResourceOptions) =>
    new EtcdCluster("etcd", leastArgs, opts);

  test("of the default provider is compared before anything is created", async () => {
    const wrong = record(
      () => {
        pulumi.runtime.setAllConfig({ "aws:region": "eu-west-1" });
        return build();
      },
      outputs,
      answers,
    );
    await expect(wrong).rejects.toThrow(
      /1 problem[^]*region is "eu-central-1": the AWS provider in use is for eu-west-1/,
    );
  });

  test("of a provider of its own is asked for", async () => {
    const types = { ...outputs, "pulumi:providers:aws": () => ({}) };
    const { calls } = await record(
      () => {
        pulumi.runtime.setAllConfig({ "aws:region": "us-east-1" });
        return build({ provider: new aws.Provider("other", { region: "eu-central-1" }) });
      },
      types,
      answers,
    );
    expect(calls.map(({ token }) => token)).toContain("aws:index/getRegion:getRegion");
  });
});

describe("a key of somebody else's", () => {
  test("is used for everything, and none is made", async () => {
    const found = await recordCluster({ kmsKeyArn: pulumi.output(key) });
    expect(found.all("aws:kms/key:Key")).toEqual([]);
    expect(found.all("aws:kms/alias:Alias")).toEqual([]);
    const own = await recordCluster();
    const made = String(own.find("aws:ebs/volume:Volume", "etcd-m1").inputs["kmsKeyId"]);
    const places = JSON.stringify(own.resources.map(({ inputs }) => inputs)).split(made).length;
    const used = JSON.stringify(found.resources.map(({ inputs }) => inputs)).split(key).length;
    expect(used).toBe(places);
  });

  test("an alias, and a key of another region, are refused", async () => {
    expect(await refusal({ kmsKeyArn: "alias/mine" })).toMatch(
      /kmsKeyArn is "alias\/mine": .*alias/,
    );
    const far = key.replace("eu-central-1", "eu-west-1");
    expect(await refusal({ kmsKeyArn: far })).toMatch(/the key is of eu-west-1/);
  });
});

describe("a connection", () => {
  test("is all that a client needs, and secret", async () => {
    const { result } = await recordCluster({}, () => undefined);
    const issued = result.issueClientCertificate("app").connection;
    const { value: own, secret } = await resolve(result.connection);
    const { value: other, secret: otherSecret } = await resolve(issued);
    expect(Object.keys(own).sort()).toEqual([
      ...["caCertificate", "certificate", "endpoints", "key", "loadBalancerEndpoint"],
    ]);
    expect(own.endpoints).toEqual((await resolve(result.clientEndpoints)).value);
    expect(own.key).toBe((await resolve(result.clientKey)).value);
    expect(other.caCertificate).toBe(own.caCertificate);
    expect(other.key).not.toBe(own.key);
    expect([secret, otherSecret]).toEqual([true, true]);
  });
});

describe("two clusters in one program and one VPC", () => {
  test("do not meet: neither by URN nor by any name that AWS or DNS wants once", async () => {
    const existingNetwork = { vpcId, subnets: subnets("abc") };
    const { resources } = await record(
      () => ["one", "two"].map((name) => new EtcdCluster(name, { ...leastArgs, existingNetwork })),
      outputs,
      answers,
    );
    const twice = (all: readonly string[]) => all.filter((each, at) => all.indexOf(each) !== at);
    expect(twice(resources.map(({ type, name }) => `${type} ${name}`))).toEqual([]);
    // Names that are asked for; where none is, AWS gives one that nobody else has.
    const fields: Readonly<Record<string, string>> = {
      "aws:cloudwatch/dashboard:Dashboard": "dashboardName",
      "aws:ec2/keyPair:KeyPair": "keyName",
      "aws:s3/bucket:Bucket": "bucket",
    };
    const unique = new Set([
      "aws:autoscaling/group:Group",
      "aws:cloudwatch/dashboard:Dashboard",
      "aws:cloudwatch/metricAlarm:MetricAlarm",
      "aws:ec2/keyPair:KeyPair",
      "aws:ec2/launchTemplate:LaunchTemplate",
      "aws:ec2/securityGroup:SecurityGroup",
      "aws:iam/instanceProfile:InstanceProfile",
      "aws:iam/role:Role",
      "aws:kms/alias:Alias",
      "aws:lb/loadBalancer:LoadBalancer",
      "aws:lb/targetGroup:TargetGroup",
      "aws:route53/zone:Zone",
      "aws:s3/bucket:Bucket",
      "aws:sns/topic:Topic",
      "aws:ssm/parameter:Parameter",
    ]);
    const named = resources.filter(({ type }) => unique.has(type));
    const names = named.map(
      ({ type, inputs }) => `${type} ${String(inputs[fields[type] ?? "name"])}`,
    );
    expect(new Set(named.map(({ type }) => type))).toEqual(unique);
    expect(names.filter((each) => each.endsWith(" undefined"))).toEqual([]);
    expect(twice(names)).toEqual([]);
    const tags = resources.flatMap(({ inputs }) =>
      Object.values((inputs["tags"] ?? {}) as Record<string, unknown>),
    );
    expect(tags).toEqual(expect.arrayContaining(["one", "two"]));
  });
});
