import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse, stringify } from "yaml";
import { labState } from "../paths.ts";
import { defaultEtcd, ensureEtcd, ensureNodeArchive, isBuildable } from "../toolchain/artifacts.ts";
import { standardError, type Log } from "../toolchain/progress.ts";

/** Archives that machines of the lab install; without etcd's the program asks for it, as it does on AWS. */
interface Artifacts {
  readonly node: { readonly path: string };
  readonly etcd?: { readonly path: string };
}

/** A stack, by the name of its project (from Pulumi.yaml) and its own. */
export interface StackName {
  readonly project: string;
  readonly stack: string;
}

/** The project of the checkout's own program; others may be brought to the lab as well. */
export const ownProject = "etcd-cluster";

/** Pulumi's state, as the lab's file backend keeps it. */
export const backendFolder = join(labState, "backend");

/** Where the state of a stack is, if the lab has it. */
export function stateFile({ project, stack }: StackName): string {
  return join(backendFolder, ".pulumi", "stacks", project, `${stack}.json`);
}

/** Where the lab keeps what it knows and writes of a stack. */
export function stackFolder({ project, stack }: StackName): string {
  return join(labState, "stacks", project, stack);
}

/** Where the merged config of a stack is written. */
function mergedConfigFile(name: StackName): string {
  return join(stackFolder(name), "merged.yaml");
}

/** Where the salt of a stack is kept that the lab created itself; whoever creates one by `pulumi stack init` has it in the stack's file. */
export function saltFile(name: StackName): string {
  return join(stackFolder(name), "salt");
}

interface StackFile {
  readonly config?: Readonly<Record<string, unknown>>;
}

function parsedStack(tracked: string): StackFile {
  return (parse(tracked) ?? {}) as StackFile;
}

/** The version of etcd that a stack's tracked config asks for. */
export function etcdVersionOf(tracked: string, project: string): string {
  const value = parsedStack(tracked).config?.[`${project}:etcdVersion`];
  return typeof value === "string" ? value : defaultEtcd;
}

/**
 * The tracked config with the lab's additions. What the tracked file says wins over them, except for the
 * secrets provider of a stack that the lab created: another one could not be opened here.
 */
export function mergeConfig(
  tracked: string,
  project: string,
  salt: string | undefined,
  artifacts: Artifacts,
): string {
  const parsed = parsedStack(tracked);
  return stringify({
    ...parsed,
    ...(salt !== undefined && { encryptionsalt: salt }),
    config: { [`${project}:artifacts`]: artifacts, ...parsed.config },
  });
}

/** The archives for a version of etcd, built when they are asked for; without etcd where the lab has no sources of it. */
export async function labArtifacts(version: string, log: Log): Promise<Artifacts> {
  const node = { path: join(await ensureNodeArchive(log), "node.tar.gz") };
  return isBuildable(version)
    ? { node, etcd: { path: join(await ensureEtcd(version, log), "etcd.tar.gz") } }
    : { node };
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

/** The Pulumi project that a command started in a folder is about: pulumi searches upwards. */
function projectOf(start: string): { folder: string; project: string } | undefined {
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    const file = join(folder, "Pulumi.yaml");
    if (existsSync(file)) {
      const { name } = (parse(readFileSync(file, "utf8")) ?? {}) as { name?: unknown };
      // Pulumi says what is wrong with a project without a name.
      return typeof name === "string" ? { folder, project: name } : undefined;
    }
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
  archives: typeof labArtifacts = labArtifacts,
): Promise<string | undefined> {
  // `org/project/stack` names the same stack as `stack`.
  const stack = (optionOf(args, "s", "stack") ?? defaultStack)?.split("/").at(-1);
  const place = projectOf(optionOf(args, "C", "cwd") ?? folder);
  if (stack === undefined || place === undefined) return undefined;
  const { project } = place;
  const name = { project, stack };
  const salt = existsSync(saltFile(name)) ? readFileSync(saltFile(name), "utf8") : undefined;
  if (salt === undefined && !existsSync(stateFile(name))) return undefined;
  const tracked = join(place.folder, `Pulumi.${stack}.yaml`);
  const text = existsSync(tracked) ? readFileSync(tracked, "utf8") : "";
  const artifacts = await archives(etcdVersionOf(text, project), standardError);
  const merged = mergedConfigFile(name);
  mkdirSync(dirname(merged), { recursive: true });
  // Another pulumi may be reading it.
  writeFileSync(`${merged}.${process.pid}`, mergeConfig(text, project, salt, artifacts));
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
