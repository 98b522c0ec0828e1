import { listOf, type AccessRequest, type PolicyDocument } from "#security/simulator";

/** Which parts of a policy some calls need: for each statement the action, the resource and the value of a condition. */

/** A call, and the statements that allow it. */
export interface AllowedCall {
  readonly request: AccessRequest;
  readonly allowedBy: readonly string[];
}

/** IAM's wildcards. */
function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${source}$`, "s");
}

/** Every part of a policy that none of the calls needs: `Sid: s3:GetObject`, `Sid: arn:…`, `Sid: kms:ViaService=…`. */
export function unused(document: PolicyDocument, calls: readonly AllowedCall[]): string[] {
  return document.Statement.flatMap((statement) => {
    const sid = statement.Sid ?? "";
    const needing = calls
      .filter(({ allowedBy }) => allowedBy.includes(sid))
      .map(({ request }) => request);
    const actions = listOf(statement.Action).filter(
      (action) => !needing.some((each) => glob(action).test(each.action)),
    );
    const resources = listOf(statement.Resource).filter(
      (resource) => !needing.some((each) => glob(resource).test(each.resource)),
    );
    const values = Object.values(statement.Condition ?? {}).flatMap((keys) =>
      Object.entries(keys).flatMap(([key, wanted]) =>
        Array.isArray(wanted) && wanted.length > 1
          ? (wanted as readonly string[])
              .filter(
                (value) =>
                  !needing.some(
                    (each) => each.context[key.toLowerCase()]?.includes(value) === true,
                  ),
              )
              .map((value) => `${key}=${value}`)
          : [],
      ),
    );
    return [...actions, ...resources, ...values].map((part) => `${sid}: ${part}`);
  });
}
