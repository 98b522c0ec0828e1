import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { execa } from "execa";

/** boot.sh for real: dash, curl and python3 against a metadata service and a bucket that answer what the test wants. */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const base = mkdtempSync(join(tmpdir(), "etcd-boot-"));
const secret = "a/secret+access/key";
const session = "a-session-token==";

const sha256 = (bytes: Uint8Array | string): string =>
  createHash("sha256").update(bytes).digest("hex");

/** What the bucket holds, and what was asked of it. */
const objects = new Map<string, Uint8Array | string>();
const asked: { path: string; headers: Record<string, unknown> }[] = [];
let server: Server;
let origin: string;
let root: string;

/** A tar.gz with files of these names, as an upstream release has them. */
async function archive(name: string, files: Readonly<Record<string, string>>): Promise<Buffer> {
  const folder = join(base, `content-${name}`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { mode: 0o755 });
  }
  await execa("tar", ["-czf", join(base, `${name}.tar.gz`), "-C", folder, ...readdirSync(folder)]);
  return readFileSync(join(base, `${name}.tar.gz`));
}

function put(name: string, bytes: Uint8Array | string): string {
  const hash = sha256(bytes);
  objects.set(`/${name}/${hash}`, bytes);
  return hash;
}

/** Makes a document the approved one. */
function approve(document: unknown, member = "m1"): string {
  const text = `${JSON.stringify(document)}\n`;
  objects.set(`/config/${member}/${sha256(text)}.json`, text);
  objects.set(`/config/${member}/approved`, `${sha256(text)}\n`);
  return sha256(text);
}

async function boot(patienceSeconds = 20) {
  return execa("sh", [join(base, "boot.sh")], {
    reject: false,
    timeout: 60_000,
    all: true,
    env: {
      PATH: `${join(base, "bin")}:${process.env["PATH"] ?? ""}`,
      ETCD_BOOT_ROOT: root,
      ETCD_BOOT_METADATA: `${origin}/latest`,
      ETCD_BOOT_STORAGE: origin,
      ETCD_BOOT_PATIENCE_SECONDS: String(patienceSeconds),
      STUB_LOG: join(root, "stubs.log"),
    },
  });
}

describe("boot.sh", { timeout: 120_000 }, () => {
  let document: Record<string, unknown>;
  let hashes: { node: string; agent: string; etcd: string };

  before(async () => {
    server = createServer((request, response) => {
      const path = request.url ?? "";
      asked.push({ path, headers: { ...request.headers, method: request.method } });
      const answers: Record<string, string> = {
        "/latest/api/token": "imds-token",
        "/latest/meta-data/iam/security-credentials/": "the-role",
        "/latest/meta-data/iam/security-credentials/the-role": JSON.stringify({
          AccessKeyId: "ASIAEXAMPLE",
          SecretAccessKey: secret,
          Token: session,
        }),
      };
      const body = answers[path] ?? objects.get(path);
      response.statusCode = body === undefined ? 404 : 200;
      response.end(body ?? "");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const template = readFileSync(join(repository, "scripts", "boot.sh"), "utf8");
    const values: Record<string, string> = {
      CLUSTER: "test",
      MEMBER: "m1",
      BUCKET: "test-bucket",
      REGION: "eu-central-1",
    };
    writeFileSync(
      join(base, "boot.sh"),
      template.replace(/@([A-Z]+)@/g, (_, name: string) => values[name] ?? assert.fail(name)),
    );
    mkdirSync(join(base, "bin"));
    // What would change this host: written down instead.
    for (const name of ["systemctl", "useradd", "getent"]) {
      const status = name === "getent" ? 1 : 0;
      const text = `#!/bin/sh\necho "${name} $*" >> "$STUB_LOG"\nexit ${status}\n`;
      writeFileSync(join(base, "bin", name), text, { mode: 0o755 });
    }
    hashes = {
      node: put("artifacts", await archive("node", { "node-v24-linux-x64/bin/node": "node" })),
      agent: put(
        "artifacts",
        await archive("agent", {
          "agent.js": "agent",
          "proto/rpc.proto": "proto",
          "systemd/etcd.service": "unit",
          "systemd/agent-boot.service": "unit",
        }),
      ),
      etcd: put(
        "artifacts",
        await archive("etcd", {
          "etcd-v3.6.14-linux-amd64/etcd": "etcd",
          "etcd-v3.6.14-linux-amd64/etcdctl": "etcdctl",
          "etcd-v3.6.14-linux-amd64/etcdutl": "etcdutl",
          "etcd-v3.6.14-linux-amd64/README.md": "not needed",
        }),
      ),
    };
  });

  after(() => {
    server.close();
    rmSync(base, { recursive: true, force: true });
  });

  beforeEach(() => {
    root = mkdtempSync(join(base, "root-"));
    for (const folder of ["run", "etc/systemd/system"]) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    asked.length = 0;
    document = {
      schema: 1,
      cluster: "test",
      member: "m1",
      bucket: "test-bucket",
      region: "eu-central-1",
      artifacts: {
        node: { sha256: hashes.node },
        agent: { sha256: hashes.agent },
        etcd: { sha256: hashes.etcd, version: "3.6.14" },
      },
    };
  });

  const at = (path: string): string => join(root, path);
  const stubs = (): string => readFileSync(at("stubs.log"), "utf8");

  it("installs what the approved state names and hands over to the agent without waiting", async () => {
    const approved = approve(document);
    const { exitCode, all } = await boot();
    assert.equal(exitCode, 0, all);
    assert.equal(readFileSync(at("opt/etcd-cluster/node/bin/node"), "utf8"), "node");
    assert.equal(readFileSync(at("opt/etcd-cluster/agent/agent.js"), "utf8"), "agent");
    assert.equal(readFileSync(at("opt/etcd-cluster/etcd/3.6.14/etcdctl"), "utf8"), "etcdctl");
    assert.equal(readFileSync(at("opt/etcd-cluster/etcd/current/etcd"), "utf8"), "etcd");
    assert.equal(existsSync(at("opt/etcd-cluster/etcd/3.6.14/README.md")), false);
    assert.equal(readFileSync(at("etc/etcd-cluster/approved"), "utf8"), `${approved}\n`);
    assert.ok(existsSync(at(`etc/etcd-cluster/config/${approved}.json`)));
    assert.equal(
      readFileSync(at("etc/etcd-cluster/boot.env"), "utf8"),
      "CLUSTER=test\nMEMBER=m1\nBUCKET=test-bucket\nREGION=eu-central-1\n",
    );
    assert.ok(existsSync(at("etc/systemd/system/etcd.service")));
    assert.match(readFileSync(at("usr/local/bin/etcd-agent"), "utf8"), /NODE_USE_SYSTEM_CA=1/);
    assert.match(stubs(), /systemctl start --no-block agent-boot\.service/);
    assert.match(stubs(), /useradd --uid 2379/);
  });

  it("signs with the role's session, and says no secret", async () => {
    approve(document);
    const { all } = await boot();
    const toBucket = asked.filter(({ path }) => !path.startsWith("/latest/"));
    assert.ok(toBucket.length >= 5);
    for (const { path, headers } of toBucket) {
      assert.match(
        String(headers["authorization"]),
        /^AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE\/\d{8}\/eu-central-1\/s3\/aws4_request,.*x-amz-security-token/,
        path,
      );
      assert.equal(headers["x-amz-security-token"], session);
    }
    assert.ok(
      asked.some(({ path, headers }) => path.endsWith("/api/token") && headers["method"] === "PUT"),
    );
    assert.ok(!all.includes(secret) && !all.includes(session));
  });

  it("run again, fetches no artifact twice; with another approved state, only what differs", async () => {
    approve(document);
    await boot();
    asked.length = 0;
    const again = await boot();
    assert.equal(again.exitCode, 0, again.all);
    assert.deepEqual(
      asked.filter(({ path }) => path.startsWith("/artifacts/")),
      [],
    );
    const other = put("artifacts", await archive("agent2", { "agent.js": "2", "systemd/x": "" }));
    approve({
      ...document,
      artifacts: { ...(document["artifacts"] as object), agent: { sha256: other } },
    });
    asked.length = 0;
    await boot();
    assert.deepEqual(
      asked.filter(({ path }) => path.startsWith("/artifacts/")).map(({ path }) => path),
      [`/artifacts/${other}`],
    );
    assert.equal(readlinkSync(at("opt/etcd-cluster/agent")), `store/${other}`);
  });

  it("keeps nothing whose hash is another, and hands over nothing", async () => {
    const right = objects.get(`/artifacts/${hashes.etcd}`);
    assert.ok(right !== undefined);
    approve(document);
    objects.set(`/artifacts/${hashes.etcd}`, objects.get(`/artifacts/${hashes.node}`) ?? "");
    try {
      const { exitCode, all } = await boot(2);
      assert.notEqual(exitCode, 0);
      assert.match(all, /another hash/);
      assert.equal(existsSync(at(`opt/etcd-cluster/store/${hashes.etcd}`)), false);
      assert.equal(existsSync(at("usr/local/bin/etcd-agent")), false);
      assert.equal(existsSync(at("stubs.log")), false);
    } finally {
      objects.set(`/artifacts/${hashes.etcd}`, right);
    }
    const { exitCode } = await boot();
    assert.equal(exitCode, 0, "right bytes later are taken");
  });

  it("refuses a desired state that is not what its name says", async () => {
    const approved = approve(document);
    objects.set(`/config/m1/${approved}.json`, JSON.stringify({ ...document, bucket: "evil" }));
    const { exitCode, all } = await boot(2);
    assert.notEqual(exitCode, 0);
    assert.match(all, /another hash/);
    assert.deepEqual(
      readdirSync(at("etc/etcd-cluster/config")).filter((name) => name.endsWith(".json")),
      [],
    );
  });

  it("refuses another member's desired state", async () => {
    approve({ ...document, member: "m2" });
    const { exitCode, all } = await boot(2);
    assert.notEqual(exitCode, 0);
    assert.match(all, /not for this machine/);
    assert.equal(existsSync(at("stubs.log")), false);
  });

  it("gives up after its time when there is no approved state, and says so", async () => {
    objects.delete("/config/m1/approved");
    const { exitCode, all } = await boot(2);
    assert.equal(exitCode, 1);
    assert.match(all, /gave up: the approved desired state/);
  });
});
