import { copyFileSync, existsSync, mkdirSync, realpathSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { cacheEntry, contentKey } from "./cacheEntry.ts";
import { hostPath } from "./hostPath.ts";
import { atLeast } from "./versions.ts";
import type { Log } from "./progress.ts";

/** The checkout that this file belongs to. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The Pulumi CLI this project is pinned to; an older one on PATH is not used. */
export const pulumiVersion = "3.259.0";

const tools = join(repository, "tools");
const versionFlag = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${pulumiVersion}`;

/** Builds one Go command of a module under tools/; what the compiler says goes to the log file. */
export async function goBuild(
  module: string,
  packagePath: string,
  output: string,
  logFile: string,
  flags: readonly string[] = [],
): Promise<void> {
  await execa("go", ["build", "-trimpath", ...flags, "-o", output, packagePath], {
    cwd: join(tools, module),
    // The build must depend on the committed go.sum, not on what a workspace or a flag of the host adds.
    env: { GOFLAGS: "-mod=readonly", GOWORK: "off", CGO_ENABLED: "0" },
    stdout: { file: logFile, append: true },
    stderr: { file: logFile, append: true },
  });
}

/** The key parts of a module under tools/: what it requires and what the requirements hash to. */
export function moduleFiles(module: string): { file: string }[] {
  return ["go.mod", "go.sum"].map((name) => ({ file: join(tools, module, name) }));
}

/** The Pulumi CLI of the host, when there is one that is new enough. */
async function pulumiOnPath(): Promise<string | undefined> {
  const found = hostPath()
    .map((folder) => join(folder, "pulumi"))
    .find((path) => existsSync(path));
  if (found === undefined) return undefined;
  const { stdout, exitCode } = await execa(found, ["version"], {
    reject: false,
    env: { PULUMI_SKIP_UPDATE_CHECK: "true" },
  });
  const usable = exitCode === 0 && atLeast(stdout.trim().replace(/^v/, ""), pulumiVersion);
  return usable ? realpathSync(found) : undefined;
}

/**
 * The folder that goes first on PATH: `pulumi` with its Node language host beside it, and Node 24 as
 * `node`, because the Pulumi SDK wants Node 22 or newer and the host's may be older.
 */
export async function ensureEngine(log: Log): Promise<string> {
  const hosted = await pulumiOnPath();
  const node = realpathSync(join(repository, "node_modules", "node", "bin", "node"));
  if (hosted !== undefined) {
    return cacheEntry("engine", contentKey([hosted, process.version]), log, (folder) => {
      symlinkSync(hosted, join(folder, "pulumi"));
      copyFileSync(node, join(folder, "node"));
      return Promise.resolve();
    });
  }
  const key = contentKey([
    ...moduleFiles("pulumi"),
    ...moduleFiles("language-nodejs"),
    versionFlag,
    process.version,
  ]);
  return cacheEntry("engine", key, log, async (folder, logFile) => {
    mkdirSync(folder, { recursive: true });
    await goBuild(
      "language-nodejs",
      "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
      join(folder, "pulumi-language-nodejs"),
      logFile,
      ["-ldflags", "-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.65.0"],
    );
    await goBuild(
      "pulumi",
      "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
      join(folder, "pulumi"),
      logFile,
      ["-tags", "osusergo,grpcnotrace", "-ldflags", `-s -w ${versionFlag}`],
    );
    copyFileSync(node, join(folder, "node"));
  });
}
