import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { labState } from "../paths.ts";
import { defaultEtcd, ensureEtcd, isBuildable } from "../toolchain/artifacts.ts";
import { standardError, type Log } from "../toolchain/progress.ts";

/** What the lab adds to a stack's own config, kept out of the tracked file. */
export interface LabConfig {
  /** Salt of the lab's passphrase for this stack. */
  readonly encryptionSalt: string;
  /** Archive of Node that the machines install, instead of a download. */
  readonly node: { readonly path: string };
}

/** Archives that machines of the lab install; without etcd's the program asks for it, as it does on AWS. */
interface Artifacts {
  readonly node: { readonly path: string };
  readonly etcd?: { readonly path: string };
}

/** Project whose config the lab adds to. */
const project = "etcd-cluster";

/** Where the merged config of a stack is written. */
export function mergedConfigFile(stack: string): string {
  return join(labState, "stacks", stack, "merged.yaml");
}

/** Where the lab's additions to a stack are kept. */
export function labConfigFile(stack: string): string {
  return join(labState, "stacks", stack, "lab.json");
}

interface StackFile {
  readonly config?: Readonly<Record<string, unknown>>;
}

function parsedStack(tracked: string): StackFile {
  return (parse(tracked) ?? {}) as StackFile;
}

/** The version of etcd that a stack's tracked config asks for. */
export function etcdVersionOf(tracked: string): string {
  const value = parsedStack(tracked).config?.[`${project}:etcdVersion`];
  return typeof value === "string" ? value : defaultEtcd;
}

/**
 * The tracked config with the lab's additions. What the tracked file says wins over them, except for the
 * secrets provider: another one could not be opened here.
 */
export function mergeConfig(tracked: string, salt: string, artifacts: Artifacts): string {
  const parsed = parsedStack(tracked);
  return stringify({
    ...parsed,
    encryptionsalt: salt,
    config: { [`${project}:artifacts`]: artifacts, ...parsed.config },
  });
}

/** The archive of a version, which is built when it is asked for; none of one that the lab has no sources of. */
export async function etcdArchive(version: string, log: Log): Promise<string | undefined> {
  if (!isBuildable(version)) return undefined;
  return join(await ensureEtcd(version, log), "etcd.tar.gz");
}

/** The value of an option in a command line, in all the forms that pulumi takes it: `-s x`, `-sx`, `--stack x`, `--stack=x`. */
export function optionOf(args: readonly string[], short: string, long: string): string | undefined {
  let value: string | undefined;
  for (const [index, argument] of args.entries()) {
    if (argument === "--") break;
    if (argument === `-${short}` || argument === `--${long}`) value = args[index + 1];
    else if (argument.startsWith(`--${long}=`)) value = argument.slice(long.length + 3);
    else if (new RegExp(`^-${short}[^-]`).test(argument))
      value = argument.slice(2).replace(/^=/, "");
  }
  return value;
}

/** The folder of the Pulumi project that a command started in a folder is about: pulumi searches upwards. */
function projectFolder(start: string): string | undefined {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "Pulumi.yaml"))) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * Brings the merged config of the stack that a pulumi command line is about up to date, so that an edit of
 * the tracked file counts at once.
 *
 * @returns the merged file, or undefined when the lab has nothing to do with that stack
 */
export async function refreshMergedConfig(
  args: readonly string[],
  folder: string,
  defaultStack: string | undefined,
  archive: typeof etcdArchive = etcdArchive,
): Promise<string | undefined> {
  // `org/project/stack` names the same stack as `stack`.
  const stack = (optionOf(args, "s", "stack") ?? defaultStack)?.split("/").at(-1);
  const place = projectFolder(optionOf(args, "C", "cwd") ?? folder);
  if (stack === undefined || place === undefined || !existsSync(labConfigFile(stack))) {
    return undefined;
  }
  const addition = JSON.parse(readFileSync(labConfigFile(stack), "utf8")) as LabConfig;
  const tracked = join(place, `Pulumi.${stack}.yaml`);
  const text = existsSync(tracked) ? readFileSync(tracked, "utf8") : "";
  const etcd = await archive(etcdVersionOf(text), standardError);
  const artifacts = { node: addition.node, ...(etcd !== undefined && { etcd: { path: etcd } }) };
  const merged = mergedConfigFile(stack);
  mkdirSync(dirname(merged), { recursive: true });
  // Another pulumi may be reading it.
  writeFileSync(`${merged}.${process.pid}`, mergeConfig(text, addition.encryptionSalt, artifacts));
  renameSync(`${merged}.${process.pid}`, merged);
  return merged;
}

if (import.meta.main) {
  const file = await refreshMergedConfig(
    process.argv.slice(2),
    process.cwd(),
    process.env["PULUMI_STACK"],
  );
  process.stdout.write(file ?? "");
}
