import { listOf, type PolicyDocument, type PolicyStatement } from "#security/simulator";

/**
 * Every way of loosening one clause of a policy: without one condition, for everything instead of one thing, for all that lies beside a
 * thing; a denial left out, or for less. Whatever survives all questions is a clause that nobody would miss, or a question that nobody
 * has asked.
 */

/** A policy with one clause loosened. */
export interface PolicyMutant {
  /** Statement and clause. */
  readonly what: string;
  /** The policy; of one that has only gained something, the statement that gained it: the others say what they said before. */
  readonly document: PolicyDocument;
  /** What its statement was about: only questions about these services can tell. */
  readonly services: readonly string[];
}

type Conditions = NonNullable<PolicyStatement["Condition"]>;

function serviceOf(action: string): string {
  return action.split(":")[0] ?? "";
}

/** The last part of an ARN: what it is about. */
function short(arn: string): string {
  return arn.split(":").slice(5).join(":");
}

function withoutCondition(conditions: Conditions, operator: string, key: string): Conditions {
  const entries = Object.entries(conditions).map(([name, keys]) => {
    const left = Object.entries(keys).filter(([each]) => name !== operator || each !== key);
    return [name, Object.fromEntries(left)] as const;
  });
  return Object.fromEntries(entries.filter(([, keys]) => Object.keys(keys).length > 0));
}

function looserConditions(conditions: Conditions): { what: string; conditions: Conditions }[] {
  return Object.entries(conditions).flatMap(([operator, keys]) =>
    Object.keys(keys).map((key) => ({
      what: `without ${operator} ${key}`,
      conditions: withoutCondition(conditions, operator, key),
    })),
  );
}

function looserStatements(
  statement: PolicyStatement,
): { what: string; statement: PolicyStatement }[] {
  const { Condition = {}, ...rest } = statement;
  const resources = listOf(statement.Resource);
  return [
    ...looserConditions(Condition).map(({ what, conditions }) => ({
      what,
      statement: { ...rest, Condition: conditions },
    })),
    ...resources
      .filter((resource) => resource !== "*")
      .flatMap((resource) => [
        {
          what: `for everything instead of ${short(resource)}`,
          statement: {
            ...statement,
            Resource: ["*", ...resources.filter((each) => each !== resource)],
          },
        },
        ...(/[/:][^/]*\*[^/]*$/.test(resource) || !resource.includes("/")
          ? []
          : [
              {
                what: `for all beside ${short(resource)}`,
                statement: {
                  ...statement,
                  Resource: [
                    `${resource.slice(0, resource.lastIndexOf("/"))}/*`,
                    ...resources.filter((each) => each !== resource),
                  ],
                },
              },
            ]),
      ]),
  ];
}

/** Every loosening of one clause of a document. */
export function loosened(document: PolicyDocument): PolicyMutant[] {
  return document.Statement.flatMap((statement, at) => {
    const others = document.Statement.filter((_, index) => index !== at);
    const services = [...new Set(listOf(statement.Action).map(serviceOf))];
    const name = statement.Sid ?? String(at);
    if (statement.Effect === "Deny") {
      return [
        ...[{ what: `${name}: left out`, document: { ...document, Statement: others }, services }],
        ...tighterDenials(statement).map(({ what, statement: denial }) => ({
          what: `${name}: ${what}`,
          document: { ...document, Statement: [...others, denial] },
          services,
        })),
      ];
    }
    return looserStatements(statement).map(({ what, statement: mutant }) => ({
      what: `${name}: ${what}`,
      document: { ...document, Statement: [mutant] },
      services,
    }));
  });
}

/** A denial that denies less: one of its actions or resources is left out. */
function tighterDenials(
  statement: PolicyStatement,
): { what: string; statement: PolicyStatement }[] {
  const actions = listOf(statement.Action);
  const resources = listOf(statement.Resource);
  const without = (all: readonly string[], one: string): string[] =>
    all.filter((each) => each !== one);
  return [
    ...(actions.length < 2 ? [] : actions).map((action) => ({
      what: `not for ${action}`,
      statement: { ...statement, Action: without(actions, action) },
    })),
    ...(resources.length < 2 ? [] : resources).map((resource) => ({
      what: `not for ${resource}`,
      statement: { ...statement, Resource: without(resources, resource) },
    })),
  ];
}

/** Mutants that change nothing, and why: the clause is there for another reason. */
export const equivalent: readonly { readonly mutants: RegExp; readonly because: string }[] = [
  {
    mutants:
      /^(AttachOwnVolume|AttachToOwnMachine|EndOwnMachine): for everything instead of (volume|instance)\/\*$/,
    because:
      "the actions are about volumes and machines only, and where about both, both have the same conditions",
  },
  {
    mutants: /^CreateReplacementVolume: for everything instead of volume\/\*$/,
    because: "beside volumes the action is about snapshots, which bear none of the wished tags",
  },
  {
    mutants: /^AutoScaling\w+: without StringEquals kms:CallerAccount$/,
    because:
      "the role's ARN names the account; a policy that admits everybody should say at first sight that it does not",
  },
  {
    mutants: /^AlarmsReachTheEncryptedTopic: without StringEquals aws:SourceAccount$/,
    because: "the alarm's ARN names the account; AWS asks for both",
  },
];
