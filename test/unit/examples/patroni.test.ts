import {
  databaseProblems,
  databaseSql,
  machineFiles,
  machinePolicy,
  patroniConfig,
  userData,
} from "../../../examples/patroni/plan";
import { machineFile } from "../../../examples/patroni/postgresMachine";

const settings = {
  scope: "patroni",
  machine: "pg2",
  address: "10.42.24.9",
  addresses: ["10.42.8.12", "10.42.24.9", "10.42.40.7"],
  endpoints: ["https://10.42.8.5:2379", "https://10.42.24.5:2379", "https://10.42.40.5:2379"],
  database: "app",
  user: "app",
  volumeSizeGiB: 20,
  passwords: { postgres: "p".repeat(43), replicator: "r".repeat(43), rewind: "w".repeat(43) },
};

/** What a text of Patroni's is, without knowing its form. */
const config = JSON.parse(patroniConfig(settings)) as {
  bootstrap: { dcs: Record<string, unknown> };
  etcd3: { hosts: string[]; protocol: string };
  postgresql: { pg_hba: string[]; authentication: Record<string, Record<string, string>> };
  restapi: Record<string, string>;
};

describe("what keeps committed rows", () => {
  test("a quorum confirms every commit, or there is none; a store that is away demotes nobody who still has everybody", () => {
    expect(config.bootstrap.dcs).toMatchObject({
      synchronous_mode: "quorum",
      synchronous_mode_strict: true,
      failsafe_mode: true,
    });
  });

  test("the key lives longer than two attempts and a pause, as Patroni asks for", () => {
    const dcs = config.bootstrap.dcs as Record<"ttl" | "loop_wait" | "retry_timeout", number>;
    expect(dcs.ttl).toBeGreaterThanOrEqual(dcs.loop_wait + 2 * dcs.retry_timeout);
  });
});

describe("who may speak to whom", () => {
  test("nobody comes by TCP without TLS and a password, and machines only check whom they ask", () => {
    for (const rule of config.postgresql.pg_hba) {
      expect(rule).toMatch(/^local all postgres peer$|^hostssl .* scram-sha-256$/);
    }
    for (const user of Object.values(config.postgresql.authentication)) {
      expect(user["sslmode"]).toBe("verify-full");
    }
  });

  test("all members of the store are asked, by TLS; changing something by REST takes a certificate", () => {
    expect(config.etcd3).toMatchObject({
      hosts: ["10.42.8.5:2379", "10.42.24.5:2379", "10.42.40.5:2379"],
      protocol: "https",
    });
    expect(config.restapi["verify_client"]).toBe("optional");
    expect(config.restapi["cafile"]).toBe(machineFiles["ca.crt"].file);
  });
});

describe("AWS's limits", () => {
  const boot = { scope: "patroni", machine: "pg2", region: "eu-central-1", volumeId: "vol-0123" };

  test("user data has room, and nothing secret", () => {
    const text = userData(boot, machineFile);
    expect(Buffer.byteLength(text)).toBeLessThan(16 * 1024);
    expect(text.startsWith("#cloud-config\n{")).toBe(true);
    for (const password of Object.values(settings.passwords)) expect(text).not.toContain(password);
  });

  test("every parameter fits into the standard tier, and one request gets them all", () => {
    const widest = {
      ...settings,
      scope: "p".repeat(24),
      database: "d".repeat(31),
      user: "d".repeat(31),
    };
    expect(Buffer.byteLength(patroniConfig(widest))).toBeLessThan(4096);
    expect(Object.keys(machineFiles).length).toBeLessThanOrEqual(10);
  });

  test("a machine reads its own parameters, through the parameter store alone", () => {
    const policy = machinePolicy({
      ...{ partition: "aws", region: "eu-central-1", accountId: "123456789012", keyArn: "arn:key" },
      ...{ scope: "patroni", machine: "pg2" },
    });
    expect((JSON.parse(policy) as { Statement: unknown }).Statement).toEqual([
      {
        Sid: "ReadOwnSecrets",
        Effect: "Allow",
        Action: "ssm:GetParameters",
        Resource: "arn:aws:ssm:eu-central-1:123456789012:parameter/patroni/pg2/*",
      },
      {
        Sid: "DecryptThem",
        Effect: "Allow",
        Action: "kms:Decrypt",
        Resource: "arn:key",
        Condition: { StringEquals: { "kms:ViaService": "ssm.eu-central-1.amazonaws.com" } },
      },
    ]);
  });
});

test("a database is not called what PostgreSQL or Patroni call something of theirs", () => {
  for (const good of ["app", "shop_2", "d".repeat(31)]) expect(databaseProblems(good)).toEqual([]);
  const bad = ["postgres", "replicator", "rewind", "template1", "public", "pg_shop", "Shop", "1"];
  for (const name of [...bad, "all", "replication", "", "d".repeat(32), 'a"; DROP']) {
    expect(databaseProblems(name)).toEqual([expect.stringContaining(JSON.stringify(name))]);
  }
});

test("a password does not reach PostgreSQL's log, even if its statement fails", () => {
  const lines = databaseSql("app", "app", "secret").split("\n");
  const at = (text: string) => lines.findIndex((line) => line.includes(text));
  expect(at("log_min_error_statement = panic")).toBe(0);
  expect(at("secret")).toBeGreaterThan(at("log_statement = none"));
});
