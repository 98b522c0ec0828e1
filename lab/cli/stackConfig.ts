import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { labState } from "../paths.ts";

/** What the lab adds to a stack's own config, kept out of the tracked file. */
export interface LabConfig {
  /** Salt of the lab's passphrase for this stack. */
  readonly encryptionSalt: string;
  /** Archives that the machines install, instead of downloads. */
  readonly artifacts: { readonly node: { path: string }; readonly etcd: { path: string } };
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

/**
 * The tracked config with the lab's additions. What the tracked file says wins over them, except for the
 * secrets provider: another one could not be opened here.
 */
export function mergeConfig(tracked: string, addition: LabConfig): string {
  const parsed = (parse(tracked) ?? {}) as { config?: Record<string, unknown> };
  return stringify({
    ...parsed,
    encryptionsalt: addition.encryptionSalt,
    config: { [`${project}:artifacts`]: addition.artifacts, ...parsed.config },
  });
}

/** Writes the merged config for the Pulumi project in a folder; called before every `pulumi`, so that an edit counts at once. */
export function refreshMergedConfig(folder: string, stack: string): void {
  const addition = JSON.parse(readFileSync(labConfigFile(stack), "utf8")) as LabConfig;
  const tracked = join(folder, `Pulumi.${stack}.yaml`);
  const text = existsSync(tracked) ? readFileSync(tracked, "utf8") : "";
  mkdirSync(join(labState, "stacks", stack), { recursive: true });
  writeFileSync(mergedConfigFile(stack), mergeConfig(text, addition));
}

if (import.meta.main) refreshMergedConfig(process.cwd(), process.env["PULUMI_STACK"] ?? "dev");
