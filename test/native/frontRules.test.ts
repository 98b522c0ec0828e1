import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { backoffMs, decide, type InstanceState } from "../../lab/front/autoscaling/decide.ts";
import type { Group, GroupInstance } from "../../lab/front/autoscaling/model.ts";
import { dechunk } from "../../lab/front/chunked.ts";
import { addressText, overlap, parseCidr } from "../../lab/front/cidr.ts";
import { matches, parsePolicy, UnknownPolicyPart, verdict } from "../../lab/front/iam/evaluate.ts";
import { Params } from "../../lab/front/params.ts";
import { readRoute53 } from "../../lab/front/route53Operation.ts";
import { readS3 } from "../../lab/front/s3Operation.ts";

const instance = (instanceId: string, more: Partial<GroupInstance> = {}): GroupInstance => ({
  instanceId,
  instanceType: "t3.medium",
  availabilityZone: "eu-central-1a",
  launchTemplateVersion: "1",
  lifecycleState: "InService",
  healthStatus: "Healthy",
  launchedAt: "2026-01-01T00:00:00Z",
  ...more,
});

const group = (more: Partial<Group> = {}): Group => ({
  name: "g",
  arn: "arn",
  region: "eu-central-1",
  createdTime: "2026-01-01T00:00:00Z",
  minSize: 1,
  maxSize: 1,
  desiredCapacity: 1,
  launchTemplate: { launchTemplateId: "lt-1", launchTemplateName: "t", version: "1" },
  availabilityZones: ["eu-central-1a"],
  vpcZoneIdentifier: "",
  healthCheckType: "EC2",
  healthCheckGracePeriod: 0,
  defaultCooldown: 300,
  terminationPolicies: ["Default"],
  newInstancesProtectedFromScaleIn: false,
  targetGroupArns: [],
  tags: [],
  instances: [],
  activities: [],
  deleting: false,
  failedLaunches: 0,
  nextLaunchAt: 0,
  ...more,
});

const steps = (given: Group, states: Record<string, InstanceState>, now = 0): string[] =>
  decide(given, new Map(Object.entries(states)), now).map((step) =>
    "instanceId" in step ? `${step.kind} ${step.instanceId}` : step.kind,
  );

describe("a group decides", () => {
  test("launches what is missing, and waits its time after a failure", () => {
    assert.deepEqual(steps(group(), {}), ["launch"]);
    assert.deepEqual(steps(group({ nextLaunchAt: 5 }), {}, 4), []);
    assert.deepEqual(steps(group({ nextLaunchAt: 5 }), {}, 5), ["launch"]);
    assert.deepEqual([1, 2, 3, 9].map(backoffMs), [1000, 2000, 4000, 30_000]);
  });

  test("leaves a healthy machine alone", () => {
    const one = group({ instances: [instance("a")] });
    for (const state of ["running", "pending"] as const)
      assert.deepEqual(steps(one, { a: state }), []);
  });

  test("terminates before it launches, whatever is wrong", () => {
    const one = group({ instances: [instance("a")] });
    for (const state of ["stopped", "stopping", "shutting-down", "terminated", "gone"] as const) {
      assert.deepEqual(steps(one, { a: state }), ["terminate a", "launch"], state);
    }
    const ill = group({ instances: [instance("a", { healthStatus: "Unhealthy" })] });
    assert.deepEqual(steps(ill, { a: "running" }), ["terminate a", "launch"]);
  });

  test("forgets a machine only when it is gone", () => {
    const ending = group({
      desiredCapacity: 0,
      instances: [instance("a", { lifecycleState: "Terminating" })],
    });
    assert.deepEqual(steps(ending, { a: "shutting-down" }), []);
    assert.deepEqual(steps(ending, { a: "terminated" }), ["forget a"]);
  });

  test("a deleted group ends its machines, then itself", () => {
    const gone = group({ deleting: true, desiredCapacity: 0, instances: [instance("a")] });
    assert.deepEqual(steps(gone, { a: "running" }), ["terminate a"]);
    assert.deepEqual(steps(group({ deleting: true }), {}), ["remove"]);
  });

  test("never more machines than desired, in any state", () => {
    const states = fc.constantFrom<InstanceState>(
      "pending",
      "running",
      "stopped",
      "shutting-down",
      "terminated",
      "gone",
    );
    fc.assert(
      fc.property(
        fc.array(states, { maxLength: 4 }),
        fc.integer({ min: 0, max: 4 }),
        (all, desired) => {
          const instances = all.map((_, index) => instance(`i${index}`));
          const given = group({ instances, maxSize: 4, minSize: 0, desiredCapacity: desired });
          const taken = steps(
            given,
            Object.fromEntries(all.map((state, index) => [`i${index}`, state])),
          );
          const left = instances.filter(
            ({ instanceId }) => !taken.includes(`terminate ${instanceId}`),
          );
          const launches = taken.filter((step) => step === "launch").length;
          assert.equal(left.length + launches, desired);
        },
      ),
    );
  });
});

describe("policies", () => {
  const say = (
    statement: object,
    action: string,
    resource: string,
    context: Record<string, string[]> = {},
  ) =>
    verdict(parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statement })), {
      action,
      resource,
      context,
    });
  const allow = { Effect: "Allow", Action: "s3:Get*", Resource: "arn:aws:s3:::b/x/*" };

  test("wildcards in actions and resources; nothing is allowed that is not said", () => {
    assert.equal(say(allow, "s3:GetObject", "arn:aws:s3:::b/x/1"), "allow");
    assert.equal(say(allow, "S3:getobject", "arn:aws:s3:::b/x/1"), "allow");
    assert.equal(say(allow, "s3:PutObject", "arn:aws:s3:::b/x/1"), "silent");
    assert.equal(say(allow, "s3:GetObject", "arn:aws:s3:::b/y/1"), "silent");
    assert.equal(matches("a.c?", "abcd"), false);
  });

  test("a denial wins", () => {
    const deny = { Effect: "Deny", Action: "*", Resource: "*" };
    assert.equal(say([allow, deny], "s3:GetObject", "arn:aws:s3:::b/x/1"), "deny");
  });

  test("conditions", () => {
    const under = (Condition: object, context: Record<string, string[]>) =>
      say({ ...allow, Condition }, "s3:GetObject", "arn:aws:s3:::b/x/1", context) === "allow";
    const cases: [object, Record<string, string[]>, boolean][] = [
      [{ StringEquals: { "aws:ResourceTag/m": "1" } }, { "aws:resourcetag/m": ["1"] }, true],
      [{ StringEquals: { "aws:ResourceTag/m": "1" } }, {}, false],
      [{ StringEqualsIfExists: { k: "1" } }, {}, true],
      [{ StringNotEquals: { k: "1" } }, {}, true],
      [{ StringNotEquals: { k: "1" } }, { k: ["1"] }, false],
      [{ StringLike: { k: ["a*", "b?"] } }, { k: ["bx"] }, true],
      [{ Bool: { k: "true" } }, { k: ["true"] }, true],
      [{ Bool: { k: "true" } }, { k: ["false"] }, false],
      [{ Null: { k: "true" } }, {}, true],
      [{ Null: { k: "false" } }, { k: ["x"] }, true],
      [{ Null: { k: "true", j: "true" } }, { j: ["x"] }, false],
      [{ ArnEquals: { k: "arn:aws:kms:*:1:key/*" } }, { k: ["arn:aws:kms:eu:1:key/2"] }, true],
      [{ ArnEquals: { k: "arn:aws:kms:*:1:key/*" } }, { k: ["arn:aws:kms:eu:2:key/2"] }, false],
      [{ "ForAnyValue:StringEquals": { k: ["a"] } }, { k: ["b", "a"] }, true],
      [{ "ForAllValues:StringEquals": { k: ["a"] } }, { k: ["b", "a"] }, false],
      [{ "ForAllValues:StringEquals": { k: ["a"] } }, {}, true],
      [{ StringEquals: { k: "${j}" } }, { k: ["x"], j: ["x"] }, true],
      [{ StringEquals: { k: "${absent}" } }, { k: ["x"] }, false],
    ];
    for (const [condition, context, wanted] of cases) {
      assert.equal(under(condition, context), wanted, JSON.stringify([condition, context]));
    }
  });

  test("what the evaluator does not know is an error, never a guess", () => {
    assert.throws(
      () =>
        say(
          { ...allow, Condition: { DateLessThan: { k: "2026" } } },
          "s3:GetObject",
          "arn:aws:s3:::b/x/1",
          { k: ["1"] },
        ),
      UnknownPolicyPart,
    );
    assert.throws(
      () => parsePolicy(JSON.stringify({ Statement: { ...allow, NotPrincipal: "*" } })),
      UnknownPolicyPart,
    );
    assert.throws(
      () => parsePolicy(JSON.stringify({ Statement: { Effect: "Maybe" } })),
      UnknownPolicyPart,
    );
  });
});

describe("reading requests", () => {
  const raw = (method: string, target: string, host = "127.0.0.1", headers = {}) => ({
    method,
    target,
    headers: { host, ...headers },
    body: Buffer.alloc(0),
    fromMachine: false,
  });

  test("S3 by path and by host are the same", () => {
    const byPath = readS3(raw("GET", "/bucket/a/b%20c?versionId=1"));
    const byHost = readS3(
      raw("GET", "/a/b%20c?versionId=1", "bucket.s3.eu-central-1.amazonaws.com"),
    );
    assert.deepEqual(byHost, byPath);
    assert.equal(byPath.operation, "GetObject");
    assert.equal(byPath.params.text("Key"), "a/b c");
    assert.equal(byHost.pathStyleTarget, "/bucket/a/b%20c?versionId=1");
    assert.equal(readS3(raw("GET", "/", "s3.eu-central-1.amazonaws.com")).operation, "ListBuckets");
  });

  test("S3 operations by method and sub-resource", () => {
    const name = (method: string, target: string, headers = {}) =>
      readS3(raw(method, target, "127.0.0.1", headers)).operation;
    assert.equal(name("PUT", "/b"), "CreateBucket");
    assert.equal(name("GET", "/b?list-type=2&prefix=x"), "ListObjectsV2");
    assert.equal(name("GET", "/b?versions"), "ListObjectVersions");
    assert.equal(name("PUT", "/b?publicAccessBlock"), "PutPublicAccessBlock");
    assert.equal(name("PUT", "/b/k?partNumber=1&uploadId=u"), "UploadPart");
    assert.equal(name("POST", "/b/k?uploads"), "CreateMultipartUpload");
    assert.equal(name("PUT", "/b/k", { "x-amz-copy-source": "/b/j" }), "CopyObject");
    assert.equal(name("PUT", "/b?acl"), "PUT ?acl");
  });

  test("Route 53 by path", () => {
    const { operation, params } = readRoute53(
      raw("GET", "/2013-04-01/hostedzone/Z1/rrset?maxitems=1"),
    );
    assert.equal(operation, "ListResourceRecordSets");
    assert.equal(params.text("Id"), "Z1");
    assert.equal(readRoute53(raw("GET", "/2013-04-01/healthcheck")).operation, "GET /healthcheck");
  });

  test("parameters of forms and of JSON are alike", () => {
    const form = Params.fromForm("Tags.member.2.Key=b&Tags.member.1.Key=a&X=1");
    const json = Params.fromJson({ Tags: [{ Key: "a" }, { Key: "b" }], X: 1 });
    for (const params of [form, json]) {
      assert.deepEqual(
        params.items("Tags").map((tag) => tag.text("Key")),
        ["a", "b"],
      );
      assert.equal(params.text("X"), "1");
      assert.equal(params.has("Tags"), true);
      assert.equal(params.has("Tag"), false);
    }
  });

  test("aws-chunked bodies: whole, signed or not, with trailers, and never half", () => {
    const body =
      "4;chunk-signature=00\r\nabcd\r\n2\r\nef\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n";
    assert.deepEqual(dechunk(Buffer.from(body)), {
      body: Buffer.from("abcdef"),
      trailers: { "x-amz-checksum-crc32": "AA==" },
    });
    for (const length of [3, 24, 30]) {
      assert.throws(() => dechunk(Buffer.from(body.slice(0, length))), /aws-chunked/);
    }
  });

  test("CIDR blocks: there and back, and overlap is symmetric", () => {
    const block = fc
      .tuple(fc.nat(2 ** 32 - 1), fc.integer({ min: 8, max: 30 }))
      .map(([at, prefix]) => {
        const size = 2 ** (32 - prefix);
        return `${addressText(at - (at % size))}/${prefix}`;
      });
    fc.assert(
      fc.property(block, block, (a, b) => {
        const [x, y] = [parseCidr(a), parseCidr(b)];
        assert.equal(`${addressText(x.first)}/${x.prefix}`, a);
        assert.equal(overlap(x, y), overlap(y, x));
        assert.equal(overlap(x, x), true);
      }),
    );
    assert.throws(() => parseCidr("10.0.0.1/24"));
    assert.throws(() => parseCidr("10.0.0.0/33"));
  });
});
