import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { aws } from "../../lab/providers/aws/provider.ts";
import { Asset, Secret, unknown, Unknown, type Values } from "../../lab/providers/shared/value.ts";
import { freePort } from "./providerSshd.ts";
import { ProviderClient } from "./providerClient.ts";

/** The aws provider without a lab: everything that a preview of a new stack needs. */

const types = {
  vpc: "aws:ec2/vpc:Vpc",
  group: "aws:autoscaling/group:Group",
  role: "aws:iam/role:Role",
  template: "aws:ec2/launchTemplate:LaunchTemplate",
  object: "aws:s3/bucketObjectv2:BucketObjectv2",
  parameter: "aws:ssm/parameter:Parameter",
  rule: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  volume: "aws:ebs/volume:Volume",
  instance: "aws:ec2/instance:Instance",
  balancer: "aws:lb/loadBalancer:LoadBalancer",
};

let provider: ProviderClient;
before(async () => {
  // Nothing listens there, so that any call would be an error.
  process.env["AWS_ENDPOINT_URL"] = `http://127.0.0.1:${await freePort()}`;
  provider = await ProviderClient.start(aws, {
    region: "eu-central-1",
    defaultTags: JSON.stringify({ tags: { stack: "test" } }),
  });
});
after(() => {
  provider.stop();
});

void describe("aws: what is not known is an error that names it", () => {
  void test("types, arguments, nested arguments, functions", async () => {
    await assert.rejects(
      provider.check("aws:rds/instance:Instance", {}),
      /aws:rds\/instance:Instance/,
    );
    await assert.rejects(
      provider.check(types.vpc, { cidrBlock: "10.0.0.0/16", ipv4IpamPoolId: "x" }),
      /aws:ec2\/vpc:Vpc: argument ipv4IpamPoolId is not known to the lab/,
    );
    await assert.rejects(
      provider.check(types.template, { metadataOptions: { httpProtocolIpv6: "enabled" } }),
      /argument metadataOptions\.httpProtocolIpv6 is not known/,
    );
    await assert.rejects(provider.check(types.vpc, {}), /argument cidrBlock is required/);
    await assert.rejects(
      provider.check(types.vpc, { cidrBlock: ["10.0.0.0/16"] }),
      /argument cidrBlock must be a text, but is a list/,
    );
    await assert.rejects(provider.invoke("aws:ec2/getVpc:getVpc", {}), /aws:ec2\/getVpc:getVpc/);
  });

  void test("provider configuration", async () => {
    await assert.rejects(
      ProviderClient.start(aws, { region: "eu-central-1", assumeRoles: "[]" }),
      /provider aws: argument assumeRoles is not known/,
    );
  });

  void test("another account, and an endpoint that is not this machine", async () => {
    const region = "eu-central-1";
    await assert.rejects(
      ProviderClient.start(aws, { region, allowedAccountIds: '["999999999999"]' }),
      /account ID not allowed/,
    );
    const endpoint = process.env["AWS_ENDPOINT_URL"];
    process.env["AWS_ENDPOINT_URL"] = "https://ec2.eu-central-1.amazonaws.com";
    await assert.rejects(ProviderClient.start(aws, { region }), /a lab on this machine only/);
    process.env["AWS_ENDPOINT_URL"] = endpoint;
  });

  void test("rules over several arguments", async () => {
    const rule = { securityGroupId: "sg-1", ipProtocol: "tcp", fromPort: 22, toPort: 22 };
    await assert.rejects(provider.check(types.rule, rule), /exactly one of cidrIpv4/);
    await assert.rejects(provider.check(types.template, { userData: "#!/bin/sh" }), /base64/);
    const both = { bucket: "b", key: "k", content: "x", contentBase64: "eA==" };
    await assert.rejects(provider.check(types.object, both), /conflicts with content/);
    const balancer = { loadBalancerType: "application" };
    await assert.rejects(provider.check(types.balancer, balancer), /network load balancers only/);
  });
});

void describe("aws: previews", () => {
  void test("know what follows from the arguments, and nothing else", async () => {
    const args = { cidrBlock: "10.42.0.0/16", tags: { Name: "it" } };
    const { id, state } = await provider.create(types.vpc, args, { preview: true });
    assert.equal(id, "");
    assert.equal(state["enableDnsSupport"], true);
    assert.equal(state["region"], "eu-central-1");
    assert.deepEqual(state["tagsAll"], { Name: "it", stack: "test" });
    assert.ok(state["arn"] instanceof Unknown && state["mainRouteTableId"] instanceof Unknown);
  });

  void test("unknown tags make unknown tagsAll", async () => {
    const args = { cidrBlock: "10.42.0.0/16", tags: unknown };
    const { state } = await provider.create(types.vpc, args, { preview: true });
    assert.ok(state["tagsAll"] instanceof Unknown);
  });

  void test("a new version of a launch template is unknown until it exists", async () => {
    const args = { name: "lt", imageId: "ami-1", updateDefaultVersion: true };
    const inputs = await provider.check(types.template, args);
    const kept = { id: "lt-1", inputs, state: { ...inputs, latestVersion: 1, defaultVersion: 1 } };
    const news = { ...args, imageId: "ami-2" };
    const changed = await provider.update(types.template, kept, news, { preview: true });
    assert.ok(changed.state["latestVersion"] instanceof Unknown);
    const retagged = { ...args, tags: { a: "b" } };
    const same = await provider.update(types.template, kept, retagged, { preview: true });
    assert.equal(same.state["latestVersion"], 1);
  });

  void test("functions answer from what is fixed", async () => {
    const zones = await provider.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", {});
    assert.deepEqual(zones["names"], ["eu-central-1a", "eu-central-1b", "eu-central-1c"]);
    const caller = await provider.invoke("aws:index/getCallerIdentity:getCallerIdentity", {});
    assert.equal(caller["accountId"], "123456789012");
    const partition = await provider.invoke("aws:index/getPartition:getPartition", {});
    assert.equal(partition["partition"], "aws");
    const image = await provider.invoke("aws:ec2/getAmi:getAmi", {
      mostRecent: true,
      owners: ["136693071363"],
      filters: [
        { name: "name", values: ["debian-13-amd64-*"] },
        { name: "architecture", values: ["x86_64"] },
      ],
    });
    assert.match(JSON.stringify(image["id"]), /ami-/);
    const filters = [{ name: "name", values: ["ubuntu-*"] }];
    await assert.rejects(provider.invoke("aws:ec2/getAmi:getAmi", { filters }), /no results/);
    const list = { name: "com.amazonaws.eu-central-1.s3" };
    const prefixes = await provider.invoke("aws:ec2/getPrefixList:getPrefixList", list);
    assert.equal(prefixes["id"], "pl-00000000");
  });
});

void describe("aws: names", () => {
  void test("a name that was made stays, and a replacement gets another", async () => {
    const first = await provider.check(types.role, { assumeRolePolicy: "{}" }, {}, "machine");
    assert.match(JSON.stringify(first["name"]), /^"machine-[0-9a-f]{7}"$/);
    const again = await provider.check(types.role, { assumeRolePolicy: "{}" }, first, "machine");
    assert.equal(again["name"], first["name"]);
    const replacement = await provider.check(types.role, { assumeRolePolicy: "{}" }, {}, "machine");
    assert.notEqual(replacement["name"], first["name"]);
  });

  void test("AWS's limits hold for names that are made", async () => {
    const name = "a".repeat(30);
    const args = { loadBalancerType: "network" };
    await assert.rejects(
      provider.check(types.balancer, args, {}, name),
      /longer than the maximum of 32/,
    );
  });

  void test("under a given name the old one must go first; under a made one not", async () => {
    const given = { name: "fixed", assumeRolePolicy: "{}", path: "/a/" };
    const inputs = await provider.check(types.role, given);
    const kept = { id: "fixed", inputs, state: inputs };
    const diff = await provider.diff(types.role, kept, { ...given, path: "/b/" });
    assert.deepEqual([diff.replaces, diff.deleteBeforeReplace], [["path"], true]);
    const made = await provider.check(types.role, { assumeRolePolicy: "{}", path: "/a/" });
    const other = await provider.diff(
      types.role,
      { id: "it-1", inputs: made, state: made },
      { assumeRolePolicy: "{}", path: "/b/" },
    );
    assert.deepEqual([other.replaces, other.deleteBeforeReplace], [["path"], false]);
  });
});

void describe("aws: differences", () => {
  async function diff(type: string, before: Values, now: Values, ignored: string[] = []) {
    const inputs = await provider.check(type, before);
    return provider.diff(type, { id: "id", inputs, state: inputs }, now, ignored);
  }

  void test("what replaces, and what does not", async () => {
    const volume = { availabilityZone: "eu-central-1a", size: 10, type: "gp3", encrypted: true };
    assert.deepEqual((await diff(types.volume, volume, { ...volume, size: 20 })).replaces, []);
    const elsewhere = { ...volume, availabilityZone: "eu-central-1b" };
    assert.deepEqual((await diff(types.volume, volume, elsewhere)).replaces, ["availabilityZone"]);
    const plain = { ...volume, encrypted: false };
    assert.deepEqual((await diff(types.volume, volume, plain)).replaces, ["encrypted"]);
    const machine = {
      ami: "ami-1",
      instanceType: "t3.small",
      rootBlockDevice: { encrypted: true },
    };
    const open = { ...machine, rootBlockDevice: { encrypted: false } };
    const replaced = await diff(types.instance, machine, open);
    assert.deepEqual(replaced.details, { "rootBlockDevice.encrypted": "UPDATE_REPLACE" });
  });

  void test("user data replaces only where the program says so", async () => {
    const machine = { ami: "ami-1", instanceType: "t3.small", userDataBase64: "YQ==" };
    const kept = await diff(types.instance, machine, { ...machine, userDataBase64: "Yg==" });
    assert.deepEqual(kept.replaces, []);
    const strict = { ...machine, userDataReplaceOnChange: true };
    const replaced = await diff(types.instance, strict, { ...strict, userDataBase64: "Yg==" });
    assert.deepEqual(replaced.replaces, ["userDataBase64"]);
  });

  void test("order does not matter in sets, and an empty list is none", async () => {
    const group = { minSize: 1, maxSize: 1, launchTemplate: { id: "lt-1", version: "1" } };
    const zones = { ...group, availabilityZones: ["a", "b"] };
    const swapped = { ...group, availabilityZones: ["b", "a"] };
    assert.equal((await diff(types.group, zones, swapped)).changed, false);
    assert.equal((await diff(types.group, group, { ...group, tags: [] })).changed, false);
    const moved = await diff(types.group, group, {
      ...group,
      launchTemplate: { id: "lt-1", version: "2" },
    });
    assert.deepEqual(moved.details, { "launchTemplate.version": "UPDATE" });
  });

  void test("an asset differs by its content", async () => {
    const at = (hash: string, path: string) => ({
      bucket: "b",
      key: "k",
      source: new Asset({ hash, path }),
    });
    assert.equal((await diff(types.object, at("1", "/a"), at("1", "/b"))).changed, false);
    const other = await diff(types.object, at("1", "/a"), at("2", "/a"));
    assert.deepEqual(other.details, { source: "UPDATE" });
  });

  void test("ignored changes are none", async () => {
    const before = { bucket: "b", key: "k", content: "1" };
    const now = { ...before, content: "2" };
    assert.equal((await diff(types.object, before, now, ["content"])).changed, false);
    assert.equal((await diff(types.object, before, now, ["key"])).changed, true);
  });

  void test("an unknown value may become anything", async () => {
    const before = { cidrBlock: "10.42.0.0/16" };
    assert.deepEqual((await diff(types.vpc, before, { cidrBlock: unknown })).replaces, [
      "cidrBlock",
    ]);
  });

  void test("changed default tags are a change", async () => {
    const inputs = await provider.check(types.vpc, { cidrBlock: "10.42.0.0/16" });
    const state = { ...inputs, tagsAll: { stack: "before" } };
    const args = { cidrBlock: "10.42.0.0/16" };
    assert.equal((await provider.diff(types.vpc, { id: "i", inputs, state }, args)).changed, true);
    const same = { ...inputs, tagsAll: { stack: "test" } };
    const kept = { id: "i", inputs, state: same };
    assert.equal((await provider.diff(types.vpc, kept, args)).changed, false);
  });

  void test("texts of numbers and truths are taken, as by the real bridge", async () => {
    const inputs = await provider.check(types.vpc, { cidrBlock: "x", enableDnsSupport: "false" });
    assert.equal(inputs["enableDnsSupport"], false);
  });

  void test("a parameter's value is secret even when the program does not say so", async () => {
    const args = { name: "/a/b", type: "SecureString", value: "s" };
    const { state } = await provider.create(types.parameter, args, { preview: true });
    assert.ok(state["value"] instanceof Secret);
  });
});
