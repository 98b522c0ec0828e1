import { altered, each, ofType, type Control } from "#security/controls/control";
import { type, type Declared } from "#security/controls/declared";
import { listOf, type PolicyDocument } from "#security/simulator";

/** Policies that the program gives to roles, with the roles' names. */
function rolePolicies(resources: Declared): { name: string; document: PolicyDocument }[] {
  return ofType(resources, type.rolePolicy).map(({ name, inputs }) => ({
    name,
    document: JSON.parse(String(inputs["policy"])) as PolicyDocument,
  }));
}

function actionsOf(resources: Declared): { name: string; action: string }[] {
  return rolePolicies(resources).flatMap(({ name, document }) =>
    document.Statement.flatMap((statement) =>
      listOf(statement.Action).map((action) => ({ name, action })),
    ),
  );
}

/** A role's policy with one statement more. */
function alsoAllowing(action: string, resource: string) {
  return (resources: Declared): Declared => {
    const policy = ofType(resources, type.rolePolicy)[0];
    if (policy === undefined) throw new Error("there is no role's policy");
    const document = JSON.parse(String(policy.inputs["policy"])) as PolicyDocument;
    const more = { Sid: "More", Effect: "Allow" as const, Action: action, Resource: resource };
    const text = JSON.stringify({ ...document, Statement: [...document.Statement, more] });
    return altered(type.rolePolicy, "policy", text, new RegExp(`^${policy.name}$`))(resources);
  };
}

/** What roles may do, at first sight; the simulator looks closer. */
export const roles: readonly Control<Declared>[] = [
  {
    id: "no-wildcard-action",
    what: "no role has an action with a wildcard",
    sources: ["IAM.21", "DESIGN 3"],
    check: (resources) =>
      actionsOf(resources)
        .filter(({ action }) => !/^[a-z0-9-]+:[A-Za-z]+$/.test(action))
        .map(({ name, action }) => `${name}: ${action}`),
    mutants: {
      "a service's": alsoAllowing("s3:*", "arn:aws:s3:::etcd/*"),
      "some of a service's": alsoAllowing("ec2:Describe*", "*"),
      all: alsoAllowing("*", "*"),
    },
  },
  {
    id: "no-deletion-in-the-bucket",
    what: "no role may delete in the bucket, or change what the bucket is",
    sources: ["DESIGN 3"],
    check: (resources) =>
      actionsOf(resources)
        .filter(({ action }) => /^s3:(?!PutObject$|PutObjectTagging$|Get|List)/.test(action))
        .map(({ name, action }) => `${name}: ${action}`),
    mutants: {
      "a backup": alsoAllowing("s3:DeleteObject", "arn:aws:s3:::etcd/backups/m1/*"),
      "a version": alsoAllowing("s3:DeleteObjectVersion", "arn:aws:s3:::etcd/backups/m1/*"),
      "its lifecycle": alsoAllowing("s3:PutLifecycleConfiguration", "arn:aws:s3:::etcd"),
    },
  },
  {
    id: "machines-only",
    what: "only EC2's machines take the roles, and no role may pass or take another",
    sources: ["DESIGN 3"],
    check: (resources) => [
      ...each(resources, [type.role], {
        "for machines": (one) => {
          const { Statement } = JSON.parse(String(one.inputs["assumeRolePolicy"])) as {
            Statement: { Principal?: unknown }[];
          };
          return Statement.every(
            ({ Principal }) => JSON.stringify(Principal) === '{"Service":"ec2.amazonaws.com"}',
          );
        },
      }),
      ...actionsOf(resources)
        .filter(({ action }) => /^(iam|sts):/.test(action))
        .map(({ name, action }) => `${name}: ${action}`),
    ],
    mutants: {
      "somebody else": altered(
        type.role,
        "assumeRolePolicy",
        JSON.stringify({
          Statement: [{ Effect: "Allow", Principal: { AWS: "*" }, Action: "sts:AssumeRole" }],
        }),
      ),
      "another role": alsoAllowing("iam:PassRole", "*"),
    },
  },
];
