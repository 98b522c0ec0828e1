import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { S3Client } from "@aws-sdk/client-s3";
import { buildSync } from "esbuild";

/**
 * A machine's agent with a root folder of its own, its decisions and effects real, with the programs that would change this host
 * replaced. The agent's sources are CommonJS with imports that Node does not run as they are; what the tests use is declared here.
 */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** An action that was decided on. */
export interface Action {
  readonly kind: string;
  readonly [field: string]: unknown;
}

/** What an agent remembers. */
export interface Memory {
  readonly unreadable: Set<string>;
  readonly notRecoverable: Map<number, string>;
}

/** What the record was read as. */
export type RecordView =
  | { readonly kind: "present"; readonly record: ClusterRecord; readonly etag: string }
  | { readonly kind: "absent" | "unreachable" };

/** The record, as far as the tests look at it. */
export interface ClusterRecord {
  readonly clusterUid: string;
  readonly generation: number;
  readonly epoch: number;
  readonly phase: string;
  readonly joined: readonly string[];
  readonly [field: string]: unknown;
}

interface Library {
  plan(facts: unknown): Action;
  act(action: Action, context: unknown): Promise<void>;
  readRecord(bucket: unknown): Promise<RecordView>;
  readAttestations(bucket: unknown, record: ClusterRecord, epoch: number): Promise<unknown[]>;
  backupFacts(bucket: unknown): Promise<unknown[]>;
  inspectFolder(): Promise<{ kind: string; [field: string]: unknown }>;
  readDatabase(file: string): Promise<{ revision?: bigint }>;
  readLog(folder: string): Promise<{
    memberId: string;
    term: bigint;
    index: bigint;
    commit: bigint;
    votersAtCommit: string[];
    votersAtLast: string[];
  }>;
  Memory: new () => Memory;
  Bucket: new (clients: unknown, name: string) => unknown;
}

const modules = {
  plan: "plan",
  act: "act",
  readRecord: "record",
  readAttestations: "bulletin",
  backupFacts: "backupFacts",
  inspectFolder: "contents",
  readDatabase: "database",
  readLog: "wal",
  Memory: "memory",
  Bucket: "bucket",
} as const satisfies Record<keyof Library, string>;

let bundle: Buffer | undefined;

/** Builds once; every machine loads its own, because places are fixed when it is loaded. */
function load(root: string): Library {
  bundle ??= Buffer.from(
    buildSync({
      stdin: {
        contents: Object.entries(modules)
          .map(([name, file]) => `export { ${name} } from "./scripts/agent/${file}";`)
          .join("\n"),
        resolveDir: repository,
      },
      bundle: true,
      write: false,
      platform: "node",
      target: "node24",
      format: "cjs",
      // Reads files beside itself when it is loaded; nothing here asks etcd.
      alias: { etcd3: join(repository, "test", "native", "noEtcd3.cjs") },
    }).outputFiles[0]?.contents ?? [],
  );
  const folder = mkdtempSync(join(tmpdir(), "etcd-agent-code-"));
  const before = process.env["ETCD_AGENT_ROOT"];
  process.env["ETCD_AGENT_ROOT"] = root;
  try {
    writeFileSync(join(folder, "agent.cjs"), bundle);
    return createRequire(import.meta.url)(join(folder, "agent.cjs")) as Library;
  } finally {
    if (before === undefined) delete process.env["ETCD_AGENT_ROOT"];
    else process.env["ETCD_AGENT_ROOT"] = before;
    rmSync(folder, { recursive: true });
  }
}

/** What would change this host: written down instead. */
const stubs: Readonly<Record<string, string>> = {
  systemctl: `case "$1" in show) printf 'ActiveState=inactive\\nNRestarts=0\\nMainPID=0\\n';; esac`,
  mountpoint: "",
  getent: `echo "etcd:x:$(id -u):$(id -g)::/:/bin/false"`,
  chown: "",
};

/** Puts the replacements before the host's programs. Returns how to take them away. */
export function installStubs(base: string): () => void {
  const folder = join(base, "bin");
  mkdirSync(folder, { recursive: true });
  for (const [name, body] of Object.entries(stubs)) {
    const text = `#!/bin/sh\necho "${name} $*" >> "${base}/calls.log"\n${body}\n`;
    writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
  const before = process.env["PATH"];
  process.env["PATH"] = `${folder}:${before ?? ""}`;
  return () => {
    process.env["PATH"] = before;
  };
}

/** The device that the data's folder is on, under the volume's name: to the agent the volume is mounted. */
export function pretendVolume(root: string, volumeId: string): void {
  const { dev } = statSync(join(root, "var/lib/etcd"));
  const folder = join(root, "dev/disk/by-id");
  mkdirSync(folder, { recursive: true });
  execFileSync("mknod", [
    join(folder, `nvme-Amazon_Elastic_Block_Store_${volumeId.replace("-", "")}`),
    ...["b", String((dev >> 8) & 0xfff), String((dev & 0xff) | ((dev >> 12) & 0xfff00))],
  ]);
}

/** A member's machine. */
export class AgentMachine {
  readonly name: string;
  readonly root: string;
  readonly address: string;
  readonly volumeId: string;
  readonly agent: Library;
  readonly memory: Memory;
  readonly bucket: unknown;
  readonly #etcdFolder: string;

  constructor(base: string, name: string, s3: S3Client, etcdFolder: string) {
    const number = Number(name.slice(1));
    this.name = name;
    this.root = mkdtempSync(join(base, `${name}-`));
    this.address = `127.78.0.${number + 10}`;
    this.volumeId = `vol-0000000${number}`;
    this.agent = load(this.root);
    this.memory = new this.agent.Memory();
    this.bucket = new this.agent.Bucket({ s3: () => Promise.resolve(s3) }, "test-bucket");
    this.#etcdFolder = etcdFolder;
    this.#install();
  }

  /** Where things are on it. */
  at(path: string): string {
    return join(this.root, path);
  }

  #install(): void {
    for (const folder of ["var/lib/etcd", "run/etcd-cluster", "opt/etcd-cluster/etcd"]) {
      mkdirSync(this.at(folder), { recursive: true });
    }
    const { artifacts } = this.config();
    for (const { sha256 } of Object.values(artifacts)) {
      mkdirSync(this.at(`opt/etcd-cluster/store/${sha256}/systemd`), { recursive: true });
    }
    for (const program of ["etcd", "etcdctl", "etcdutl"]) {
      const store = this.at(`opt/etcd-cluster/store/${artifacts.etcd.sha256}/${program}`);
      execFileSync("ln", ["-s", join(this.#etcdFolder, program), store]);
    }
    execFileSync("ln", [
      ...["-s", this.at(`opt/etcd-cluster/store/${artifacts.etcd.sha256}`)],
      this.at("opt/etcd-cluster/etcd/current"),
    ]);
    pretendVolume(this.root, this.volumeId);
  }

  /** The desired state, as far as effects look at it. */
  config() {
    return {
      cluster: "test",
      member: this.name,
      address: this.address,
      artifacts: {
        node: { sha256: "0".repeat(64) },
        agent: { sha256: "1".repeat(64) },
        etcd: { sha256: "2".repeat(64), version: "3.6.14" },
      },
      etcd: { environment: { ETCD_NAME: this.name } },
    };
  }

  /** Gathers as the agent does, as far as a bucket and a folder go; decides; acts. */
  async round(changes: { live?: object; self?: object } = {}): Promise<Action> {
    const { agent, bucket, memory, name, volumeId } = this;
    const record = await agent.readRecord(bucket);
    const present = record.kind === "present" ? record.record : undefined;
    const attestations =
      present?.phase === "rollCall"
        ? await agent.readAttestations(bucket, present, present.epoch)
        : [];
    const self = {
      ...{ member: name, volumeId, instanceId: `i-0000000${name.slice(1)}` },
      ...{ firstMember: true, recovery: "automatic", quorumLossSeconds: 10 },
      ...changes.self,
    };
    const notRecoverable = present && memory.notRecoverable.get(present.epoch);
    const facts = {
      self,
      disk: await agent.inspectFolder(),
      record,
      live: {
        ...{ running: false, quorum: false, withoutQuorumSeconds: 0, someoneAnswers: false },
        ...{ learner: false, removed: false, othersAgree: false },
        ...changes.live,
      },
      roll: {
        ...{ reports: [], attestations, previous: [], stalledSeconds: 0 },
        backups: await agent.backupFacts(bucket),
        unreadable: [...memory.unreadable],
        ...(notRecoverable === undefined ? {} : { notRecoverable }),
      },
    };
    const action = agent.plan(facts);
    await agent.act(action, {
      machine: { bucket, cluster: "test", member: name },
      desired: { config: this.config(), sha256: "3".repeat(64) },
      facts,
      memory,
      status: undefined,
    });
    return action;
  }
}
