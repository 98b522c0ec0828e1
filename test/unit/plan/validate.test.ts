import fc from "fast-check";

import { clusterNameProblem, physicalNames } from "../../../components/plan/names";
import { resolveOptions, type ClusterOptions } from "../../../components/plan/options";
import { describeProblem } from "../../../components/plan/problems";
import { validate } from "../../../components/plan/validate";

const hash = "0".repeat(64);
const least: ClusterOptions = {
  region: "eu-central-1",
  adminCidrs: ["198.51.100.0/24"],
  artifacts: { node: { sha256: hash }, etcd: { sha256: hash } },
};

const problems = (options: Partial<ClusterOptions>) =>
  validate(resolveOptions("etcd", { ...least, ...options }));

describe("names", () => {
  // Half of them begin as some service's reserved names do; chance alone would rarely find those.
  const beginnings = ["internal", "aws", "ssm", "amzn", "sthree", "sg", "xn", "arn", "ami", "vpc"];
  const accepted = fc
    .tuple(
      fc.constantFrom("", "", "", "", ...beginnings, ...beginnings.map((each) => `${each}-`)),
      fc.stringMatching(/^[a-z0-9-]{0,18}$/),
    )
    .map((parts) => parts.join(""))
    .filter((name) => clusterNameProblem(name) === undefined);

  test("whatever is accepted fits AWS's limits in every name made from it", () => {
    fc.assert(
      fc.property(accepted, (cluster) => {
        const names = physicalNames(cluster, "ap-southeast-1");
        expect(names.balancer).toMatch(/^(?!internal-)[a-zA-Z0-9](-?[a-zA-Z0-9])*$/);
        expect(names.balancer.length).toBeLessThanOrEqual(32);
        expect(names.targetGroup.length).toBeLessThanOrEqual(32);
        expect(names.bucket("123456789012")).toMatch(
          /^(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/,
        );
        expect(names.role("bastion").length).toBeLessThanOrEqual(64);
        expect(names.securityGroup("members")).not.toMatch(/^sg-/);
        expect(`/${cluster}/m1/server-key`).not.toMatch(/^\/(aws|ssm)/i);
        expect(names.domain.length).toBeLessThanOrEqual(200);
      }),
    );
  });

  test("what could be more than a name is refused", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }).filter((text) => /[^a-z0-9-]/.test(text)),
        (text) => clusterNameProblem(text) !== undefined,
      ),
    );
  });

  test.each([
    "",
    "-etcd",
    "etcd-",
    "1etcd",
    "etcd--x",
    "Etcd",
    "sg/x",
    "__proto__",
    "internal-x",
    "sg",
    "sg-x",
    "amzn-s3-demo-x",
    "ssm",
    "a".repeat(25),
  ])("%j is refused", (name) => {
    expect(clusterNameProblem(name)).toBeDefined();
  });
});

describe("validation", () => {
  test("never throws, whatever it is given, and always names a remedy", () => {
    const anything = fc.record(
      {
        clusterName: fc.string(),
        region: fc.string(),
        size: fc.oneof(fc.integer(), fc.double()),
        zones: fc.array(fc.string(), { maxLength: 12 }),
        vpcCidr: fc.string(),
        adminCidrs: fc.array(fc.string()),
        clientCidrs: fc.array(fc.string()),
        memberAddresses: fc.dictionary(fc.string(), fc.string()),
        domain: fc.string(),
        instanceType: fc.string(),
        volumeSizeGiB: fc.double(),
        backendQuotaGiB: fc.double(),
        etcdVersion: fc.string(),
        tags: fc.dictionary(fc.string(), fc.string()),
      },
      { requiredKeys: ["region", "adminCidrs"] },
    );
    fc.assert(
      fc.property(anything, (options) => {
        for (const problem of validate(resolveOptions("etcd", options))) {
          expect(problem.path).not.toBe("");
          expect(problem.rule.length).toBeGreaterThan(10);
          expect(problem.remedy.length).toBeGreaterThan(5);
          expect(describeProblem(problem)).toContain("Remedy: ");
        }
      }),
    );
  });

  test("hidden names of JavaScript objects are no members, regions or versions", () => {
    for (const hostile of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
      const memberAddresses = JSON.parse(`{${JSON.stringify(hostile)}: "10.42.0.10"}`) as Record<
        string,
        string
      >;
      expect(problems({ memberAddresses })).toHaveLength(1);
      expect(problems({ etcdVersion: hostile })).toHaveLength(1);
      expect(problems({ region: hostile, zones: ["a", "b", "c"] })).toHaveLength(1);
    }
  });

  test("callers without a type checker: choices are checked too", () => {
    const egress = "tunnel" as unknown as "nat";
    expect(problems({ egress })[0]?.rule).toContain("nat, natPerZone, vpcEndpoints");
    const mode = "magic" as unknown as "manual";
    expect(problems({ recovery: { mode } })[0]?.path).toBe("recovery.mode");
  });

  test("an existing network: outputs pass, zones must be unique", () => {
    const subnet = (zone: string) => ({ zone, privateSubnetId: {}, publicSubnetId: {} });
    const subnets = ["a", "b", "c"].map((letter) => subnet(`eu-central-1${letter}`));
    expect(problems({ existingNetwork: { vpcId: {}, subnets } })).toEqual([]);
    const twice = [...subnets, subnet("eu-central-1a")];
    const zones = subnets.map(({ zone }) => zone);
    expect(problems({ zones, existingNetwork: { vpcId: {}, subnets: twice } })[0]?.rule).toContain(
      "two entries",
    );
  });
});
