import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  settled,
  type Checkpoint,
  type StateResource,
} from "../../scripts/operator/lib/deployment.ts";
import { byTags, finders } from "../../scripts/operator/lib/find.ts";
import { isMadeByCluster } from "../../scripts/operator/lib/inventory.ts";
import {
  backendFolder,
  brokenSideFiles,
  removeSideFiles,
} from "../../scripts/operator/lib/fileBackend.ts";
import { kindOf, variable } from "../../scripts/operator/lib/processes.ts";
import { removers, sameRule } from "../../scripts/operator/lib/remove.ts";

const tags = { Name: "dev-vpc", "etcd-cluster:cluster": "dev" };
const vpc: StateResource = {
  urn: "urn:pulumi:dev::etcd-cluster::aws:ec2/vpc:Vpc::etcd-network",
  type: "aws:ec2/vpc:Vpc",
  custom: true,
  inputs: { cidrBlock: "10.42.0.0/16", tags },
};

describe("byTags", () => {
  const search = (things: { id: string; tags: Record<string, string> }[], known: string[] = []) =>
    byTags("vpc-", { wanted: vpc, tagged: things, known: new Set(known) });
  test("finds what bears all the wanted tags, more allowed", () => {
    assert.deepEqual(search([{ id: "vpc-1", tags: { ...tags, extra: "x" } }]), ["vpc-1"]);
  });
  test("not what the state knows, is of another kind, lacks a tag, or has another value", () => {
    assert.deepEqual(search([{ id: "vpc-1", tags }], ["vpc-1"]), []);
    assert.deepEqual(search([{ id: "subnet-1", tags }]), []);
    assert.deepEqual(search([{ id: "vpc-1", tags: { "etcd-cluster:cluster": "dev" } }]), []);
    assert.deepEqual(
      search([{ id: "vpc-1", tags: { ...tags, "etcd-cluster:cluster": "prod" } }]),
      [],
    );
  });
  test("a wanted thing without the cluster's tag claims nothing", () => {
    const untagged = { ...vpc, inputs: { tags: { Name: "dev-vpc" } } };
    assert.deepEqual(
      byTags("vpc-", { wanted: untagged, tagged: [{ id: "vpc-1", tags }], known: new Set() }),
      [],
    );
  });
  test("two alike are both named: a person decides", () => {
    assert.deepEqual(
      search([
        { id: "vpc-1", tags },
        { id: "vpc-2", tags },
      ]),
      ["vpc-1", "vpc-2"],
    );
  });
});

describe("settled", () => {
  const provider = {
    urn: "urn:pulumi:dev::etcd-cluster::pulumi:providers:aws::default",
    type: "pulumi:providers:aws",
    id: "p",
  };
  const checkpoint: Checkpoint = {
    version: 3,
    deployment: {
      manifest: { keep: "me" },
      resources: [provider],
      pending_operations: [
        { type: "creating", resource: vpc },
        { type: "updating", resource: { ...provider } },
      ],
    },
  };
  test("an adopted thing comes last, with its id and the program's inputs", () => {
    const after = settled(checkpoint, [{ kind: "adopt", urn: vpc.urn, id: "vpc-1" }]);
    const { resources, pending_operations } = after.deployment;
    assert.deepEqual(pending_operations, []);
    assert.deepEqual(
      resources?.map(({ id }) => id),
      ["p", "vpc-1"],
    );
    assert.deepEqual(resources[1]?.inputs, vpc.inputs);
    assert.deepEqual(after.deployment["manifest"], { keep: "me" });
    assert.equal(after["version"], 3);
  });
  test("a forgotten one leaves no trace, and neither do updates that were under way", () => {
    const after = settled(checkpoint, [{ kind: "forget", urn: vpc.urn }]);
    assert.deepEqual(after.deployment.resources, [provider]);
    assert.deepEqual(after.deployment.pending_operations, []);
  });
  test("one that was being replaced takes the place of its mark", () => {
    const marked = { ...vpc, id: "vpc-0", pendingReplacement: true };
    const before = {
      ...checkpoint,
      deployment: { ...checkpoint.deployment, resources: [provider, marked] },
    };
    const after = settled(before, [{ kind: "adopt", urn: vpc.urn, id: "vpc-1" }]);
    assert.deepEqual(
      after.deployment.resources?.map(({ id }) => id),
      ["p", "vpc-1"],
    );
  });
  test("the state that was read is not changed", () => {
    const copy = structuredClone(checkpoint);
    settled(checkpoint, [{ kind: "adopt", urn: vpc.urn, id: "vpc-1" }]);
    assert.deepEqual(checkpoint, copy);
  });
});

describe("sameRule", () => {
  const wanted: StateResource = {
    urn: "u",
    type: "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    inputs: { ipProtocol: "tcp", fromPort: 2379, toPort: 2379, referencedSecurityGroupId: "sg-2" },
  };
  const rule = {
    IpProtocol: "tcp",
    FromPort: 2379,
    ToPort: 2379,
    ReferencedGroupInfo: { GroupId: "sg-2" },
  };
  test("the same", () => {
    assert.equal(sameRule(rule, wanted), true);
  });
  for (const change of [
    { FromPort: 2380 },
    { ReferencedGroupInfo: { GroupId: "sg-3" } },
    { CidrIpv4: "10.0.0.0/8" },
    { IpProtocol: "udp" },
  ]) {
    test(`not with ${JSON.stringify(change)}`, () => {
      assert.equal(sameRule({ ...rule, ...change }, wanted), false);
    });
  }
});

describe("whose process", () => {
  const cases: [string[], "engine" | "plugin" | undefined][] = [
    [["pulumi", "up", "--yes"], "engine"],
    [["/usr/local/bin/pulumi", "preview"], "engine"],
    [
      ["/home/me/.pulumi/plugins/resource-aws-v7.48.0/pulumi-resource-aws", "127.0.0.1:41241"],
      "plugin",
    ],
    [["pulumi-language-nodejs", "127.0.0.1:41241"], "plugin"],
    [["/opt/node", "main.ts", "127.0.0.1:41241"], "plugin"],
    [["/opt/node", "scripts/operator/recover-state.ts", "--apply"], undefined],
    [["vim", "127.0.0.1:41241"], undefined],
    [[""], undefined],
  ];
  for (const [argv, kind] of cases) {
    test(`${argv.join(" ")} is ${kind ?? "no business of ours"}`, () => {
      assert.equal(kindOf(argv), kind);
    });
  }
});

test("machines of groups and root disks are the cluster's own; a data volume is not", () => {
  const member = { "etcd-cluster:cluster": "dev", "etcd-cluster:member": "m1" };
  assert.equal(isMadeByCluster({ id: "i-1", tags: member }), true);
  assert.equal(isMadeByCluster({ id: "vol-1", tags: { "etcd-cluster:cluster": "dev" } }), true);
  assert.equal(isMadeByCluster({ id: "vol-1", tags: member }), false);
  assert.equal(isMadeByCluster({ id: "vpc-1", tags: member }), false);
});

test("nothing that holds data is ever removed: removers are for connections only", () => {
  assert.deepEqual(Object.keys(removers).sort(), [
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
  ]);
  for (const type of Object.keys(removers)) assert.equal(type in finders, false);
});

describe("the file backend's side files", () => {
  test("a half-written one is found and removed, whole ones and the state stay", () => {
    const folder = mkdtempSync(join(tmpdir(), "etcd-backend-"));
    try {
      const stacks = join(folder, ".pulumi", "stacks", "etcd-cluster");
      mkdirSync(stacks, { recursive: true });
      writeFileSync(join(stacks, "dev.json"), "{}");
      writeFileSync(join(stacks, "dev.json.attrs"), "");
      writeFileSync(join(stacks, "dev.json.bak.attrs"), '{"user.content_type":"appl');
      writeFileSync(join(stacks, "prod.json.attrs"), '{"md5":"x"}');
      const broken = brokenSideFiles(folder).sort();
      assert.deepEqual(broken, [
        join(stacks, "dev.json.attrs"),
        join(stacks, "dev.json.bak.attrs"),
      ]);
      removeSideFiles(broken);
      assert.deepEqual(brokenSideFiles(folder), []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
  test("only a file backend has a folder", () => {
    assert.equal(backendFolder("file:///var/state?metadata=skip"), "/var/state");
    assert.equal(backendFolder("file://~"), process.env["HOME"]);
    assert.equal(backendFolder("s3://bucket"), undefined);
    assert.equal(backendFolder(undefined), undefined);
  });
});

test("a variable is found by its whole name", () => {
  const environment = "XPULUMI_BACKEND_URL=no\0PULUMI_BACKEND_URL=file:///a=b\0";
  assert.equal(variable(environment, "PULUMI_BACKEND_URL"), "file:///a=b");
  assert.equal(variable(environment, "PULUMI_HOME"), undefined);
});
