import { spawn, type ChildProcess } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { ensureEtcd, etcdPrograms } from "../../lab/toolchain/artifacts.ts";
import { testAuthority, type TestAuthority } from "./agentSupport.ts";
import { UpkeepCloud } from "./upkeepCloud.ts";

/** Real etcds on loopback with mutual TLS, each in a folder that looks like a machine, and the delivered agent. */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const version = "3.6.14";

/** What `etcd-agent upkeep` prints. */
export interface Upkeep {
  readonly member: string;
  readonly done: readonly string[];
  readonly problems: Readonly<Record<string, string>>;
}

/** The desired state's part about access control. */
export interface Access {
  readonly enabled: boolean;
  readonly users: readonly {
    readonly name: string;
    readonly permissions: readonly { readonly prefix: string; readonly access: string }[];
  }[];
}

interface Member {
  readonly name: string;
  readonly address: string;
  readonly volumeId: string;
}

/** A cluster under test. */
export class UpkeepCluster {
  readonly cloud = new UpkeepCloud();
  readonly members: readonly Member[];
  readonly clusterUid = randomUUID();
  readonly #base = mkdtempSync(join(tmpdir(), "etcd-upkeep-"));
  readonly #running = new Map<string, ChildProcess>();
  readonly #quotaBytes: number;
  readonly #settings: Record<string, number>;
  #programs = "";
  #authority: TestAuthority | undefined;
  #endpoint = "";
  #access: Access = { enabled: false, users: [] };

  constructor(
    network: string,
    size: number,
    quotaBytes: number,
    settings: Record<string, number> = {},
  ) {
    this.#quotaBytes = quotaBytes;
    this.#settings = { everyMinutes: 15, keepLast: 96, drillEveryHours: 24, ...settings };
    this.members = Array.from({ length: size }, (_, at) => ({
      name: `m${at + 1}`,
      address: `${network}.${11 + at}`,
      volumeId: `vol-0000000${at + 1}`,
    }));
  }

  /** Builds the agent, starts the stand-in and the etcds, and waits until they serve. */
  async start(): Promise<void> {
    await execa(process.execPath, [join(repository, "scripts", "build", "agent.mjs")]);
    mkdirSync(join(this.#base, "agent"));
    const archive = join(repository, "components", "dist", "agent.tar.gz");
    await execa("tar", ["-xzf", archive, "-C", join(this.#base, "agent")]);
    const entry = await ensureEtcd(version, (line) => {
      process.stderr.write(`${line}\n`);
    });
    this.#programs = etcdPrograms(entry, version);
    this.#authority = await testAuthority("test");
    this.#endpoint = await this.cloud.start();
    this.writeRecord({});
    for (const member of this.members) await this.#install(member);
    for (const member of this.members) this.startEtcd(member.name);
    for (const { name } of this.members) await this.serving(name);
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    for (const name of [...this.#running.keys()]) await this.kill(name);
    await this.cloud.stop();
    rmSync(this.#base, { recursive: true, force: true });
  }

  /** Puts the cluster record. */
  writeRecord(changes: Record<string, unknown>): void {
    const record = {
      clusterUid: this.clusterUid,
      generation: 1,
      token: "test-1",
      epoch: 1,
      phase: "open",
      initial: this.members.map(({ name }) => name),
      roster: this.members,
      joined: this.members.map(({ name }) => name),
      formed: true,
      source: { kind: "new" },
      earlierSources: [],
      nonce: randomUUID(),
      ...changes,
    };
    this.cloud.put("control/cluster.json", JSON.stringify(record));
  }

  /** A member's folder that stands for /. */
  root(name: string): string {
    return join(this.#base, name);
  }

  /** Starts a member's etcd. */
  startEtcd(name: string): void {
    const { address } = this.#member(name);
    const pki = join(this.root(name), "etc/etcd/pki");
    const peers = this.members.map((each) => `${each.name}=https://${each.address}:2380`).join(",");
    const tls = ["etcd.ca", "server.crt", "server.key"].map((file) => join(pki, file));
    const [ca = "", crt = "", key = ""] = tls;
    const child = spawn(
      join(this.#programs, "etcd"),
      [
        ...["--name", name, "--data-dir", join(this.root(name), "var/lib/etcd/data")],
        ...["--listen-client-urls", `https://${address}:2379`, "--log-level", "error"],
        ...["--advertise-client-urls", `https://${address}:2379`],
        ...["--listen-peer-urls", `https://${address}:2380`],
        ...["--listen-metrics-urls", `http://${address}:2381`],
        ...["--initial-advertise-peer-urls", `https://${address}:2380`],
        ...["--initial-cluster", peers, "--initial-cluster-token", "test-1"],
        ...["--client-cert-auth", "--trusted-ca-file", ca, "--cert-file", crt, "--key-file", key],
        ...["--peer-client-cert-auth", "--peer-trusted-ca-file", ca],
        ...["--peer-cert-file", crt, "--peer-key-file", key],
        ...["--quota-backend-bytes", String(this.#quotaBytes)],
        ...["--heartbeat-interval", "50", "--election-timeout", "500"],
      ],
      { stdio: "ignore" },
    );
    this.#running.set(name, child);
  }

  /** Kills a member's etcd. */
  async kill(name: string): Promise<void> {
    const child = this.#running.get(name);
    this.#running.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Waits until a member answers a linearizable read. */
  async serving(name: string): Promise<void> {
    await eventually(async () => this.etcdctl(name, "get", "x"));
  }

  /** etcdctl against one member. */
  async etcdctl(name: string, ...args: readonly string[]): Promise<string> {
    return (await execa(...this.#etcdctl(name, args))).stdout;
  }

  #etcdctl(name: string, args: readonly string[]): [string, string[]] {
    const pki = join(this.root(name), "etc/etcd/pki");
    return [
      join(this.#programs, "etcdctl"),
      [
        ...["--endpoints", `https://${this.#member(name).address}:2379`, "--command-timeout", "5s"],
        ...["--cacert", join(pki, "client-ca.crt"), "--cert", join(pki, "agent.crt")],
        ...["--key", join(pki, "agent.key"), ...args],
      ],
    ];
  }

  /** Writes a value that may be too long for an argument. */
  async write(name: string, key: string, value: string): Promise<void> {
    await execa(...this.#etcdctl(name, ["put", key]), { input: value });
  }

  /** Takes away what upkeep remembers, as a reboot does. */
  forget(name: string): void {
    rmSync(join(this.root(name), "run/etcd-cluster/upkeep.json"), { force: true });
  }

  /** Name of the leader. */
  async leader(): Promise<string> {
    return eventually(async () => {
      for (const { name } of this.members) {
        const [answer] = JSON.parse(
          await this.etcdctl(name, "endpoint", "status", "-w", "fields").then(fieldsOfStatus),
        ) as [{ leader: string; member: string }];
        if (answer.leader === answer.member) return name;
      }
      throw new Error("no leader");
    });
  }

  /** Id of a member's etcd process. */
  pidOf(name: string): number {
    return this.#running.get(name)?.pid ?? 0;
  }

  /** The delivered agent, for a process that is to stay. */
  get agentProgram(): string {
    return join(this.#base, "agent", "agent.js");
  }

  /** Where the agent finds a member's machine, and the stand-in. */
  environment(name: string): Record<string, string> {
    return {
      ETCD_AGENT_ROOT: this.root(name),
      AWS_EC2_METADATA_SERVICE_ENDPOINT: this.#endpoint,
      AWS_ENDPOINT_URL: this.#endpoint,
    };
  }

  /** Runs the delivered agent on a member's machine. */
  async agent(name: string, ...args: string[]) {
    return execa(process.execPath, [this.agentProgram, ...args], {
      reject: false,
      timeout: 120_000,
      env: this.environment(name),
    });
  }

  /** Another wish about access control, at every member. */
  desire(access: Access): void {
    this.#access = access;
    for (const member of this.members) this.#approve(member);
  }

  #approve(member: Member): void {
    const text = `${JSON.stringify(this.#config(member, this.#known().certificate))}\n`;
    const sha256 = createHash("sha256").update(text).digest("hex");
    const folder = join(this.root(member.name), "etc/etcd-cluster");
    mkdirSync(join(folder, "config"), { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, `config/${sha256}.json`), text, { mode: 0o600 });
    writeFileSync(join(folder, "approved"), `${sha256}\n`, { mode: 0o600 });
    this.cloud.put(`config/${member.name}/approved`, `${sha256}\n`);
  }

  #known(): TestAuthority {
    if (this.#authority === undefined) throw new Error("not started");
    return this.#authority;
  }

  /** etcdctl as somebody else than the agent. */
  async etcdctlAs(user: string, ...args: readonly string[]): Promise<string> {
    const folder = join(this.#base, "users", user);
    if (!existsSync(folder)) {
      const { certificate, key } = await this.#known().sign(user, []);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "crt"), certificate);
      writeFileSync(join(folder, "key"), key);
    }
    const [program, own] = this.#etcdctl("m1", []);
    const pair = ["--cert", join(folder, "crt"), "--key", join(folder, "key")];
    return (await execa(program, [...own.slice(0, 6), ...pair, ...args])).stdout;
  }

  /** One run of upkeep. */
  async upkeep(name: string): Promise<Upkeep> {
    const { exitCode, stdout, stderr } = await this.agent(name, "upkeep");
    if (exitCode !== 0) throw new Error(`upkeep ended with ${exitCode ?? "?"}: ${stderr}`);
    return JSON.parse(stdout) as Upkeep;
  }

  /** What the agent does every minute by itself; answers whether upkeep has something to do. */
  async look(name: string): Promise<boolean> {
    const { exitCode, stdout, stderr } = await this.agent(name, "look");
    if (exitCode !== 0) throw new Error(`look ended with ${exitCode ?? "?"}: ${stderr}`);
    return (JSON.parse(stdout) as { due: boolean }).due;
  }

  /** What `status` shows of upkeep. */
  remembered(name: string): { readonly at: number; readonly problems: Record<string, string> } {
    const file = join(this.root(name), "run/etcd-cluster/upkeep.json");
    return JSON.parse(readFileSync(file, "utf8")) as ReturnType<UpkeepCluster["remembered"]>;
  }

  /** Desired state, keys, marker: as boot.sh and the agent leave them. */
  async #install(member: Member): Promise<void> {
    const { name, address, volumeId } = member;
    const authority = this.#known();
    const server = await authority.sign(name, [address, "127.0.0.1", "localhost"]);
    const agent = await authority.sign(`agent-${name}`, []);
    const marker = {
      clusterUid: this.clusterUid,
      member: name,
      volumeId,
      generation: 1,
      instanceId: "i-00000001",
    };
    const files = {
      "etc/etcd-cluster/boot.env": `CLUSTER=test\nMEMBER=${name}\nBUCKET=test-bucket\nREGION=eu-central-1\n`,
      "etc/etcd/pki/client-ca.crt": authority.certificate,
      "etc/etcd/pki/etcd.ca": authority.certificate,
      "etc/etcd/pki/server.crt": server.certificate,
      "etc/etcd/pki/server.key": server.key,
      "etc/etcd/pki/agent.crt": agent.certificate,
      "etc/etcd/pki/agent.key": agent.key,
      "var/lib/etcd/data/etcd-cluster.json": JSON.stringify(marker),
    };
    this.#approve(member);
    for (const [path, content] of Object.entries(files)) {
      const file = join(this.root(name), path);
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, content, { mode: 0o600 });
    }
    mkdirSync(join(this.root(name), "opt/etcd-cluster/etcd"), { recursive: true });
    symlinkSync(this.#programs, join(this.root(name), "opt/etcd-cluster/etcd/current"));
  }

  #config({ name, address, volumeId }: Member, certificate: string): unknown {
    return {
      schema: 1,
      cluster: "test",
      region: "eu-central-1",
      bucket: "test-bucket",
      member: name,
      zone: "eu-central-1a",
      address,
      volume: {
        ...{ id: volumeId, device: "/dev/sdf", sizeGiB: 1, iops: 3000, throughputMiBps: 125 },
        kmsKeyArn: "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555",
      },
      artifacts: {
        node: { sha256: "0".repeat(64) },
        agent: { sha256: "1".repeat(64) },
        etcd: { sha256: "2".repeat(64), version },
      },
      etcd: {
        environment: { ETCD_NAME: name, ETCD_QUOTA_BACKEND_BYTES: String(this.#quotaBytes) },
      },
      certificates: {
        ...{ authorities: "1", revoked: [] },
        ...Object.fromEntries(
          ["clientCa", "peerCa", "server", "peer", "agent"].map((what) => [what, certificate]),
        ),
      },
      parameters: {
        serverKey: `/test/${name}/server-key`,
        peerKey: `/test/${name}/peer-key`,
        agentKey: `/test/${name}/agent-key`,
        sshHostKey: `/test/${name}/ssh-host-key`,
      },
      initialMembers: this.members,
      recovery: { mode: "automatic", quorumLossSeconds: 180, volumeLossSeconds: 600 },
      access: this.#access,
      backup: this.#settings,
    };
  }

  #member(name: string): Member {
    const member = this.members.find((each) => each.name === name);
    if (member === undefined) throw new Error(`no ${name}`);
    return member;
  }
}

/** Ids have 64 bits, which JSON.parse would round; as fields they are text. */
function fieldsOfStatus(fields: string): string {
  const field = (name: string): string =>
    new RegExp(`^"${name}" *: *(\\S+)$`, "m").exec(fields)?.[1] ?? "";
  return JSON.stringify([{ leader: field("Leader"), member: field("MemberID") }]);
}

/** Repeats something until it succeeds; after 30 s its last error is thrown. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(200);
  }
}
