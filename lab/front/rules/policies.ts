import {
  GetRoleCommand,
  ListAttachedRolePoliciesCommand,
  ListInstanceProfilesForRoleCommand,
  ListRolePoliciesCommand,
  GetRolePolicyCommand,
} from "@aws-sdk/client-iam";
import type { Call } from "../call.ts";
import { AwsError } from "../errors.ts";
import { parsePolicy, UnknownPolicyPart, type Statement } from "../iam/evaluate.ts";
import type { Records } from "../records.ts";
import { refusing, type Rules } from "../rule.ts";
import { checkTags, mustBeWithin, mustMatch } from "./text.ts";

/** Sum of a role's inline policies, without white space, and of a trust policy. */
const maxInlineCharacters = 10_240;
const maxTrustCharacters = 2048;
const maxManagedCharacters = 6144;

const withoutSpace = (text: string): number => text.replace(/\s/g, "").length;

/** Reads a policy document, and refuses what AWS, or the lab's evaluator, would not understand. */
function readDocument(text: string | undefined, code: string, principals: boolean): Statement[] {
  let statements: Statement[];
  try {
    const { Version } = JSON.parse(text ?? "") as { Version?: unknown };
    if (Version !== "2012-10-17") throw new UnknownPolicyPart(`Version ${String(Version)}`);
    statements = parsePolicy(text ?? "");
  } catch (error) {
    throw new AwsError(
      code,
      `The policy is not understood: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  for (const statement of statements) {
    const action = statement.actions.find(
      (one) => one !== "*" && !/^[a-z0-9-]+:[A-Za-z0-9*?]+$/.test(one),
    );
    if (action !== undefined)
      throw new AwsError(
        code,
        `Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: ${action}`,
      );
    if (!principals && statement.resources === undefined)
      throw new AwsError(code, "Policy statement must contain resources.");
    if (principals !== (statement.principals !== undefined)) {
      throw new AwsError(
        code,
        principals
          ? "Policy statement must contain a principal."
          : "Policy document should not specify a principal.",
      );
    }
    if (!/^[A-Za-z0-9]*$/.test(statement.sid))
      throw new AwsError(code, `Statement IDs (SID) must be alpha-numeric: ${statement.sid}`);
  }
  return statements;
}

const malformed = "MalformedPolicyDocument";
const nameRule = /^[\w+=,.@-]+$/;

async function checkInlineSize(call: Call, records: Records): Promise<void> {
  const { params } = call;
  const RoleName = params.text("RoleName") ?? "";
  const document = params.text("PolicyDocument") ?? "";
  readDocument(document, malformed, false);
  mustMatch(
    "policyName",
    params.text("PolicyName"),
    /^[\w+=,.@-]{1,128}$/,
    "1 to 128 of letters, digits and +=,.@-_",
    "ValidationError",
  );
  const iam = records.iam();
  const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
  let sum = withoutSpace(document);
  for (const PolicyName of PolicyNames.filter((name) => name !== params.text("PolicyName"))) {
    const { PolicyDocument = "" } = await iam.send(
      new GetRolePolicyCommand({ RoleName, PolicyName }),
    );
    sum += withoutSpace(decodeURIComponent(PolicyDocument));
  }
  if (sum > maxInlineCharacters) {
    throw new AwsError(
      "LimitExceeded",
      `Maximum policy size of ${maxInlineCharacters} bytes exceeded for role ${RoleName} (${sum}).`,
      409,
    );
  }
}

async function checkRoleFree(call: Call, records: Records): Promise<void> {
  const RoleName = call.params.text("RoleName") ?? "";
  const iam = records.iam();
  const conflict = (what: string): AwsError =>
    new AwsError("DeleteConflict", `Cannot delete entity, must ${what} first.`, 409);
  const { PolicyNames = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
  if (PolicyNames.length > 0) throw conflict("delete policies");
  const { AttachedPolicies = [] } = await iam.send(
    new ListAttachedRolePoliciesCommand({ RoleName }),
  );
  if (AttachedPolicies.length > 0) throw conflict("detach all policies");
  const { InstanceProfiles = [] } = await iam.send(
    new ListInstanceProfilesForRoleCommand({ RoleName }),
  );
  if (InstanceProfiles.length > 0) throw conflict("remove roles from instance profile");
}

/** KMS refuses a key policy that names a role that does not exist. */
async function checkKeyPolicy(document: string, records: Records): Promise<void> {
  const code = "MalformedPolicyDocumentException";
  for (const { principals = [] } of readDocument(document, code, true)) {
    for (const principal of principals) {
      const role = /^arn:aws:iam::\d{12}:role\/(?:.*\/)?([^/]+)$/.exec(principal)?.[1];
      if (role === undefined) continue;
      try {
        await records.iam().send(new GetRoleCommand({ RoleName: role }));
      } catch {
        throw new AwsError(
          code,
          `Policy contains a statement with one or more invalid principals: ${principal}`,
        );
      }
    }
  }
}

/** Policies, roles and keys. */
export const policyRules: Rules = {
  "iam:CreateRole": refusing(({ params, caller }) => {
    const name = params.text("RoleName");
    mustMatch("roleName", name, nameRule, "letters, digits and +=,.@-_", "ValidationError");
    if ((name ?? "").length > 64) {
      throw new AwsError(
        "ValidationError",
        `1 validation error detected: Value '${name ?? ""}' at 'roleName' failed to satisfy constraint: Member must have length less than or equal to 64`,
      );
    }
    if (params.has("PermissionsBoundary"))
      throw new AwsError(
        "LabUnknownParameter",
        "The lab does not evaluate permissions boundaries.",
      );
    const trust = params.text("AssumeRolePolicyDocument") ?? "";
    readDocument(trust, malformed, true);
    if (withoutSpace(trust) > maxTrustCharacters)
      throw new AwsError(
        "LimitExceeded",
        `Cannot exceed quota for ACLSizePerRole: ${maxTrustCharacters}`,
        409,
      );
    checkTags(params.items("Tags"), caller);
  }),
  "iam:UpdateAssumeRolePolicy": refusing(({ params }) => {
    readDocument(params.text("PolicyDocument"), malformed, true);
  }),
  "iam:CreateInstanceProfile": refusing(({ params }) => {
    mustMatch(
      "instanceProfileName",
      params.text("InstanceProfileName"),
      /^[\w+=,.@-]{1,128}$/,
      "1 to 128 of letters, digits and +=,.@-_",
      "ValidationError",
    );
  }),
  "iam:PutRolePolicy": refusing(checkInlineSize),
  "iam:CreatePolicy": refusing(({ params }) => {
    const document = params.text("PolicyDocument") ?? "";
    readDocument(document, malformed, false);
    if (withoutSpace(document) > maxManagedCharacters)
      throw new AwsError(
        "LimitExceeded",
        `Cannot exceed quota for PolicySize: ${maxManagedCharacters}`,
        409,
      );
  }),
  "iam:DeleteRole": refusing(checkRoleFree),
  "kms:CreateKey": refusing(async ({ params }, records) => {
    const policy = params.text("Policy");
    if (policy !== undefined) await checkKeyPolicy(policy, records);
  }),
  "kms:PutKeyPolicy": refusing(async ({ params }, records) => {
    await checkKeyPolicy(params.text("Policy") ?? "", records);
  }),
  "kms:CreateAlias": refusing(({ params }) => {
    mustMatch(
      "aliasName",
      params.text("AliasName"),
      /^alias\/(?!aws\/)[a-zA-Z0-9/_-]{1,250}$/,
      "alias/ and letters, digits, /, _ and -; not alias/aws/",
      "InvalidAliasNameException",
    );
  }),
  "kms:ScheduleKeyDeletion": refusing(({ params }) => {
    mustBeWithin(
      "PendingWindowInDays",
      params.text("PendingWindowInDays"),
      7,
      30,
      "ValidationException",
    );
  }),
  "s3:PutBucketPolicy": refusing(({ request, params }) => {
    const document = request.body.toString();
    const bucket = params.text("Bucket") ?? "";
    for (const { resources = [] } of readDocument(document, "MalformedPolicy", true)) {
      const foreign = resources.find(
        (one) => one !== `arn:aws:s3:::${bucket}` && !one.startsWith(`arn:aws:s3:::${bucket}/`),
      );
      if (foreign !== undefined)
        throw new AwsError("MalformedPolicy", `Policy has invalid resource: ${foreign}`);
    }
  }),
};
