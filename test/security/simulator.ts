import { runSimulation, type SimulationResourceResult } from "@cloud-copilot/iam-simulate";

/**
 * What AWS would say to a request under given policies, by a simulator that is not the lab's own evaluator (lab/front/iam), and that
 * checks against AWS's own lists that the action exists, and is about such a resource, with such conditions. The library is a
 * development dependency of the tests only.
 */

/** One thing that a machine wants to do to one resource, as the lab's front records it; context keys in lower case. */
export interface AccessRequest {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Record<string, readonly string[]>>;
}

/** One statement as the documents have it. */
export interface PolicyStatement {
  readonly Sid?: string;
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

/** A policy document. */
export interface PolicyDocument {
  readonly Version: string;
  readonly Statement: readonly PolicyStatement[];
}

/** Who asks, and everything that has a say about it. */
export interface PoliciesInForce {
  /** Account of bucket and key. */
  readonly accountId: string;
  /** ARN of the role that asks, of this account or another; or the name of an AWS service. */
  readonly principal: string;
  /** Policy of that role; absent when the role's own policies say nothing about it. */
  readonly role: PolicyDocument | undefined;
  readonly bucket: PolicyDocument;
  readonly key: PolicyDocument;
}

/** What the policies say, and which of their statements say it. */
export interface Decision {
  readonly allowed: boolean;
  /** Sids of the role's statements that allow it. */
  readonly allowedBy: readonly string[];
  /** Sids of whatever statements deny it. */
  readonly deniedBy: readonly string[];
}

/** Values as text or list, as a list. */
export function listOf(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === "string" ? [value] : value;
}

interface StatementAnalysis {
  readonly statement: { sid(): string | undefined };
}

const sids = (statements: readonly StatementAnalysis[] | undefined): string[] =>
  (statements ?? []).map(({ statement }) => statement.sid() ?? "");

/** What exists only after the call is asked about as any: the simulator would take a pattern for a question about all matches. */
function concrete(resource: string): string {
  return resource.replace(/:volume\/\*$/, ":volume/vol-00000000000000000");
}

function resourcePolicy(
  { action, resource }: AccessRequest,
  policies: PoliciesInForce,
): PolicyDocument | undefined {
  if (action.startsWith("kms:")) return policies.key;
  return action.startsWith("s3:") && resource !== "*" ? policies.bucket : undefined;
}

/** A role as it signs: one of its sessions. */
function signer(principal: string): string {
  const [, account, role] = /^arn:aws:iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/.exec(principal) ?? [];
  return role === undefined
    ? principal
    : `arn:aws:sts::${account ?? ""}:assumed-role/${role}/i-00000000000000000`;
}

function contextOf(
  { context }: AccessRequest,
  principal: string,
): Record<string, string | string[]> {
  const given = Object.entries(context).map(
    ([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : [...values]] as const,
  );
  const account = /^arn:aws:iam::(\d{12}):/.exec(principal)?.[1];
  return {
    "aws:securetransport": "true",
    ...(account === undefined
      ? {}
      : {
          "aws:principalarn": principal,
          "aws:principalaccount": account,
          "kms:calleraccount": account,
        }),
    ...Object.fromEntries(given),
  };
}

/** Asks the simulator. An action, resource or condition that AWS does not know is an error that says so, never an answer. */
export async function decide(request: AccessRequest, policies: PoliciesInForce): Promise<Decision> {
  const { accountId, principal, role } = policies;
  const own = resourcePolicy(request, policies);
  const context = contextOf(request, principal);
  if (!request.action.startsWith("kms:")) delete context["kms:calleraccount"];
  const answer = await runSimulation(
    {
      request: {
        principal: signer(principal),
        action: request.action,
        resource: { resource: concrete(request.resource), accountId },
        contextVariables: context,
      },
      identityPolicies: role === undefined ? [] : [{ name: "machine", policy: role }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(own === undefined ? {} : { resourcePolicy: own }),
    },
    {},
  );
  const what = `${request.action} on ${request.resource}`;
  if (answer.resultType === "error") {
    throw new Error(`the simulator does not take ${what}: ${JSON.stringify(answer.errors)}`);
  }
  const results: readonly SimulationResourceResult[] =
    answer.resultType === "single" ? [answer.result] : answer.results;
  const ignored = results.flatMap(({ ignoredContextKeys = [] }) => ignoredContextKeys);
  if (ignored.length > 0) {
    throw new Error(`AWS gives ${what} no context ${ignored.join(", ")}`);
  }
  return {
    allowed: answer.overallResult === "Allowed",
    allowedBy: results.flatMap(({ analysis }) => sids(analysis.identityAnalysis?.allowStatements)),
    deniedBy: results.flatMap(({ analysis }) => [
      ...sids(analysis.identityAnalysis?.denyStatements),
      ...sids(analysis.resourceAnalysis?.denyStatements),
    ]),
  };
}
