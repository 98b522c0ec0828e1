import { createRequire } from "node:module";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

/**
 * Parts of the agent, bundled as the delivered agent is, for tests that drive them with real etcds. The agent's sources are CommonJS with
 * imports that Node does not run as they are; what the tests use of them is declared here.
 */

/** What a log says. */
export interface LogFacts {
  readonly clusterId?: string;
  readonly memberId?: string;
  readonly term: bigint;
  readonly index: bigint;
  readonly commit: bigint;
  readonly vote: string;
  readonly snapshotIndex: bigint;
  readonly votersAtCommit: readonly string[];
  readonly learnersAtCommit: readonly string[];
  readonly votersAtLast: readonly string[];
  readonly learnersAtLast: readonly string[];
  readonly tornTail: boolean;
  readonly damage?: string;
}

/** What a database says. */
export interface DatabaseFacts {
  readonly term: bigint;
  readonly consistentIndex: bigint;
  readonly revision?: bigint;
}

/** A recovered survivor. */
export interface Recovered {
  readonly file: string;
  readonly sha256: string;
  readonly term: bigint;
  readonly index: bigint;
  readonly revision: bigint;
}

/** The agent's functions under test. */
export interface AgentLibrary {
  readLog(dataDirectory: string): Promise<LogFacts>;
  raiseCommit(dataDirectory: string): Promise<void>;
  readDatabase(file: string): Promise<DatabaseFacts>;
  checkDatabase(file: string, etcdFolder: string): Promise<string | undefined>;
  recoverSurvivor(options: {
    readonly dataDirectory: string;
    readonly workFolder: string;
    readonly etcdFolder: string;
    readonly log: (line: string) => void;
    readonly acceptDamage?: boolean;
  }): Promise<Recovered>;
}

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** Bundles and loads them. */
export function agentLibrary(): AgentLibrary {
  const folder = mkdtempSync(join(tmpdir(), "etcd-agent-library-"));
  try {
    const { outputFiles } = buildSync({
      stdin: {
        contents: ["wal", "database", "survivor"]
          .map((name) => `export * from "./scripts/agent/${name}";`)
          .join("\n"),
        resolveDir: repository,
      },
      bundle: true,
      write: false,
      platform: "node",
      target: "node24",
      format: "cjs",
    });
    const file = join(folder, "library.cjs");
    writeFileSync(file, outputFiles[0]?.contents ?? "");
    return createRequire(import.meta.url)(file) as AgentLibrary;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
