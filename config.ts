import { readFileSync } from "node:fs";

import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

import { Egress, RecoveryMode, type EtcdClusterArgs } from "./components";
import { KeyAccess } from "./components/plan/accessControl";
import { sha256 } from "./components/plan/artifacts";
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

const text = z.string();
const number = z.number();
const blocks = z.array(z.string());
const artifact = z.strictObject({
  path: text.optional(),
  url: text.optional(),
  sha256: text.optional(),
});

/** Every key of the namespace, and the form of its value. What the values must be beyond that is validate's affair. */
const schemas = {
  clusterName: text,
  size: number,
  zones: z.array(text),
  vpcCidr: text,
  egress: z.enum(Egress),
  existingNetwork: z.strictObject({
    vpcId: text,
    subnets: z
      .array(z.strictObject({ zone: text, privateSubnetId: text, publicSubnetId: text }))
      .default([]),
  }),
  memberAddresses: z.record(text, text),
  adminCidrs: blocks,
  allowAdminFromAnywhere: z.boolean(),
  clientCidrs: blocks,
  domain: text,
  instanceType: text,
  bastionInstanceType: text,
  amiId: text.regex(/^ami-[0-9a-f]{8,17}$/, "expected an image id like ami-0123456789abcdef0"),
  rootVolumeSizeGiB: number,
  volumeSizeGiB: number,
  volumeIops: number,
  volumeThroughputMiBps: number,
  backendQuotaGiB: number,
  grpcGateway: z.boolean(),
  etcdVersion: text,
  artifacts: z.strictObject({ node: artifact.optional(), etcd: artifact.optional() }),
  certificateValidityDays: number,
  certificateRenewalDays: number,
  certificateAuthorities: text,
  accessControl: z.strictObject({
    enabled: z.boolean().optional(),
    users: z
      .record(text, z.array(z.strictObject({ prefix: text, access: z.enum(KeyAccess) })))
      .optional(),
  }),
  recovery: z.strictObject({
    mode: z.enum(RecoveryMode).optional(),
    quorumLossSeconds: number.optional(),
    volumeLossSeconds: number.optional(),
  }),
  backup: z.strictObject({
    everyMinutes: number.optional(),
    keepLast: number.optional(),
    keepDays: number.optional(),
    drillEveryHours: number.optional(),
  }),
  monitoring: z.strictObject({
    enabled: z.boolean().optional(),
    topicArn: text.optional(),
    email: text.optional(),
    backupAgeMinutes: number.optional(),
    drillAgeHours: number.optional(),
    certificateDaysLeft: number.optional(),
  }),
  deletionProtection: z.boolean(),
  tags: z.record(text, text),
} as const;

/** Names of all settings, without the namespace. */
export const settingNames: readonly string[] = Object.keys(schemas);

type Key = keyof typeof schemas;

/** Values that have the right form, by key. */
type Values = { [K in Key]?: z.output<(typeof schemas)[K]> };

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
  const form = readForms(raw);
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
  // What has not even the right form is reported once, not a second time for what it was replaced with.
  const broken = new Set([...form.problems, ...hashed.problems].map(({ path }) => rootOf(path)));
  const found = validate(resolveOptions(logicalName, args))
    .map((problem) => ({ ...problem, path: configPath(problem.path) }))
    .filter(({ path }) => !broken.has(rootOf(path)));
  return {
    config: { name: logicalName, args },
    problems: [...form.problems, ...hashed.problems, ...found],
  };
}

/** `existingNetwork.subnets[0]` is `etcd-cluster:existingNetwork.subnets[0]` to whoever edits the stack's file. */
function configPath(path: string): string {
  return path === "region" ? "aws:region" : `${namespace}:${path}`;
}

function rootOf(path: string): string {
  return path.replace(/[.[].*$/s, "");
}

function readForms(raw: RawConfig): { values: Values; problems: Problem[] } {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(raw)) {
    const [space, key = ""] = path.split(/:(.*)/s);
    if (space !== namespace) {
      continue;
    }
    if (!isKey(key)) {
      problems.push({
        path,
        value,
        rule: "there is no such setting",
        remedy: `remove it, or correct its name; there are ${Object.keys(schemas).join(", ")}`,
      });
      continue;
    }
    const parsed = schemas[key].safeParse(decode(key, value));
    if (parsed.success) {
      values[key] = parsed.data;
    } else {
      problems.push(...parsed.error.issues.map((issue) => formProblem(path, value, issue)));
    }
  }
  return { values, problems };
}

function isKey(key: string): key is Key {
  return Object.hasOwn(schemas, key);
}

/** Texts stay as they are; everything else is JSON. What is no JSON stays text, and then has the wrong form. */
function decode(key: Key, value: string): unknown {
  const schema = schemas[key];
  if (schema instanceof z.ZodString || schema instanceof z.ZodEnum) {
    return value;
  }
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function formProblem(path: string, value: string, issue: z.core.$ZodIssue): Problem {
  const inside = issue.path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`))
    .join("");
  return {
    path: path + inside,
    value: inside === "" ? value : at(value, issue.path),
    rule: `it has not the right form (${issue.message})`,
    remedy: "correct it in the stack's file; config.ts lists the form of every setting",
  };
}

/** The part of a JSON value that an issue is about. */
function at(value: string, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null
        ? (part as Record<PropertyKey, unknown>)[key]
        : part,
    JSON.parse(value),
  );
}

type Artifacts = NonNullable<Values["artifacts"]>;

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
