/** One statement, fields as lists. */
export interface Statement {
  readonly sid: string;
  readonly effect: "Allow" | "Deny";
  /** ARNs, "*", or "service:<name>"; absent in identity policies. */
  readonly principals?: readonly string[];
  readonly actions: readonly string[];
  readonly notActions?: readonly string[];
  /** Absent in trust policies, where it means "this". */
  readonly resources?: readonly string[];
  readonly conditions: readonly Condition[];
}

/** One condition: an operator on a key; any of the values will do. */
export interface Condition {
  readonly operator: string;
  readonly key: string;
  readonly values: readonly string[];
}

/** One thing somebody wants to do to one resource. Context keys are in lower case. */
export interface AccessRequest {
  readonly action: string;
  readonly resource: string;
  readonly context: Readonly<Record<string, readonly string[]>>;
}

/** A policy the evaluator does not understand: never guessed at, because a guess could be laxer than AWS. */
export class UnknownPolicyPart extends Error {}

const asList = (value: unknown): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map((item) => String(item));

function principalsOf(principal: unknown): string[] {
  if (typeof principal === "string") return [principal];
  return Object.entries(principal as Record<string, unknown>).flatMap(([kind, value]) =>
    asList(value).map((name) => (kind === "Service" ? `service:${name}` : name)),
  );
}

const knownFields = new Set([
  "Sid",
  "Effect",
  "Principal",
  "Action",
  "NotAction",
  "Resource",
  "Condition",
]);

/** Reads a policy document. */
export function parsePolicy(text: string): Statement[] {
  const document = JSON.parse(text) as { Statement?: unknown };
  const { Statement: given = [] } = document;
  const statements: unknown[] = Array.isArray(given) ? given : [given];
  return (statements as Record<string, unknown>[]).map((statement) => {
    const unknown = Object.keys(statement).find((field) => !knownFields.has(field));
    if (unknown !== undefined) throw new UnknownPolicyPart(`policy element ${unknown}`);
    const { Effect, Principal, Action, NotAction, Resource, Condition: conditions } = statement;
    if (Effect !== "Allow" && Effect !== "Deny")
      throw new UnknownPolicyPart(`Effect ${String(Effect)}`);
    return {
      sid: statement["Sid"] === undefined ? "" : asList(statement["Sid"]).join(),
      effect: Effect,
      actions: asList(Action),
      ...(NotAction === undefined ? {} : { notActions: asList(NotAction) }),
      ...(Principal === undefined ? {} : { principals: principalsOf(Principal) }),
      ...(Resource === undefined ? {} : { resources: asList(Resource) }),
      conditions: Object.entries(
        (conditions ?? {}) as Record<string, Record<string, unknown>>,
      ).flatMap(([operator, keys]) =>
        Object.entries(keys).map(([key, values]) => ({
          operator,
          key: key.toLowerCase(),
          values: asList(values),
        })),
      ),
    };
  });
}

/** IAM's wildcards: "*" for any text, "?" for one character. */
export function matches(pattern: string, text: string, ignoreCase = false): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, "[\\s\\S]*")
    .replace(/\?/g, "[\\s\\S]");
  return new RegExp(`^${source}$`, ignoreCase ? "i" : "").test(text);
}

type Comparison = (value: string, wanted: string) => boolean;

const sameArn: Comparison = (value, wanted) => {
  const parts = value.split(":");
  const patterns = wanted.split(":");
  // The resource part may itself have colons.
  const tail = (all: string[]): string => all.slice(5).join(":");
  return (
    patterns.length >= 6 &&
    parts.length >= 6 &&
    patterns.slice(0, 5).every((pattern, index) => matches(pattern, parts[index] ?? "")) &&
    matches(tail(patterns), tail(parts))
  );
};

const comparisons: Readonly<Record<string, Comparison>> = {
  StringEquals: (value, wanted) => value === wanted,
  StringEqualsIgnoreCase: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  StringLike: (value, wanted) => matches(wanted, value),
  Bool: (value, wanted) => value.toLowerCase() === wanted.toLowerCase(),
  ArnEquals: sameArn,
  ArnLike: sameArn,
  NumericEquals: (value, wanted) => Number(value) === Number(wanted),
  NumericLessThan: (value, wanted) => Number(value) < Number(wanted),
  NumericLessThanEquals: (value, wanted) => Number(value) <= Number(wanted),
  NumericGreaterThan: (value, wanted) => Number(value) > Number(wanted),
  NumericGreaterThanEquals: (value, wanted) => Number(value) >= Number(wanted),
};

const negations: Readonly<Record<string, string>> = {
  StringNotEquals: "StringEquals",
  StringNotEqualsIgnoreCase: "StringEqualsIgnoreCase",
  StringNotLike: "StringLike",
  ArnNotEquals: "ArnEquals",
  ArnNotLike: "ArnLike",
  NumericNotEquals: "NumericEquals",
};

function substituted(value: string, context: AccessRequest["context"]): string | undefined {
  const known = (name: string): string | undefined =>
    ["*", "?", "$"].includes(name) ? name : context[name.toLowerCase()]?.[0];
  const names = [...value.matchAll(/\$\{([^}]*)\}/g)].map(([, name = ""]) => name);
  return names.some((name) => known(name) === undefined)
    ? undefined
    : value.replace(/\$\{([^}]*)\}/g, (_, name: string) => known(name) ?? "");
}

function holds(condition: Condition, context: AccessRequest["context"]): boolean {
  const given = context[condition.key];
  if (condition.operator === "Null") {
    const absent = given === undefined || given.length === 0;
    return condition.values.some((value) => (value === "true") === absent);
  }
  const match = /^(?:(ForAnyValue|ForAllValues):)?(\w+?)(IfExists)?$/.exec(condition.operator);
  const [, quantifier, name = "", ifExists] = match ?? [];
  const negated = negations[name] !== undefined;
  const compare = comparisons[negations[name] ?? name];
  if (compare === undefined)
    throw new UnknownPolicyPart(`condition operator ${condition.operator}`);
  if (given === undefined || given.length === 0) {
    return (
      ifExists !== undefined ||
      quantifier === "ForAllValues" ||
      (negated && quantifier === undefined)
    );
  }
  const wanted = condition.values
    .map((value) => substituted(value, context))
    .filter((value) => value !== undefined);
  const one = (value: string): boolean => wanted.some((item) => compare(value, item)) !== negated;
  return quantifier === "ForAllValues" ? given.every(one) : given.some(one);
}

/** Whether a statement is about this request, its principal aside. */
export function applies(statement: Statement, request: AccessRequest): boolean {
  const { notActions } = statement;
  const action =
    notActions === undefined
      ? statement.actions.some((pattern) => matches(pattern, request.action, true))
      : !notActions.some((pattern) => matches(pattern, request.action, true));
  return (
    action &&
    (statement.resources === undefined ||
      statement.resources.some((pattern) => {
        const text = substituted(pattern, request.context);
        return text !== undefined && matches(text, request.resource);
      })) &&
    statement.conditions.every((condition) => holds(condition, request.context))
  );
}

/** What a set of statements says: a deny wins over everything. */
export function verdict(
  statements: readonly Statement[],
  request: AccessRequest,
): "allow" | "deny" | "silent" {
  const about = statements.filter((statement) => applies(statement, request));
  if (about.some(({ effect }) => effect === "Deny")) return "deny";
  return about.length > 0 ? "allow" : "silent";
}
