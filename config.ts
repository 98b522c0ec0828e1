import { readFileSync } from "node:fs";

import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

import type { EtcdClusterArgs } from "./components";
import { sha256 } from "./components/plan/artifacts";
import {
  forms,
  readForms,
  withoutBroken,
  type FormName,
  type FormValues,
  type FormWords,
} from "./components/plan/forms";
import { resolveOptions } from "./components/plan/options";
import { describeProblems, type Problem } from "./components/plan/problems";
import { validate } from "./components/plan/validate";

/** What the stack's configuration asks for. */
export interface StackConfig {
  /** Name of the component, and of the cluster unless `clusterName` is set. */
  name: string;
  /** Arguments of the component. */
  args: EtcdClusterArgs;
}

/** Pulumi's configuration: keys like `etcd-cluster:size`, values as text (lists and objects as JSON). */
export type RawConfig = Readonly<Record<string, string>>;

const namespace = "etcd-cluster";

/** Name of the component in every stack. The cluster's own name is a setting: a stack's resources keep their URNs whatever it is. */
const logicalName = "etcd";

/** Names of all settings, without the namespace: every argument but the region, which is Pulumi's own setting. */
export const settingNames = (Object.keys(forms) as FormName[]).filter((name) => name !== "region");

/** How problems speak of settings. */
const words: FormWords = {
  thing: "setting",
  names: settingNames,
  remedy: "correct it in the stack's file; docs/reference/configuration.md has every setting",
};

/** Reads Pulumi's configuration of this stack. The only place that does; all problems come in one error. */
export function readStackConfig(): StackConfig {
  const { config, problems } = readConfig(pulumi.runtime.allConfig(), (path) =>
    sha256(readFileSync(path)),
  );
  if (problems.length > 0) {
    // RunError: the message is for people, a stack trace would bury it.
    throw new pulumi.RunError(describeProblems(problems));
  }
  return config;
}

/** The same without Pulumi. `hashFile` gives a local artifact's SHA-256, or throws. */
export function readConfig(
  raw: RawConfig,
  hashFile: (path: string) => string,
): { config: StackConfig; problems: Problem[] } {
  const form = readSettings(raw);
  const region = raw["aws:region"];
  if (region === undefined) {
    form.problems.push({
      path: "aws:region",
      value: undefined,
      rule: "the region decides where everything is built",
      remedy: "run `pulumi config set aws:region eu-central-1`",
    });
  }
  const { adminCidrs = [], artifacts, ...rest } = form.values;
  const hashed = hashArtifacts(artifacts, hashFile);
  const args: EtcdClusterArgs = {
    ...rest,
    clusterName: rest.clusterName ?? logicalName,
    region: region ?? "",
    adminCidrs,
    artifacts: hashed.artifacts,
  };
  const found = withoutBroken(
    validate(resolveOptions(logicalName, args)).map((problem) => ({
      ...problem,
      path: configPath(problem.path),
    })),
    [...form.problems, ...hashed.problems],
  );
  return {
    config: { name: logicalName, args },
    problems: [...form.problems, ...hashed.problems, ...found],
  };
}

/** `existingNetwork.subnets[0]` is `etcd-cluster:existingNetwork.subnets[0]` to whoever edits the stack's file. */
function configPath(path: string): string {
  return path === "region" ? "aws:region" : `${namespace}:${path}`;
}

function readSettings(raw: RawConfig): { values: FormValues; problems: Problem[] } {
  const own = Object.entries(raw).flatMap(([path, value]): [string, unknown][] => {
    const [space, key = ""] = path.split(/:(.*)/s);
    return space === namespace ? [[key, decode(key, value)]] : [];
  });
  const { values, problems } = readForms(Object.fromEntries(own), words);
  return { values, problems: problems.map((each) => ({ ...each, path: configPath(each.path) })) };
}

/** Texts stay as they are; everything else is JSON. What is no JSON stays text, and then has the wrong form. */
function decode(key: string, value: string): unknown {
  const schema = settingNames.find((name) => name === key);
  if (schema !== undefined && isText(forms[schema])) {
    return value;
  }
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function isText(form: z.ZodType): boolean {
  return form instanceof z.ZodString || form instanceof z.ZodEnum;
}

type Artifacts = NonNullable<FormValues["artifacts"]>;

function hashArtifacts(
  artifacts: Artifacts | undefined,
  hashFile: (path: string) => string,
): { artifacts: Artifacts; problems: Problem[] } {
  const problems: Problem[] = [];
  const hashed: Artifacts = {};
  for (const what of ["node", "etcd"] as const) {
    const source = artifacts?.[what];
    if (source === undefined) {
      continue;
    }
    hashed[what] = source;
    if (source.path === undefined || source.sha256 !== undefined) {
      continue;
    }
    try {
      hashed[what] = { ...source, sha256: hashFile(source.path) };
    } catch (error) {
      problems.push({
        path: `${namespace}:artifacts.${what}.path`,
        value: source.path,
        rule: `the file cannot be read (${error instanceof Error ? error.message : String(error)})`,
        remedy: "name an existing file by its absolute path",
      });
    }
  }
  return { artifacts: hashed, problems };
}
