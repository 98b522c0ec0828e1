import { createHash } from "node:crypto";
import fc from "fast-check";

import { canonicalJson } from "../../../components/plan/canonicalJson";
import { etcdEnvironment } from "../../../components/plan/etcdEnvironment";
import { etcdMinor, etcdVersionProblem } from "../../../components/plan/etcdVersions";
import { firewall } from "../../../components/plan/firewall";
import { parseHealth } from "../../../components/plan/health";
import {
  bastionRolePolicy,
  bucketPolicy,
  keyPolicy,
  machineTrustPolicy,
  memberRolePolicy,
  type PolicyDocument,
  type Statement,
} from "../../../components/plan/iamDocuments";
import {
  memberConfigSchema,
  parseMemberConfig,
  renderMemberConfig,
  type MemberConfig,
} from "../../../components/plan/memberConfig";
import { mockVerify } from "../../support/awsMocks";
import { expectGolden } from "../../support/golden";

const scope = {
  partition: "aws",
  region: "eu-central-1",
  accountId: "123456789012",
  cluster: "etcd-dev",
  keyArn: "arn:aws:kms:eu-central-1:123456789012:key/0000",
};
const member = {
  ...scope,
  member: "m1",
  zone: "eu-central-1a",
  bucketArn: "arn:aws:s3:::etcd-dev-bucket",
};
const pretty = (value: unknown) => `${JSON.stringify(JSON.parse(canonicalJson(value)), null, 2)}\n`;
const list = (value: string | readonly string[] | undefined): readonly string[] =>
  value === undefined ? [] : typeof value === "string" ? [value] : value;

describe("canonical JSON", () => {
  test("the order of building does not matter, and JSON reads it back", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        const shuffled = (each: unknown): unknown =>
          Array.isArray(each)
            ? each.map(shuffled)
            : typeof each === "object" && each !== null
              ? Object.fromEntries(
                  Object.entries(each)
                    .reverse()
                    .map(([key, item]) => [key, shuffled(item)]),
                )
              : each;
        expect(canonicalJson(shuffled(value))).toBe(text);
      }),
    );
  });

  test.each([NaN, Infinity, undefined, () => 1, 1n, Symbol("x")])("%p has no place", (value) => {
    expect(() => canonicalJson({ value: [value] })).toThrow(/no place in JSON/);
  });
});

describe("IAM documents", () => {
  const documents: [string, PolicyDocument][] = [
    ["member-role", memberRolePolicy(member)],
    ["bastion-role", bastionRolePolicy(scope)],
    ["bucket", bucketPolicy(member.bucketArn)],
    ["key", keyPolicy(scope)],
    ["machine-trust", machineTrustPolicy()],
  ];

  test.each(documents)("%s", (name, document) => {
    expectGolden(__dirname, `${name}.json`, pretty(document));
    const sids = document.Statement.map(({ Sid }) => Sid);
    expect(new Set(sids).size).toBe(sids.length);
    for (const sid of sids) {
      expect(sid).toMatch(/^[A-Za-z0-9]+$/);
    }
  });

  const roles: [string, readonly Statement[]][] = [
    ["member", memberRolePolicy(member).Statement],
    ["bastion", bastionRolePolicy(scope).Statement],
  ];

  test.each(roles)(
    "role of the %s: no wildcard action, no deletion, no passing of roles",
    (_, statements) => {
      for (const action of statements.flatMap((statement) => list(statement.Action))) {
        expect(action).toMatch(/^[a-z0-9]+:[A-Za-z]+$/);
        expect(action).not.toMatch(/Delete|PassRole|PutBucket|PutKey/);
      }
    },
  );

  test.each(roles)("role of the %s: everything only where EC2 knows no other", (_, statements) => {
    for (const statement of statements.filter(({ Resource }) => list(Resource).includes("*"))) {
      const harmless = (action: string): boolean =>
        action.startsWith("ec2:Describe") ||
        (action === "cloudwatch:PutMetricData" &&
          statement.Condition?.["StringEquals"]?.["cloudwatch:namespace"] === "EtcdCluster");
      expect(list(statement.Action).filter((action) => !harmless(action))).toEqual([]);
    }
  });

  test("a member's role fits into an inline policy", () => {
    expect(canonicalJson(memberRolePolicy(member)).length).toBeLessThan(10_240);
  });

  test("a member writes only to its own places, and to the record only with a condition", () => {
    const writes = memberRolePolicy(member).Statement.filter(({ Action }) =>
      list(Action).includes("s3:PutObject"),
    );
    for (const { Resource, Condition } of writes) {
      for (const place of list(Resource)) {
        const key = place.replace(`${member.bucketArn}/`, "");
        expect(key).toMatch(/m1|^control\/cluster\.json$|^control\/sources\//);
        if (!/^config\/m1\/approved$|^control\/reports\/m1/.test(key)) {
          expect(Object.keys(Condition?.["Null"] ?? {})).toHaveLength(1);
        }
      }
    }
  });

  test("the bucket refuses unconditional writes and all deletions under control/, to everybody", () => {
    const [tls, deletion, conditional] = bucketPolicy(member.bucketArn).Statement;
    for (const statement of [tls, deletion, conditional]) {
      expect(statement?.Effect).toBe("Deny");
      expect(statement?.Principal).toBe("*");
    }
    expect(deletion?.Action).toEqual(["s3:DeleteObject", "s3:DeleteObjectVersion"]);
    expect(conditional?.Condition).toEqual({
      Null: { "s3:if-match": "true", "s3:if-none-match": "true" },
      Bool: { "s3:ObjectCreationOperation": "true" },
    });
  });

  test("China has its own partition and host names", () => {
    const text = canonicalJson(
      memberRolePolicy({ ...member, partition: "aws-cn", region: "cn-north-1" }),
    );
    expect(text).toContain("arn:aws-cn:ssm:cn-north-1:");
    expect(text).toContain("s3.cn-north-1.amazonaws.com.cn");
  });
});

describe("firewall", () => {
  const options = { adminCidrs: ["198.51.100.0/24"], clientCidrs: ["10.7.0.0/16"] };
  const table = (closed: boolean) =>
    firewall({ ...options, closed })
      .map(({ group, direction, port, peer }) => {
        const other =
          peer.kind === "group" ? peer.group : peer.kind === "cidr" ? peer.cidr : peer.kind;
        return `${group} ${direction === "ingress" ? "from" : "to"} ${other} ${port}\n`;
      })
      .join("");

  test("with NAT", () => {
    expectGolden(__dirname, "firewall-nat.txt", table(false));
  });

  test("without a way out", () => {
    expectGolden(__dirname, "firewall-closed.txt", table(true));
    expect(table(true)).not.toContain("0.0.0.0/0");
  });

  test("nobody comes in from everywhere; SSH to members comes from the bastion only", () => {
    for (const rule of firewall({ ...options, closed: false })) {
      if (rule.direction === "ingress") {
        expect(rule.peer).not.toEqual({ kind: "cidr", cidr: "0.0.0.0/0" });
        if (rule.group === "members" && rule.port === 22) {
          expect(rule.peer).toEqual({ kind: "group", group: "bastion" });
        }
      }
    }
  });

  test("what leaves one group for another is let in there, and the other way round", () => {
    const rules = firewall({ ...options, closed: false });
    const pairs = (direction: string) =>
      rules
        .filter((rule) => rule.direction === direction && rule.peer.kind === "group")
        .map(({ group, port, peer }) => {
          const other = peer.kind === "group" ? peer.group : "";
          return direction === "egress" ? `${group} ${other} ${port}` : `${other} ${group} ${port}`;
        })
        .sort();
    expect(pairs("ingress")).toEqual(pairs("egress"));
  });

  test("names are unique", () => {
    const names = firewall({ ...options, closed: true }).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("etcd's settings", () => {
  const settings = {
    member: "m1",
    address: "10.42.0.11",
    backendQuotaGiB: 2,
    grpcGateway: false,
  };

  test.each(["3.5.33", "3.6.14", "3.7.1"])("%s", (version) => {
    const lines = Object.entries(etcdEnvironment({ ...settings, version }))
      .map(([name, value]) => `${name}=${value}\n`)
      .sort();
    expectGolden(__dirname, `etcd-${etcdMinor(version)}.env`, lines.join(""));
  });

  test("3.7 would not start with an experimental flag, 3.5 does not know feature gates", () => {
    const names = (version: string) =>
      Object.keys(etcdEnvironment({ ...settings, version })).join(" ");
    expect(names("3.7.1")).not.toContain("EXPERIMENTAL");
    expect(names("3.6.14")).not.toContain("EXPERIMENTAL");
    expect(names("3.5.33")).not.toContain("FEATURE_GATES");
  });

  test("the gateway is open to who asked for it", () => {
    const on = etcdEnvironment({ ...settings, version: "3.6.14", grpcGateway: true });
    expect(on["ETCD_ENABLE_GRPC_GATEWAY"]).toBe("true");
  });

  test("versions that are refused have no settings", () => {
    for (const version of ["3.4.45", "3.8.0", "constructor", "3.6"]) {
      expect(etcdVersionProblem(version)).toBeDefined();
    }
    expect(() => etcdMinor("3.8.0")).toThrow(/not validated/);
  });
});

describe("a member's desired state", () => {
  const pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  const config: MemberConfig = {
    schema: 1,
    cluster: "etcd-dev",
    region: "eu-central-1",
    bucket: "etcd-dev-bucket",
    member: "m1",
    zone: "eu-central-1a",
    address: "10.42.0.11",
    volume: {
      id: "vol-0123456789abcdef0",
      device: "/dev/sdf",
      sizeGiB: 20,
      iops: 3000,
      throughputMiBps: 125,
      kmsKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555",
    },
    artifacts: {
      node: { sha256: "a".repeat(64) },
      agent: { sha256: "b".repeat(64) },
      etcd: { sha256: "c".repeat(64), version: "3.6.14" },
    },
    etcd: { environment: { ETCD_NAME: "m1" } },
    certificates: {
      ...{ authorities: "1", clientCa: pem, peerCa: pem, server: pem + pem, peer: pem, agent: pem },
      revoked: [],
    },
    parameters: {
      serverKey: "/etcd-dev/m1/server-key",
      peerKey: "/etcd-dev/m1/peer-key",
      agentKey: "/etcd-dev/m1/agent-key",
      sshHostKey: "/etcd-dev/m1/ssh-host-key",
    },
    initialMembers: [{ name: "m1", address: "10.42.0.11", volumeId: "vol-0123456789abcdef0" }],
    recovery: { mode: "automatic", quorumLossSeconds: 180, volumeLossSeconds: 600 },
    access: { enabled: false, users: [] },
    backup: { everyMinutes: 15, keepLast: 96, drillEveryHours: 24 },
  };

  test("what is rendered can be read, by its hash only", () => {
    const { text, sha256 } = renderMemberConfig(config);
    expect(sha256).toBe(createHash("sha256").update(text).digest("hex"));
    expect(parseMemberConfig(text, sha256)).toEqual(config);
    expect(() => parseMemberConfig(`${text} `, sha256)).toThrow(/has the hash/);
  });

  const refused: [string, unknown][] = [
    ["an unknown field", { ...config, extra: 1 }],
    ["an unknown field inside", { ...config, volume: { ...config.volume, format: true } }],
    ["another schema", { ...config, schema: 2 }],
    [
      "a variable that the agent owns",
      { ...config, etcd: { environment: { ETCD_INITIAL_CLUSTER_STATE: "new" } } },
    ],
    ["a variable of something else", { ...config, etcd: { environment: { LD_PRELOAD: "/x.so" } } }],
    [
      "a value with a line break",
      { ...config, etcd: { environment: { ETCD_NAME: "m1\nETCD_X=1" } } },
    ],
    ["a value with quotes", { ...config, etcd: { environment: { ETCD_NAME: '"m1"' } } }],
    ["a member's name with a path", { ...config, member: "m1/../m2" }],
    [
      "a private key among certificates",
      {
        ...config,
        certificates: {
          ...config.certificates,
          server: pem.replaceAll("CERTIFICATE", "PRIVATE KEY"),
        },
      },
    ],
    ["itself with another address", { ...config, address: "10.42.0.12" }],
    ["itself with another volume", { ...config, volume: { ...config.volume, id: "vol-00000000" } }],
    [
      "two members with one address",
      {
        ...config,
        initialMembers: [
          ...config.initialMembers,
          { name: "m2", address: "10.42.0.11", volumeId: "vol-11111111" },
        ],
      },
    ],
    [
      "an unhurried hash",
      { ...config, artifacts: { ...config.artifacts, node: { sha256: "A".repeat(64) } } },
    ],
    [
      "an impatient recovery",
      { ...config, recovery: { ...config.recovery, quorumLossSeconds: 1 } },
    ],
    ["backups without a pause", { ...config, backup: { ...config.backup, everyMinutes: 0 } }],
    ["one backup only", { ...config, backup: { ...config.backup, keepLast: 1 } }],
    ["an unknown wish", { ...config, backup: { ...config.backup, keepDays: 30 } }],
    [
      "a volume given up at once",
      { ...config, recovery: { ...config.recovery, volumeLossSeconds: 1 } },
    ],
  ];

  test.each(refused)("%s is refused", (_, value) => {
    expect(memberConfigSchema.safeParse(value).success).toBe(false);
  });
});

describe("verify's answer", () => {
  test("a good line", () => {
    expect(parseHealth("m1", mockVerify("m1"))).toMatchObject({
      name: "m1",
      role: "leader",
      revision: 7,
    });
  });

  test.each(["", "{}", "not json", mockVerify("m2")])(
    "anything else is an error that shows it: %j",
    (stdout) => {
      expect(() => parseHealth("m1", stdout)).toThrow(/verify of m1 printed what cannot be read/);
    },
  );
});
