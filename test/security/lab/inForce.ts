import { GetRolePolicyCommand, IAMClient, ListRolePoliciesCommand } from "@aws-sdk/client-iam";
import { GetKeyPolicyCommand, KMSClient } from "@aws-sdk/client-kms";
import { GetBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { accountId, adminCredentials, frontEndpoint } from "../../../lab/paths.ts";
import {
  kindOf,
  kindsOf,
  ownerOf,
  roleOf,
  wasRefused,
  type CallKind,
  type CallScope,
  type RecordedCall,
} from "#security/recording";
import {
  decide,
  type AccessRequest,
  type PoliciesInForce,
  type PolicyDocument,
} from "#security/simulator";

/** The policies that a running lab really has, and what the simulator says to all that its machines asked for. */

/** What became of a lab's recorded calls. */
export interface Evaluation {
  /** Calls that machines made. */
  readonly calls: number;
  /** Distinct requests among them, each asked about its own role's policies. */
  readonly requests: number;
  readonly kinds: readonly CallKind[];
  /** Of what the front let pass, what the simulator would refuse. */
  readonly overreaching: readonly string[];
  /** What the front refused, and so does the simulator. */
  readonly refused: readonly string[];
  /** What the front refused and the simulator would let pass. */
  readonly held: readonly string[];
}

const parsed = (text: string | undefined): PolicyDocument =>
  JSON.parse(text ?? '{"Version":"2012-10-17","Statement":[]}') as PolicyDocument;

/** Reads the policies in force, by the owner's own look-ups. Roles have one inline policy each. */
export async function policiesInForce(
  scope: CallScope,
): Promise<(roleName: string) => Promise<PoliciesInForce>> {
  const options = {
    region: scope.region,
    credentials: adminCredentials,
    endpoint: frontEndpoint,
  };
  const s3 = new S3Client({ ...options, forcePathStyle: true });
  const iam = new IAMClient(options);
  const { Policy: bucket } = await s3.send(new GetBucketPolicyCommand({ Bucket: scope.bucket }));
  const { Policy: key } = await new KMSClient(options).send(
    new GetKeyPolicyCommand({ KeyId: scope.keyId, PolicyName: "default" }),
  );
  return async (roleName) => {
    const { PolicyNames = [] } = await iam.send(
      new ListRolePoliciesCommand({ RoleName: roleName }),
    );
    if (PolicyNames.length !== 1) {
      throw new Error(`${roleName} has ${PolicyNames.length} inline policies, not one`);
    }
    const { PolicyDocument } = await iam.send(
      new GetRolePolicyCommand({ RoleName: roleName, PolicyName: PolicyNames[0] }),
    );
    return {
      accountId,
      principal: `arn:aws:iam::${accountId}:role/${roleName}`,
      role: parsed(decodeURIComponent(PolicyDocument ?? "")),
      bucket: parsed(bucket),
      key: parsed(key),
    };
  };
}

/** Asks the simulator about every distinct request in a record of calls. */
export async function evaluate(
  calls: readonly RecordedCall[],
  scope: CallScope,
  policiesOf: (roleName: string) => Promise<PoliciesInForce>,
): Promise<Evaluation> {
  const ofMachines = calls.filter((call) => roleOf(call) !== undefined);
  const byRole = Map.groupBy(ofMachines, (call) => roleOf(call) ?? "");
  const findings = { overreaching: [] as string[], refused: [] as string[], held: [] as string[] };
  let requests = 0;
  for (const [roleName, made] of byRole) {
    const owner = ownerOf(roleName, scope);
    const policies = await policiesOf(roleName);
    const allows = async (need: AccessRequest): Promise<boolean> =>
      (await decide(need, policies)).allowed;
    // Of one kind they differ in hashes and numbers only, of which no policy speaks.
    const distinct = new Map(
      made
        .filter((call) => !wasRefused(call))
        .flatMap(({ needs = [] }) => needs)
        .map((need) => [JSON.stringify(kindOf(need, owner, scope)), need] as const),
    );
    requests += distinct.size;
    for (const need of distinct.values()) {
      if (!(await allows(need))) {
        findings.overreaching.push(`${roleName}: ${need.action} on ${need.resource}`);
      }
    }
    for (const { caller, operation, needs = [], error = "" } of made.filter(wasRefused)) {
      const answers = await Promise.all(needs.map(allows));
      const which = answers.includes(false) ? findings.refused : findings.held;
      which.push(`${caller} ${operation}: ${error}`);
    }
  }
  return {
    calls: ofMachines.length,
    requests,
    kinds: kindsOf(calls, scope),
    ...findings,
  };
}
