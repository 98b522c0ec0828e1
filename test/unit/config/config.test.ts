import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

import { describeProblems } from "../../../components/plan/problems";
import { readConfig, settingNames, type RawConfig } from "../../../config";

/** Pulumi hands over text; lists and objects as JSON. */
function raw(values: Record<string, unknown>): RawConfig {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [
        key.includes(":") ? key : `etcd-cluster:${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
  );
}

const hash = "0".repeat(64);
const base = {
  "aws:region": "eu-central-1",
  adminCidrs: ["198.51.100.0/24"],
  artifacts: { node: { sha256: hash }, etcd: { sha256: hash } },
};
const subnets = (letters: string) =>
  Array.from(letters, (letter, index) => ({
    zone: `eu-central-1${letter}`,
    privateSubnetId: `subnet-0000000${index}`,
    publicSubnetId: `subnet-1000000${index}`,
  }));

const noFiles = (path: string): string => {
  throw new Error(`no such file: ${path}`);
};

function problemsOf(values: Record<string, unknown>) {
  return readConfig(raw({ ...base, ...values }), noFiles).problems;
}

/** What, the setting, then path, value, rule and remedy of the one problem. */
type Bad = [string, Record<string, unknown>, string, unknown, RegExp, RegExp];

const bad: Bad[] = [
  ["two members", { size: 2 }, "size", 2, /even size/, /choose 1/],
  ["four members", { size: 4 }, "size", 4, /even size/, /choose 3/],
  ["six members", { size: 6 }, "size", 6, /even size/, /choose 5/],
  ["nine members", { size: 9 }, "size", 9, /1, 3, 5 or 7.*slower/, /choose 7/],
  ["no members", { size: 0 }, "size", 0, /1, 3, 5 or 7/, /choose 3/],
  ["half a member", { size: 2.5 }, "size", 2.5, /1, 3, 5 or 7/, /choose 1/],
  ["size as a word", { size: "three" }, "size", "three", /form.*number/, /stack's file/],
  [
    "fewer zones than surviving a zone needs",
    { zones: ["eu-central-1a", "eu-central-1b"] },
    "zones",
    ["eu-central-1a", "eu-central-1b"],
    /3 members tolerate 1 failures.*needs 3 zones/,
    /more zones.*size 1/,
  ],
  ["no zone", { size: 1, zones: [] }, "zones", [], /needs 1 zones/, /name a zone/],
  [
    "a zone of another region",
    { zones: ["eu-central-1a", "eu-west-1b", "eu-central-1c"] },
    "zones[1]",
    "eu-west-1b",
    /not an availability zone of eu-central-1/,
    /eu-central-1a/,
  ],
  [
    "a zone that is none",
    { zones: ["eu-central-1a", "eu-central-1b", "eu-central-1"] },
    "zones[2]",
    "eu-central-1",
    /not an availability zone/,
    /eu-central-1a/,
  ],
  [
    "a zone twice",
    { zones: ["eu-central-1a", "eu-central-1b", "eu-central-1b"] },
    "zones",
    ["eu-central-1a", "eu-central-1b", "eu-central-1b"],
    /named twice/,
    /once/,
  ],
  [
    "a region with two zones",
    { "aws:region": "us-west-1" },
    "zones",
    ["us-west-1a", "us-west-1b"],
    /needs 3 zones/,
    /another region/,
  ],
  [
    "an unknown region",
    { "aws:region": "eu-middle-1", zones: ["a", "b", "c"].map((z) => `eu-middle-1${z}`) },
    "aws:region",
    "eu-middle-1",
    /not an AWS region/,
    /eu-central-1/,
  ],
  [
    "a region's name with tricks",
    { "aws:region": "__proto__", zones: ["x", "y", "z"] },
    "aws:region",
    "__proto__",
    /not an AWS region/,
    /eu-central-1/,
  ],
  [
    "a malformed VPC CIDR",
    { vpcCidr: "10.42.0.0" },
    "vpcCidr",
    "10.42.0.0",
    /four numbers.*slash/,
    /10\.42\.0\.0\/16/,
  ],
  [
    "host bits in a CIDR",
    { vpcCidr: "10.42.1.0/16" },
    "vpcCidr",
    "10.42.1.0/16",
    /bits after the prefix zero/,
    /10\.42\.0\.0\/16/,
  ],
  [
    "an octet too many",
    { vpcCidr: "10.42.0.256/24" },
    "vpcCidr",
    "10.42.0.256/24",
    /up to 255/,
    /10\.42\.0\.0\/16/,
  ],
  [
    "a VPC too large",
    { vpcCidr: "10.0.0.0/8" },
    "vpcCidr",
    "10.0.0.0/8",
    /\/16 at most/,
    /smaller/,
  ],
  [
    "subnets too small",
    { vpcCidr: "10.42.0.0/26" },
    "vpcCidr",
    "10.42.0.0/26",
    /\/30, too small: AWS's smallest is \/28/,
    /\/24/,
  ],
  [
    "a VPC over link-local addresses",
    { vpcCidr: "169.254.0.0/16" },
    "vpcCidr",
    "169.254.0.0/16",
    /overlaps 169\.254\.0\.0\/16.*metadata/,
    /private block/,
  ],
  [
    "a multicast VPC",
    { vpcCidr: "239.1.0.0/16" },
    "vpcCidr",
    "239.1.0.0/16",
    /overlaps 224\.0\.0\.0\/3/,
    /private block/,
  ],
  ["nobody let in", { adminCidrs: [] }, "adminCidrs", [], /somebody must be let in/, /pulumi up/],
  [
    "the world as administrators",
    { adminCidrs: ["0.0.0.0/0"] },
    "adminCidrs[0]",
    "0.0.0.0/0",
    /whole internet/,
    /allowAdminFromAnywhere/,
  ],
  [
    "half the world",
    { adminCidrs: ["198.51.100.0/24", "0.0.0.0/1"] },
    "adminCidrs[1]",
    "0.0.0.0/1",
    /whole internet/,
    /allowAdminFromAnywhere/,
  ],
  [
    "a malformed admin CIDR",
    { adminCidrs: ["198.51.100.7"] },
    "adminCidrs[0]",
    "198.51.100.7",
    /slash/,
    /\/32/,
  ],
  [
    "admin CIDRs that overlap",
    { adminCidrs: ["198.51.100.0/24", "198.51.100.7/32"] },
    "adminCidrs[1]",
    "198.51.100.7/32",
    /overlaps 198\.51\.100\.0\/24/,
    /larger/,
  ],
  [
    "administrators inside the VPC",
    { adminCidrs: ["10.42.3.0/24"] },
    "adminCidrs[0]",
    "10.42.3.0/24",
    /overlaps the VPC/,
    /vpcCidr/,
  ],
  [
    "clients from everywhere",
    { clientCidrs: ["0.0.0.0/0"] },
    "clientCidrs[0]",
    "0.0.0.0/0",
    /never opened to everybody/,
    /clientSecurityGroup/,
  ],
  [
    "client CIDRs that overlap",
    { clientCidrs: ["10.1.0.0/16", "10.1.2.0/24"] },
    "clientCidrs[1]",
    "10.1.2.0/24",
    /overlaps 10\.1\.0\.0\/16/,
    /larger/,
  ],
  [
    "too many admin CIDRs",
    { adminCidrs: Array.from({ length: 41 }, (_, i) => `198.51.100.${i}/32`) },
    "adminCidrs",
    "41 blocks",
    /room for 40/,
    /join/,
  ],
  [
    "etcd below its floor",
    { etcdVersion: "3.6.13" },
    "etcdVersion",
    "3.6.13",
    /floor of 3\.6 is 3\.6\.14/,
    /3\.6\.14/,
  ],
  [
    "etcd 3.5 below its floor",
    { etcdVersion: "3.5.26" },
    "etcdVersion",
    "3.5.26",
    /floor of 3\.5 is 3\.5\.33.*3\.5\.32/,
    /3\.5\.33/,
  ],
  ["etcd 3.8", { etcdVersion: "3.8.0" }, "etcdVersion", "3.8.0", /no stable release/, /3\.6\.14/],
  ["etcd 3.4", { etcdVersion: "3.4.45" }, "etcdVersion", "3.4.45", /not supported/, /3\.6\.14/],
  ["no patch", { etcdVersion: "3.6" }, "etcdVersion", "3.6", /three numbers/, /3\.6\.14/],
  ["latest", { etcdVersion: "latest" }, "etcdVersion", "latest", /three numbers/, /3\.6\.14/],
  [
    "a quota above the disk",
    { volumeSizeGiB: 20, backendQuotaGiB: 8 },
    "backendQuotaGiB",
    8,
    /\(20 GiB\).*three times/,
    /24 or more/,
  ],
  [
    "a quota above etcd's limit",
    { volumeSizeGiB: 100, backendQuotaGiB: 16 },
    "backendQuotaGiB",
    16,
    /0\.25 to 8/,
    /range/,
  ],
  [
    "the gateway beside access control",
    { grpcGateway: true, accessControl: { enabled: true } },
    "grpcGateway",
    true,
    /no certificate's name counts/,
    /turn one of the two off/,
  ],
  ["no quota", { backendQuotaGiB: 0 }, "backendQuotaGiB", 0, /0\.25 to 8/, /range/],
  [
    "a quota between two quarters",
    { backendQuotaGiB: 0.3 },
    "backendQuotaGiB",
    0.3,
    /multiple of 0\.25/,
    /range/,
  ],
  ["a disk too large", { volumeSizeGiB: 20_000 }, "volumeSizeGiB", 20_000, /3 to 16384/, /range/],
  ["a fraction of a GiB", { volumeSizeGiB: 20.5 }, "volumeSizeGiB", 20.5, /whole number/, /range/],
  ["too few IOPS", { volumeIops: 2999 }, "volumeIops", 2999, /3000 to 16000/, /range/],
  [
    "more IOPS than the size gives",
    { volumeIops: 12_000 },
    "volumeIops",
    12_000,
    /500 IOPS per GiB, here 10000/,
    /volumeSizeGiB/,
  ],
  [
    "more throughput than the IOPS give",
    { volumeThroughputMiBps: 1000 },
    "volumeThroughputMiBps",
    1000,
    /quarter MiB.*here 750/,
    /4000 or more/,
  ],
  ["a root disk too small", { rootVolumeSizeGiB: 2 }, "rootVolumeSizeGiB", 2, /8 to 1024/, /range/],
  [
    "an arm64 type with amd64 artifacts",
    { instanceType: "m7g.large" },
    "instanceType",
    "m7g.large",
    /arm64 type.*amd64/,
    /Intel or AMD/,
  ],
  [
    "an arm64 bastion",
    { bastionInstanceType: "t4g.nano" },
    "bastionInstanceType",
    "t4g.nano",
    /arm64 type/,
    /Intel or AMD/,
  ],
  [
    "a type that is none",
    { instanceType: "large" },
    "instanceType",
    "large",
    /family and a size/,
    /m7i\.large/,
  ],
  [
    "an existing VPC without its subnets",
    {
      existingNetwork: { vpcId: "vpc-01234567" },
      zones: ["a", "b", "c"].map((z) => `eu-central-1${z}`),
    },
    "existingNetwork.subnets",
    [],
    /comes with its subnets/,
    /privateSubnetId/,
  ],
  [
    "an existing VPC that lacks a zone",
    {
      existingNetwork: { vpcId: "vpc-01234567", subnets: subnets("ab") },
      zones: ["a", "b", "c"].map((z) => `eu-central-1${z}`),
    },
    "existingNetwork.subnets",
    ["eu-central-1a", "eu-central-1b"],
    /no subnets for eu-central-1c/,
    /add them/,
  ],
  [
    "an existing VPC's id",
    { existingNetwork: { vpcId: "my-vpc", subnets: subnets("abc") } },
    "existingNetwork.vpcId",
    "my-vpc",
    /not the id of a vpc/,
    /vpc-0123/,
  ],
  [
    "an unknown field",
    { existingNetwork: { vpcId: "vpc-01234567", subnets: subnets("abc"), cidr: "10.0.0.0/16" } },
    "existingNetwork.cidr",
    "10.0.0.0/16",
    /no such setting/,
    /there are vpcId, subnets$/,
  ],
  [
    "an address outside its subnet",
    { memberAddresses: { m1: "10.42.16.10" } },
    'memberAddresses["m1"]',
    "10.42.16.10",
    /outside the private subnet of eu-central-1a, 10\.42\.0\.0\/20/,
    /inside/,
  ],
  [
    "an address of AWS's own",
    { memberAddresses: { m1: "10.42.0.3" } },
    'memberAddresses["m1"]',
    "10.42.0.3",
    /first four/,
    /another/,
  ],
  [
    "an address that is none",
    { memberAddresses: { m1: "10.42.0.010" } },
    'memberAddresses["m1"]',
    "10.42.0.010",
    /not an IPv4 address/,
    /10\.42\.0\.10/,
  ],
  [
    "a member that does not exist",
    { memberAddresses: { m4: "10.42.0.10" } },
    'memberAddresses["m4"]',
    "10.42.0.10",
    /no member of this name/,
    /m1 to m3/,
  ],
  [
    "a member's name with a command in it",
    { memberAddresses: { "m1; rm -rf /": "10.42.0.10" } },
    'memberAddresses["m1; rm -rf /"]',
    "10.42.0.10",
    /no member/,
    /m1 to m3/,
  ],
  [
    "a cluster's name too long",
    { clusterName: "a".repeat(25), domain: "etcd.internal" },
    "clusterName",
    "a".repeat(25),
    /at most 24.*target groups/,
    /etcd-dev/,
  ],
  [
    "a cluster's name with a command in it",
    { clusterName: "etcd$(reboot)", domain: "etcd.internal" },
    "clusterName",
    "etcd$(reboot)",
    /lower-case letters/,
    /etcd-dev/,
  ],
  [
    "a reserved cluster name",
    { clusterName: "aws-etcd" },
    "clusterName",
    "aws-etcd",
    /does not begin with/,
    /etcd-dev/,
  ],
  [
    "two hyphens",
    { clusterName: "etcd--dev" },
    "clusterName",
    "etcd--dev",
    /two hyphens/,
    /etcd-dev/,
  ],
  [
    "a domain of one label",
    { domain: "etcd" },
    "domain",
    "etcd",
    /two or more labels/,
    /etcd\.internal/,
  ],
  [
    "a domain with a final dot",
    { domain: "etcd.internal." },
    "domain",
    "etcd.internal.",
    /final dot/,
    /etcd\.internal/,
  ],
  [
    "an unknown way out",
    { egress: "proxy" },
    "egress",
    "proxy",
    /form.*natPerZone/,
    /stack's file/,
  ],
  [
    "no hash for etcd",
    { artifacts: { node: { sha256: hash } } },
    "artifacts.etcd.sha256",
    undefined,
    /SHA-256 is known.*github\.com\/etcd-io/,
    /SHA256SUMS/,
  ],
  [
    "half a hash",
    { artifacts: { node: { sha256: "abc" }, etcd: { sha256: hash } } },
    "artifacts.node.sha256",
    "abc",
    /64 lower-case/,
    /sha256sum/,
  ],
  [
    "a download without TLS",
    { artifacts: { node: { sha256: hash, url: "http://x/y" }, etcd: { sha256: hash } } },
    "artifacts.node.url",
    "http://x/y",
    /https/,
    /https/,
  ],
  [
    "a missing local file",
    { artifacts: { node: { path: "/nowhere" }, etcd: { sha256: hash } } },
    "artifacts.node.path",
    "/nowhere",
    /cannot be read.*no such file/,
    /absolute path/,
  ],
  ["an image that is none", { amiId: "debian" }, "amiId", "debian", /ami-0123/, /stack's file/],
  [
    "certificates for a week",
    { certificateValidityDays: 7 },
    "certificateValidityDays",
    7,
    /30 to 1825/,
    /range/,
  ],
  [
    "a hasty recovery",
    { recovery: { quorumLossSeconds: 5 } },
    "recovery.quorumLossSeconds",
    5,
    /10 to 86400/,
    /range/,
  ],
  [
    "a volume given up at once",
    { recovery: { volumeLossSeconds: 29 } },
    "recovery.volumeLossSeconds",
    29,
    /30 to 86400/,
    /range/,
  ],
  [
    "backups without a pause",
    { backup: { everyMinutes: 0 } },
    "backup.everyMinutes",
    0,
    /1 to 1440/,
    /range/,
  ],
  ["one backup only", { backup: { keepLast: 1 } }, "backup.keepLast", 1, /2 to 10000/, /range/],
  [
    "backups for half a day",
    { backup: { keepDays: 0.5 } },
    "backup.keepDays",
    0.5,
    /1 to 3650/,
    /range/,
  ],
  [
    "drills that are never due",
    { backup: { drillEveryHours: 721 } },
    "backup.drillEveryHours",
    721,
    /1 to 720/,
    /range/,
  ],
  [
    "an alarm about a backup that is not due yet",
    { monitoring: { backupAgeMinutes: 15 } },
    "monitoring.backupAgeMinutes",
    15,
    /above backup.everyMinutes.*16 to 14400/,
    /range/,
  ],
  [
    "an alarm about a drill that is not due yet",
    { monitoring: { drillAgeHours: 24 } },
    "monitoring.drillAgeHours",
    24,
    /above backup.drillEveryHours.*25 to 2160/,
    /range/,
  ],
  [
    "an alarm about a certificate that nothing renews yet",
    { monitoring: { certificateDaysLeft: 122 } },
    "monitoring.certificateDaysLeft",
    122,
    /1 to 121/,
    /range/,
  ],
  [
    "a topic by its name",
    { monitoring: { topicArn: "alerts" } },
    "monitoring.topicArn",
    "alerts",
    /by its ARN/,
    /arn:aws:sns/,
  ],
  [
    "a first-in-first-out topic",
    { monitoring: { topicArn: "arn:aws:sns:eu-central-1:123456789012:alerts.fifo" } },
    "monitoring.topicArn",
    "arn:aws:sns:eu-central-1:123456789012:alerts.fifo",
    /standard SNS topic/,
    /arn:aws:sns/,
  ],
  [
    "two addresses",
    { monitoring: { email: "a@example.com,b@example.com" } },
    "monitoring.email",
    "a@example.com,b@example.com",
    /one address/,
    /etcd@example.com/,
  ],
  [
    "an address for somebody else's topic",
    {
      monitoring: {
        email: "a@example.com",
        topicArn: "arn:aws:sns:eu-central-1:123456789012:alerts",
      },
    },
    "monitoring.email",
    "a@example.com",
    /owner's affair/,
    /subscribe/,
  ],
  [
    "an unknown recovery",
    { recovery: { mode: "magic" } },
    "recovery.mode",
    "magic",
    /form.*automatic/,
    /stack's file/,
  ],
  [
    "a tag of AWS's",
    { tags: { "aws:x": "y" } },
    'tags["aws:x"]',
    "aws:x",
    /does not begin with aws:/,
    /rename/,
  ],
  [
    "a tag with a line break",
    { tags: { x: "a\nb" } },
    'tags["x"]',
    "a\nb",
    /at most 256/,
    /unusual/,
  ],
  [
    "too many tags",
    { tags: Object.fromEntries(Array.from({ length: 46 }, (_, i) => [`t${i}`, "x"])) },
    "tags",
    46,
    /50 tags/,
    /45/,
  ],
  ["a misspelt setting", { sise: 3 }, "sise", 3, /no such setting/, /there are clusterName, size/],
  [
    "a flag as text",
    { deletionProtection: "yes" },
    "deletionProtection",
    "yes",
    /form.*boolean/,
    /stack's file/,
  ],
];

describe("refused, with path, value, rule and remedy", () => {
  test.each(bad)("%s", (_, values, path, value, rule, remedy) => {
    const problems = problemsOf(values);
    expect(problems).toHaveLength(1);
    const [problem] = problems;
    expect(problem?.path).toBe(
      path.includes(":") && path.startsWith("aws") ? path : `etcd-cluster:${path}`,
    );
    expect(problem?.value).toEqual(value);
    expect(problem?.rule).toMatch(rule);
    expect(problem?.remedy).toMatch(remedy);
  });

  test("an even size comes with the table of size, quorum and tolerated failures", () => {
    const message = describeProblems(problemsOf({ size: 4 }));
    expect(message).toMatch(/size {2}quorum {2}tolerated failures\n/);
    expect(message).toMatch(/\n +3 {5}2 {7}1\n +4 {5}3 {7}1\n +5 {5}3 {7}2\n/);
  });

  test("a region must be set", () => {
    const [problem] = readConfig(raw({ ...base, "aws:region": undefined }), noFiles).problems;
    expect(problem?.path).toBe("aws:region");
    expect(problem?.remedy).toContain("pulumi config set aws:region");
  });

  test("all problems come in one message, each once", () => {
    const problems = problemsOf({
      size: 4,
      etcdVersion: "3.8.0",
      adminCidrs: "everybody",
      sise: 1,
    });
    const message = describeProblems(problems);
    expect(message).toMatch(
      /^The etcd cluster cannot be built as asked \(4 problems\); nothing was changed\./,
    );
    for (const path of ["size", "etcdVersion", "adminCidrs", "sise"]) {
      expect(message.split(`etcd-cluster:${path} is `)).toHaveLength(2);
    }
    expect(message.match(/Remedy: /g)).toHaveLength(4);
  });

  test("a long value does not drown the message", () => {
    const [problem] = problemsOf({ clusterName: "x".repeat(5000), domain: "etcd.internal" });
    expect(problem && describeProblems([problem]).length).toBeLessThan(600);
  });
});

const good: [string, Record<string, unknown>][] = [
  ["the least", {}],
  ["one member in one zone", { size: 1, zones: ["eu-central-1b"] }],
  ["one member with the default zones", { size: 1 }],
  ["five members", { size: 5 }],
  [
    "seven members in four zones of another region",
    { "aws:region": "us-east-1", size: 7, zones: ["a", "b", "c", "f"].map((z) => `us-east-1${z}`) },
  ],
  ["a region whose letters are others", { "aws:region": "ap-northeast-1" }],
  ["one member where there are two zones", { "aws:region": "us-west-1", size: 1 }],
  ["the smallest VPC", { vpcCidr: "192.168.7.0/24" }],
  ["a VPC in the shared range", { vpcCidr: "100.64.0.0/18" }],
  ["NAT gateways in every zone", { egress: "natPerZone" }],
  ["no way out", { egress: "vpcEndpoints" }],
  [
    "an existing VPC",
    { existingNetwork: { vpcId: "vpc-0123456789abcdef0", subnets: subnets("abc") } },
  ],
  [
    "a part of an existing VPC",
    {
      existingNetwork: { vpcId: "vpc-01234567", subnets: subnets("abcd") },
      zones: ["b", "c", "d"].map((z) => `eu-central-1${z}`),
    },
  ],
  [
    "fixed addresses",
    { memberAddresses: { m1: "10.42.0.10", m2: "10.42.16.10", m3: "10.42.32.10" } },
  ],
  [
    "the world as administrators, meant",
    { adminCidrs: ["0.0.0.0/0"], allowAdminFromAnywhere: true },
  ],
  ["clients inside the VPC", { clientCidrs: ["10.42.0.0/16", "10.7.0.0/16"] }],
  ["etcd 3.5 at its floor", { etcdVersion: "3.5.33" }],
  ["etcd 3.7 at its floor", { etcdVersion: "3.7.1" }],
  ["a newer patch", { etcdVersion: "3.6.20" }],
  ["the smallest quota", { backendQuotaGiB: 0.25 }],
  ["the largest quota on just enough disk", { backendQuotaGiB: 8, volumeSizeGiB: 24 }],
  ["a fast disk", { volumeSizeGiB: 100, volumeIops: 16_000, volumeThroughputMiBps: 1000 }],
  ["an AMD type", { instanceType: "c7a.medium", bastionInstanceType: "t3a.nano" }],
  ["a named image", { amiId: "ami-0123456789abcdef0" }],
  ["manual recovery", { recovery: { mode: "manual" } }],
  ["a backup every minute", { backup: { everyMinutes: 1, keepLast: 2, drillEveryHours: 1 } }],
  ["no alarms", { monitoring: { enabled: false } }],
  ["alarms by e-mail", { monitoring: { email: "etcd.alarms+prod@example.com" } }],
  [
    "alarms to a topic that is there, later than usual",
    {
      monitoring: {
        topicArn: "arn:aws-us-gov:sns:us-gov-west-1:123456789012:alerts",
        backupAgeMinutes: 14_400,
        drillAgeHours: 2160,
        certificateDaysLeft: 121,
      },
    },
  ],
  ["short-lived certificates", { certificateValidityDays: 30 }],
  ["a longest name", { clusterName: "a2345678901234567890123z" }],
  ["tags in any language", { tags: { Kostenträger: "Straße 5" } }],
  ["another domain", { domain: "etcd.corp.example.com" }],
  [
    "a mirror of the releases",
    {
      artifacts: {
        node: { sha256: hash, url: "https://mirror.example/node.tar.gz" },
        etcd: { sha256: hash },
      },
    },
  ],
  ["settings of other namespaces", { "aws:profile": "x", "other:thing": "y" }],
];

describe("accepted", () => {
  test.each(good)("%s", (_, values) => {
    expect(problemsOf(values)).toEqual([]);
  });

  test("local artifacts are hashed", () => {
    const artifacts = { node: { path: "/a" }, etcd: { path: "/b", sha256: hash } };
    const { config, problems } = readConfig(raw({ ...base, artifacts }), (path) =>
      path === "/a" ? "1".repeat(64) : noFiles(path),
    );
    expect(problems).toEqual([]);
    expect(config.args.artifacts?.node?.sha256).toBe("1".repeat(64));
  });

  test.each(["dev", "prod"])("the stack file %s, with the lab's artifacts", (stack) => {
    const text = readFileSync(join(__dirname, "..", "..", "..", `Pulumi.${stack}.yaml`), "utf8");
    const { config } = parse(text) as { config: Record<string, unknown> };
    const { artifacts } = base;
    expect(readConfig(raw({ artifacts, ...config }), noFiles).problems).toEqual([]);
  });
});

test("the README's table has every setting, and no other", () => {
  const readme = readFileSync(join(__dirname, "..", "..", "..", "README.md"), "utf8");
  const table = /\| key \(.*?\n\n/s.exec(readme)?.[0] ?? "";
  const named = Array.from(table.matchAll(/`([a-z][A-Za-z]+)`/g), ([, name]) => name ?? "");
  expect(settingNames.filter((name) => !named.includes(name))).toEqual([]);
  const firstColumn = Array.from(table.matchAll(/^\|([^|]*)\|/gm), ([, cell]) => cell ?? "").slice(
    2,
  );
  const keys = firstColumn.flatMap((cell) =>
    Array.from(cell.matchAll(/`([^`]+)`/g), ([, name]) => name),
  );
  expect(
    keys.filter((name) => name === undefined || !settingNames.some((each) => each === name)),
  ).toEqual([]);
});
