import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { cache } from "../../lab/paths.ts";
import { testAuthority, type Pem, type TestAuthority } from "./agentSupport.ts";

/** The agent as it is delivered, `verify`, against three real etcds on loopback with mutual TLS. */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const members = [
  { name: "m1", address: "127.77.0.11", volumeId: "vol-00000001" },
  { name: "m2", address: "127.77.0.12", volumeId: "vol-00000002" },
  { name: "m3", address: "127.77.0.13", volumeId: "vol-00000003" },
];
const base = mkdtempSync(join(tmpdir(), "etcd-agent-"));
const running = new Map<string, ChildProcess>();
let authority: TestAuthority;
let agentCertificate: Pem;

function etcdProgram(): string {
  const entry = readdirSync(cache).find((name) => /^etcd-3\.6\.14-[0-9a-f]+$/.test(name));
  assert.ok(entry !== undefined, "etcd is not in the cache; `make up` or `make test` builds it");
  return join(cache, entry, "etcd-v3.6.14-linux-amd64", "etcd");
}

async function startEtcd(name: string, address: string): Promise<void> {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  const { certificate, key } = await authority.sign(name, [address, "127.0.0.1"]);
  const file = (what: string, content: string): string => {
    writeFileSync(join(folder, what), content, { mode: 0o600 });
    return join(folder, what);
  };
  const ca = file("ca.crt", authority.certificate);
  const crt = file("etcd.crt", certificate);
  const pem = file("etcd.key", key);
  const peers = members.map((each) => `${each.name}=https://${each.address}:2380`).join(",");
  const child = spawn(
    etcdProgram(),
    [
      ...["--name", name, "--data-dir", join(folder, "data"), "--log-level", "error"],
      ...["--listen-client-urls", `https://${address}:2379`],
      ...["--advertise-client-urls", `https://${address}:2379`],
      ...["--listen-peer-urls", `https://${address}:2380`],
      ...["--initial-advertise-peer-urls", `https://${address}:2380`],
      ...["--initial-cluster", peers, "--initial-cluster-token", "test"],
      ...["--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", crt, "--key-file", pem],
      ...["--peer-client-cert-auth", "--peer-trusted-ca-file", ca],
      ...["--peer-cert-file", crt, "--peer-key-file", pem],
    ],
    { stdio: "ignore" },
  );
  running.set(name, child);
}

/** A machine's files as boot.sh and the agent leave them. */
function installMachine(member: (typeof members)[number], certificate: Pem): string {
  const root = join(base, `root-${member.name}`);
  const config = {
    schema: 1,
    cluster: "test",
    region: "eu-central-1",
    bucket: "test-bucket",
    member: member.name,
    zone: "eu-central-1a",
    address: member.address,
    volume: {
      id: member.volumeId,
      device: "/dev/sdf",
      sizeGiB: 1,
      iops: 3000,
      throughputMiBps: 125,
      kmsKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555",
    },
    artifacts: {
      node: { sha256: "0".repeat(64) },
      agent: { sha256: "1".repeat(64) },
      etcd: { sha256: "2".repeat(64), version: "3.6.14" },
    },
    etcd: { environment: { ETCD_NAME: member.name } },
    certificates: {
      ...{ authorities: "1", revoked: [] },
      ...Object.fromEntries(
        ["clientCa", "peerCa", "server", "peer", "agent"].map((name) => [
          name,
          authority.certificate,
        ]),
      ),
    },
    parameters: {
      serverKey: `/test/${member.name}/server-key`,
      peerKey: `/test/${member.name}/peer-key`,
      agentKey: `/test/${member.name}/agent-key`,
      sshHostKey: `/test/${member.name}/ssh-host-key`,
    },
    initialMembers: members,
    recovery: { mode: "automatic", quorumLossSeconds: 180, volumeLossSeconds: 600 },
    access: { enabled: false, users: [] },
    backup: { everyMinutes: 15, keepLast: 96, drillEveryHours: 24 },
  };
  const text = `${JSON.stringify(config)}\n`;
  const sha256 = createHash("sha256").update(text).digest("hex");
  const files = {
    "etc/etcd-cluster/boot.env": `CLUSTER=test\nMEMBER=${member.name}\nBUCKET=test-bucket\nREGION=eu-central-1\n`,
    "etc/etcd-cluster/approved": `${sha256}\n`,
    [`etc/etcd-cluster/config/${sha256}.json`]: text,
    "etc/etcd/pki/client-ca.crt": authority.certificate,
    "etc/etcd/pki/agent.crt": certificate.certificate,
    "etc/etcd/pki/agent.key": certificate.key,
  };
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

async function agent(root: string, ...args: string[]) {
  return execa(process.execPath, [join(base, "agent", "agent.js"), ...args], {
    reject: false,
    timeout: 60_000,
    env: {
      ETCD_AGENT_ROOT: root,
      // No metadata service, no bucket: health must not depend on either.
      AWS_EC2_METADATA_SERVICE_ENDPOINT: "http://127.0.0.1:9",
    },
  });
}

describe("etcd-agent verify, from the delivered bundle", { timeout: 180_000 }, () => {
  before(async () => {
    await execa(process.execPath, [join(repository, "scripts", "build", "agent.mjs")]);
    mkdirSync(join(base, "agent"));
    const archive = join(repository, "components", "dist", "agent.tar.gz");
    await execa("tar", ["-xzf", archive, "-C", join(base, "agent")]);
    authority = await testAuthority("test");
    agentCertificate = await authority.sign("agent", []);
    for (const { name, address } of members) {
      await startEtcd(name, address);
    }
  });

  after(async () => {
    for (const child of running.values()) {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) {
        await once(child, "exit");
      }
    }
    rmSync(base, { recursive: true, force: true });
  });

  it("proves every member of a healthy cluster, one line each, one cluster, one leader", async () => {
    const answers = [];
    for (const member of members) {
      const root = installMachine(member, agentCertificate);
      const { exitCode, stdout, stderr } = await agent(root, "verify", "--timeout-seconds", "30");
      assert.equal(exitCode, 0, stderr);
      assert.equal(stdout.split("\n").length, 1);
      answers.push(JSON.parse(stdout) as Record<string, unknown>);
    }
    assert.deepEqual(
      answers.map(({ name }) => name),
      ["m1", "m2", "m3"],
    );
    assert.equal(new Set(answers.map(({ clusterId }) => clusterId)).size, 1);
    assert.equal(answers.filter(({ role }) => role === "leader").length, 1);
    assert.ok(answers.every(({ version }) => version === "3.6.14"));
    assert.ok(answers.every(({ revision }) => Number(revision) > 1));
  });

  it("refuses an agent whose certificate the members do not know", async () => {
    const stranger = await testAuthority("stranger");
    const [member] = members;
    assert.ok(member !== undefined);
    const root = installMachine(member, await stranger.sign("agent", []));
    const { exitCode, stderr } = await agent(root, "verify", "--timeout-seconds", "3");
    assert.equal(exitCode, 1);
    assert.match(stderr, /m1: etcd does not answer/);
  });

  it("names a member that is gone, and succeeds again when it is back", async () => {
    const [first, second] = members;
    assert.ok(first !== undefined && second !== undefined);
    const child = running.get("m2");
    assert.ok(child !== undefined);
    child.kill("SIGKILL");
    await once(child, "exit");
    const root = installMachine(first, agentCertificate);
    const failed = await agent(root, "verify", "--timeout-seconds", "6");
    assert.equal(failed.exitCode, 1);
    assert.equal(failed.stdout, "");
    assert.match(
      failed.stderr.trim().split("\n").at(-1) ?? "",
      /^m2: etcd at 127\.77\.0\.12 does not answer/,
    );
    await startEtcd(second.name, second.address);
    await sleep(1000);
    const again = await agent(root, "verify", "--timeout-seconds", "30");
    assert.equal(again.exitCode, 0, again.stderr);
  });

  it("says how it is used when it is not", async () => {
    const [member] = members;
    assert.ok(member !== undefined);
    const root = installMachine(member, agentCertificate);
    for (const args of [[], ["verify"], ["verify", "--timeout-seconds", "0"], ["status", "-x"]]) {
      const { exitCode, stdout, stderr } = await agent(root, ...args);
      assert.equal(exitCode, 2);
      assert.equal(stdout, "");
      assert.match(
        stderr,
        /etcd-agent repair\|converge\|bootstrap --config SHA256 --timeout-seconds N/,
      );
    }
  });
});
