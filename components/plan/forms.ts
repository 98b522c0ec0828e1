import { z } from "zod";

import { KeyAccess } from "./accessControl";
import { Egress, RecoveryMode } from "./options";
import type { Problem } from "./problems";

/**
 * The form of every argument: what can be asked of a value alone, without the others. It is checked wherever values come from a place that
 * TypeScript does not see: the stack's config, and programs that are not type-checked. What values must be beyond that is validate's affair.
 */

/** Whether a value is known only later: an output of Pulumi, or a promise. */
export function isLater(value: unknown): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    ("__pulumiOutput" in value || value instanceof Promise)
  );
}

/** The form of what may be known only later, and is passed through then. */
function input<S extends z.ZodType>(schema: S): z.ZodType<z.output<S>> {
  const checked = z.unknown().superRefine((value, context) => {
    for (const { message } of isLater(value) ? [] : (schema.safeParse(value).error?.issues ?? [])) {
      context.addIssue({ code: "custom", message });
    }
  });
  return checked as z.ZodType<z.output<S>>;
}

const text = z.string();
const number = z.number();
const blocks = z.array(z.string());
const artifact = z.strictObject({
  path: text.optional(),
  url: text.optional(),
  sha256: text.optional(),
});

/** Every argument, and the form of its value. */
export const forms = {
  region: text,
  clusterName: text,
  size: number,
  zones: z.array(text),
  vpcCidr: text,
  egress: z.enum(Egress),
  existingNetwork: z.strictObject({
    vpcId: input(text),
    subnets: z
      .array(
        z.strictObject({ zone: text, privateSubnetId: input(text), publicSubnetId: input(text) }),
      )
      .default([]),
  }),
  memberAddresses: z.record(text, text),
  adminCidrs: blocks,
  allowAdminFromAnywhere: z.boolean(),
  clientCidrs: blocks,
  domain: text,
  instanceType: text,
  bastionInstanceType: text,
  amiId: input(
    text.regex(/^ami-[0-9a-f]{8,17}$/, "expected an image id like ami-0123456789abcdef0"),
  ),
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
    mode: z.enum(RecoveryMode).exactOptional(),
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
    topicArn: input(text).optional(),
    email: text.optional(),
    backupAgeMinutes: number.optional(),
    drillAgeHours: number.optional(),
    certificateDaysLeft: number.optional(),
  }),
  kmsKeyArn: input(text),
  deletionProtection: z.boolean(),
  tags: z.record(text, input(text)),
} as const;

/** Name of an argument. */
export type FormName = keyof typeof forms;

/** Values that have the right form, by argument. */
export type FormValues = { [K in FormName]?: z.output<(typeof forms)[K]> };

/** How whoever gave the values calls them, for the messages. */
export interface FormWords {
  /** `setting`, or `argument`. */
  readonly thing: string;
  /** Names that there are. */
  readonly names: readonly FormName[];
  /** What to do about a value of the wrong form. */
  readonly remedy: string;
}

/** Tells values of the right form from the others, and from what there is not at all. Values that are undefined were not given. */
export function readForms(
  given: Readonly<Record<string, unknown>>,
  words: FormWords,
): { values: FormValues; problems: Problem[] } {
  const problems: Problem[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) {
      continue;
    }
    const known = words.names.find((each) => each === name);
    if (known === undefined) {
      problems.push(unknownProblem(name, value, words.names, words));
      continue;
    }
    const parsed = forms[known].safeParse(value);
    if (parsed.success) {
      values[name] = parsed.data;
    } else {
      problems.push(
        ...parsed.error.issues.flatMap((issue) => formProblems(name, value, issue, words)),
      );
    }
  }
  return { values, problems };
}

/** Of what has not even the right form nothing else is said: it would be about what it was replaced with. */
export function withoutBroken(found: readonly Problem[], broken: readonly Problem[]): Problem[] {
  const roots = new Set(broken.map(({ path }) => rootOf(path)));
  return found.filter(({ path }) => !roots.has(rootOf(path)));
}

function rootOf(path: string): string {
  return path.replace(/[.[].*$/s, "");
}

function unknownProblem(
  path: string,
  value: unknown,
  names: readonly string[],
  { thing }: FormWords,
): Problem {
  return {
    path,
    value: shown(value),
    rule: `there is no such ${thing}`,
    remedy: `remove it, or correct its name; there are ${names.join(", ")}`,
  };
}

function formProblems(
  name: string,
  value: unknown,
  issue: z.core.$ZodIssue,
  words: FormWords,
): Problem[] {
  const path = issue.path.reduce<string>(
    (before, part) => before + (typeof part === "number" ? `[${part}]` : `.${String(part)}`),
    name,
  );
  const wrong = at(value, issue.path);
  if (issue.code === "unrecognized_keys") {
    const names = keysAt(forms[name as FormName], issue.path);
    return issue.keys.map((key) =>
      unknownProblem(`${path}.${key}`, at(wrong, [key]), names, words),
    );
  }
  return [
    isLater(wrong)
      ? {
          path,
          value: shown(wrong),
          rule: "it decides what is created, so that it has to be known before anything is",
          remedy: "give a plain value, not the output of a resource",
        }
      : {
          path,
          value: wrong,
          rule: `it has not the right form (${issue.message})`,
          remedy: words.remedy,
        },
  ];
}

/** A value as a message shows it: an output has none yet. */
function shown(value: unknown): unknown {
  return isLater(value) ? "known only later" : value;
}

/** The part of a value that an issue is about. */
function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (part, key) =>
      typeof part === "object" && part !== null
        ? (part as Record<PropertyKey, unknown>)[key]
        : part,
    value,
  );
}

/** Names that an object at a place of a form may have. */
function keysAt(form: z.ZodType, path: readonly PropertyKey[]): string[] {
  const inner = path.reduce<unknown>((part, key) => {
    const schema = bare(part);
    if (schema instanceof z.ZodObject) {
      return (schema.shape as Record<PropertyKey, unknown>)[key];
    }
    return schema instanceof z.ZodArray
      ? schema.element
      : schema instanceof z.ZodRecord
        ? schema.valueType
        : schema;
  }, form);
  const schema = bare(inner);
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** A schema without what it is wrapped in. */
function bare(schema: unknown): unknown {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault
    ? bare(schema.unwrap())
    : schema;
}
