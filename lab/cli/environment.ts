import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { adminCredentials, frontEndpoint, labBin, labState } from "../paths.ts";
import { ensureEngine, repository } from "../toolchain/engine.ts";
import { hostPath } from "../toolchain/hostPath.ts";
import type { Log } from "../toolchain/progress.ts";
import {
  backendFolder,
  etcdVersionOf,
  labArtifacts,
  ownProject,
  saltFile,
  stackFolder,
  stateFile,
} from "./stackConfig.ts";

/** Region of the lab when a stack's config names none. */
export const defaultRegion = "eu-central-1";

/** The providers that the lab brings, and the npm package whose version each answers for. */
const providers = {
  aws: "@pulumi/aws",
  command: "@pulumi/command",
  tls: "@pulumi/tls",
} as const;

/** A file that is written only when it differs, so that a running Pulumi never sees it half-written. */
function writeExecutable(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileSync(path, text);
  chmodSync(path, 0o755);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Pulumi's plugin folder with the lab's providers, under the exact versions of the npm packages. */
function installProviders(home: string, engine: string): void {
  const { dependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const [name, npmPackage] of Object.entries(providers)) {
    const version = dependencies[npmPackage];
    if (version === undefined) throw new Error(`package.json does not pin ${npmPackage}`);
    const folder = join(home, "plugins", `resource-${name}-v${version}`);
    mkdirSync(folder, { recursive: true });
    const main = join(repository, "lab", "providers", name, "main.ts");
    writeExecutable(
      join(folder, `pulumi-resource-${name}`),
      `#!/bin/sh\nexec ${quoted(join(engine, "node"))} --disable-warning=ExperimentalWarning ${quoted(main)} "$@"\n`,
    );
  }
}

/**
 * A `pulumi` that first brings the merged config up to date, then becomes the real one. `pulumi config` is
 * left alone: it is meant for the tracked file. Programs in this checkout get the component's sources; elsewhere the
 * condition would lead to files that the packed component does not have.
 */
export function installWrapper(bin: string, engine: string): void {
  mkdirSync(bin, { recursive: true });
  const merge = join(repository, "lab", "cli", "stackConfig.ts");
  writeExecutable(
    join(bin, "pulumi"),
    `#!/bin/sh
# Written by the lab. The stack's tracked file stays untouched: what the lab adds is merged into another one.
if [ "\${1:-}" != config ]; then
  PULUMI_OPTION_CONFIG_FILE=$(${quoted(join(engine, "node"))} --disable-warning=ExperimentalWarning ${quoted(merge)} "$@") || exit
  if [ -n "$PULUMI_OPTION_CONFIG_FILE" ]; then export PULUMI_OPTION_CONFIG_FILE; else unset PULUMI_OPTION_CONFIG_FILE; fi
fi
case "$(pwd -P)/" in
${quoted(repository)}/*) export NODE_OPTIONS="--conditions=etcd-cluster-source\${NODE_OPTIONS:+ $NODE_OPTIONS}" ;;
esac
exec ${quoted(join(engine, "pulumi"))} "$@"
`,
  );
}

/** The text of a stack's tracked config. */
function trackedConfig(stack: string): string {
  const path = join(repository, `Pulumi.${stack}.yaml`);
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** The region that a stack's tracked config names. */
export function regionOf(stack: string): string {
  const parsed = parse(trackedConfig(stack)) as { config?: Record<string, unknown> } | null;
  const region = parsed?.config?.["aws:region"];
  return typeof region === "string" ? region : defaultRegion;
}

/** What tells a second lab on this host (a test's) from the first; usually nothing. */
function secondLab(): Record<string, string> {
  const names = ["ETCD_LAB_PORT", "ETCD_LAB_NAME"] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Everything that a shell needs for plain `pulumi` against the lab, in this project and any other. */
export function environmentOf(stack: string, engine: string): Record<string, string> {
  const region = regionOf(stack);
  return {
    PATH: [labBin, engine, ...hostPath()].join(":"),
    ETCD_LAB_STATE: labState,
    ...secondLab(),
    PULUMI_STACK: stack,
    PULUMI_HOME: join(labState, "pulumi-home"),
    PULUMI_BACKEND_URL: `file://${backendFolder}`,
    PULUMI_CONFIG_PASSPHRASE: "the lab's state holds nothing worth keeping",
    PULUMI_IGNORE_AMBIENT_PLUGINS: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS: "true",
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: adminCredentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: adminCredentials.secretAccessKey,
    AWS_ENDPOINT_URL: frontEndpoint,
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

/**
 * Creates the stack in the lab's backend, in a scratch project, so that Pulumi writes the salt of the
 * passphrase there and not into the tracked file.
 */
async function ensureStack(
  stack: string,
  environment: Record<string, string>,
  engine: string,
): Promise<void> {
  const name = { project: ownProject, stack };
  const folder = stackFolder(name);
  const scratch = join(folder, `Pulumi.${stack}.yaml`);
  mkdirSync(folder, { recursive: true });
  mkdirSync(backendFolder, { recursive: true });
  if (!existsSync(stateFile(name)) || !existsSync(scratch)) {
    writeFileSync(join(folder, "Pulumi.yaml"), `name: ${ownProject}\nruntime: nodejs\n`);
    const init = await execa(join(engine, "pulumi"), ["stack", "init", stack], {
      cwd: folder,
      env: environment,
      reject: false,
    });
    // Another `make env` may have been quicker: what counts is that the stack and its salt are there.
    if (init.exitCode !== 0 && !(existsSync(stateFile(name)) && existsSync(scratch))) {
      throw new Error(`the stack ${stack} could not be created: ${init.stderr}`);
    }
  }
  const { encryptionsalt } = parse(readFileSync(scratch, "utf8")) as { encryptionsalt: string };
  writeFileSync(saltFile(name), encryptionsalt);
}

/**
 * Makes the environment true and returns it: engine, providers, wrapper and the stack's record. Needs no
 * root and no running lab.
 */
export async function ensureEnvironment(stack: string, log: Log): Promise<Record<string, string>> {
  if (!/^[a-z][a-z0-9-]{0,31}$/.test(stack)) {
    throw new Error(
      `STACK=${stack}: a stack's name is lower-case letters, digits and hyphens, for example dev`,
    );
  }
  const engine = await ensureEngine(log);
  // Built here rather than at the first `pulumi`, where it would look as if that hung.
  await labArtifacts(etcdVersionOf(trackedConfig(stack), ownProject), log);
  const environment = environmentOf(stack, engine);
  installProviders(join(labState, "pulumi-home"), engine);
  installWrapper(labBin, engine);
  await ensureStack(stack, environment, engine);
  return environment;
}

/** Shell exports for `eval`. */
export function exportsOf(environment: Record<string, string>): string {
  return Object.entries(environment)
    .map(([name, value]) => `export ${name}=${quoted(value)}`)
    .join("\n");
}
