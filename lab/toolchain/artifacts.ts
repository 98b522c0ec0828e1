import { chmodSync, copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { cacheEntry, cachePath, contentKey } from "./cacheEntry.ts";
import { goBuild, moduleFiles, repository } from "./engine.ts";
import type { Log } from "./progress.ts";

/** The etcd versions that the lab can build, by the module under tools/ that pins each. */
export const etcdModules = {
  "3.5.35": "etcd-3.5",
  "3.6.14": "etcd-3.6",
  "3.7.3": "etcd-3.7",
} as const;

/** A version of each minor that the lab can build. */
export type EtcdVersion = keyof typeof etcdModules;

/** Later patches, for upgrades only. */
const etcdPatches = { "3.6.16": "etcd-3.6-next" } as const;

/** Any version that the lab can build. */
export type BuildableEtcd = EtcdVersion | keyof typeof etcdPatches;

const modules: Readonly<Record<BuildableEtcd, string>> = { ...etcdModules, ...etcdPatches };

/** The version of a stack that names none; the program's own default. */
export const defaultEtcd: EtcdVersion = "3.6.14";

/** Whether the lab has the sources of a version. */
export function isBuildable(version: string): version is BuildableEtcd {
  return Object.hasOwn(modules, version);
}

const programs = [
  ["etcd", "go.etcd.io/etcd/server/v3"],
  ["etcdctl", "go.etcd.io/etcd/etcdctl/v3"],
  ["etcdutl", "go.etcd.io/etcd/etcdutl/v3"],
] as const;

/** A tar.gz whose bytes depend on its content alone: owners, times and order are fixed. */
async function pack(folder: string, root: string, output: string): Promise<void> {
  await execa("tar", [
    ...["--create", "--file", output, "--use-compress-program", "gzip -1 -n"],
    ...["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"],
    ...["--directory", folder, root],
  ]);
}

function etcdKey(version: BuildableEtcd): string {
  return contentKey([...moduleFiles(modules[version]), version, "layout 1"]);
}

/** Where an entry of `ensureEtcd` has the programs. */
export function etcdPrograms(entry: string, version: BuildableEtcd): string {
  return join(entry, `etcd-v${version}-linux-amd64`);
}

/** The programs of a version that has been built before. */
export function builtEtcd(version: EtcdVersion): string | undefined {
  const entry = cachePath(`etcd-${version}`, etcdKey(version));
  return existsSync(entry) ? etcdPrograms(entry, version) : undefined;
}

/**
 * etcd, etcdctl and etcdutl in the layout of a release: `etcd-vX-linux-amd64/…` in `etcd.tar.gz`,
 * and unpacked beside it for the lab's own use.
 */
export async function ensureEtcd(version: BuildableEtcd, log: Log): Promise<string> {
  const module = modules[version];
  return cacheEntry(`etcd-${version}`, etcdKey(version), log, async (folder, logFile) => {
    const root = `etcd-v${version}-linux-amd64`;
    mkdirSync(join(folder, root));
    for (const [name, path] of programs) {
      await goBuild(module, path, join(folder, root, name), logFile, ["-ldflags", "-s -w"]);
    }
    await pack(folder, root, join(folder, "etcd.tar.gz"));
  });
}

/**
 * etcd's own tools that print a write-ahead log and a database, `etcd-dump-logs` and `etcd-dump-db`; returns their folder. They come
 * with the sources of 3.6 only; the formats are the same in 3.5 and 3.7.
 */
export async function ensureDumpTools(log: Log): Promise<string> {
  const module = "etcd-dump";
  const key = contentKey([...moduleFiles(module), "layout 1"]);
  return cacheEntry(module, key, log, async (folder, logFile) => {
    for (const name of ["etcd-dump-logs", "etcd-dump-db"]) {
      const path = `go.etcd.io/etcd/v3/tools/${name}`;
      await goBuild(module, path, join(folder, name), logFile, ["-ldflags", "-s -w"]);
    }
  });
}

/** etcd's own load generator, `benchmark`; returns the program. */
export async function ensureBenchmark(log: Log): Promise<string> {
  const module = "etcd-benchmark";
  const key = contentKey([...moduleFiles(module), "layout 1"]);
  const entry = await cacheEntry(module, key, log, async (folder, logFile) => {
    const path = "go.etcd.io/etcd/v3/tools/benchmark";
    await goBuild(module, path, join(folder, "benchmark"), logFile, ["-ldflags", "-s -w"]);
  });
  return join(entry, "benchmark");
}

/** The Node runtime that machines get, in the layout of a release, without npm and headers. */
export async function ensureNodeArchive(log: Log): Promise<string> {
  const { stdout } = await execa(join(repository, "node_modules", ".bin", "node"), ["--version"]);
  const version = stdout.trim();
  return cacheEntry(`node-${version}`, contentKey([version, "layout 1"]), log, async (folder) => {
    const root = `node-${version}-linux-x64`;
    mkdirSync(join(folder, root, "bin"), { recursive: true });
    const binary = join(folder, root, "bin", "node");
    copyFileSync(join(repository, "node_modules", "node", "bin", "node"), binary);
    chmodSync(binary, 0o755);
    await pack(folder, root, join(folder, "node.tar.gz"));
  });
}
