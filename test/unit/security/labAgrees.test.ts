import { join } from "node:path";

import { questions } from "#security/questions/all";
import { Asker } from "#security/questions/question";
import { recordedKinds, requestOf, RoleKind } from "#security/recording";
import { decide, type AccessRequest, type PoliciesInForce } from "#security/simulator";
import { parsePolicy, verdict, type Statement } from "../../../lab/front/iam/evaluate";
import { inForce, names, renderedDocuments, scope } from "../../support/policiesInForce";

/** The lab's front decides by an evaluator of its own; about machines it says what the simulator says. */

// Hundreds of answers of the simulator, on a host that may be busy with machines.
jest.setTimeout(60_000);

const documents = renderedDocuments();
const root = `arn:aws:iam::${scope.accountId}:root`;

const naming = (statements: readonly Statement[], name: string): Statement[] =>
  statements.filter(({ principals = [] }) => principals.includes(name));

/** As lab/front/iam/authorize.ts decides. */
function labAllows(request: AccessRequest, policies: PoliciesInForce): boolean {
  const asked = {
    ...request,
    context: {
      "aws:securetransport": ["true"],
      "aws:principalarn": [policies.principal],
      "kms:calleraccount": [scope.accountId],
      ...request.context,
    },
  };
  const read = (document: unknown): Statement[] => parsePolicy(JSON.stringify(document));
  const own = verdict(read(policies.role), asked);
  const isKey = request.action.startsWith("kms:");
  const about = isKey
    ? policies.key
    : request.action.startsWith("s3:")
      ? policies.bucket
      : undefined;
  const statements = about === undefined ? [] : read(about);
  const byName = verdict(naming(statements, "*"), asked);
  if (own === "deny" || byName === "deny") return false;
  if (byName === "allow") return true;
  return own === "allow" && (!isKey || verdict(naming(statements, root), asked) === "allow");
}

const kinds = recordedKinds
  .read(join(__dirname, "../../security/golden/calls.json"))
  .map((kind) => ({
    ...kind,
    as: kind.role === RoleKind.member ? Asker.member : Asker.bastion,
    what: "recorded",
  }));
const machines: readonly Asker[] = [Asker.member, Asker.memberAlone, Asker.bastion];
const asked = Object.values(questions)
  .flat()
  .filter(({ as }) => machines.includes(as))
  .map((question) => ({ ...question, role: RoleKind.member }));

it("on everything that was recorded, and on every question about a machine", async () => {
  const different: string[] = [];
  for (const each of [...kinds, ...asked]) {
    const request = requestOf(each, scope, names);
    const policies = inForce(each.as, documents);
    const { allowed } = await decide(request, policies);
    if (allowed !== labAllows(request, policies)) {
      different.push(
        `${each.as} ${each.action} ${each.resource} (${each.what}): ${String(allowed)}`,
      );
    }
  }
  expect(different).toEqual([]);
});
