import { accountId } from "../../paths.ts";
import { protocols, type Call, type Caller } from "../call.ts";
import { AwsError, deniedError } from "../errors.ts";
import { callerArn } from "../rules/identity.ts";
import { UnknownPolicyPart, verdict, type AccessRequest, type Statement } from "./evaluate.ts";
import { neededFor, volumeKeyNeeds, type Lookup, type Needed } from "./requests.ts";

/** The auto scaling service's own role, as key policies name it. */
const scalingRoleArn = `arn:aws:iam::${accountId}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`;

/** ARN by which policies know a caller: for a role's session, the role. */
function principalArn(caller: Caller): string {
  switch (caller.kind) {
    case "admin":
      return callerArn(caller);
    case "role":
      return `arn:aws:iam::${accountId}:role/${caller.roleName}`;
    case "service":
      return scalingRoleArn;
  }
}

function generalContext(call: Call): AccessRequest["context"] {
  return {
    "aws:requestedregion": [call.region],
    // The host's loopback stands for a way to AWS that is TLS; machines come through the router, which ends it.
    "aws:securetransport": ["true"],
    "aws:principalarn": [principalArn(call.caller)],
    "aws:principalaccount": [accountId],
    ...(call.request.sourceAddress === undefined
      ? {}
      : { "aws:sourceip": [call.request.sourceAddress] }),
  };
}

function withContext(call: Call, need: Needed): Needed {
  return { ...need, context: { ...generalContext(call), ...need.context } };
}

const accountRoot = `arn:aws:iam::${accountId}:root`;

/** Statements of a resource's policy that are about this caller, and how: by name, or by leaving it to the account's policies. */
function forCaller(statements: readonly Statement[], caller: Caller) {
  const names = new Set([principalArn(caller), callerArn(caller), "*"]);
  const byName = statements.filter(({ principals = [] }) =>
    principals.some((principal) => names.has(principal)),
  );
  const byAccount = statements.filter(({ principals = [] }) =>
    principals.some((principal) => principal === accountRoot || principal === accountId),
  );
  return { byName, byAccount };
}

/** Decides about every call by the policies that moto holds. The administrator is held back only by explicit denials. */
export class Authorizer {
  private readonly lookup: Lookup;

  constructor(lookup: Lookup) {
    this.lookup = lookup;
  }

  /** Throws the service's own refusal unless the caller may do what the call does. `asked` hears what a machine needs for it. */
  async check(
    call: Call,
    asked: (needs: readonly AccessRequest[]) => void = () => undefined,
  ): Promise<void> {
    try {
      if (call.caller.kind === "role") {
        const needs = await neededFor(call, this.lookup);
        const requests = needs.map((need) => withContext(call, need));
        asked(requests.map(({ action, resource, context }) => ({ action, resource, context })));
        for (const request of requests) await this.forRole(call, request);
      } else if (call.service === "s3" && isObjectCall(call)) {
        for (const need of await neededFor(call, this.lookup)) await this.forAdmin(call, need);
      } else if (call.caller.kind === "service" && call.operation === "RunInstances") {
        await this.forScaling(call);
      }
    } catch (error) {
      if (error instanceof UnknownPolicyPart) {
        throw new AwsError(
          "LabUnknownPolicy",
          `A policy in force uses what the lab cannot evaluate: ${error.message} (lab/front/iam/evaluate.ts).`,
          403,
        );
      }
      throw error;
    }
  }

  /** Whether a role may list a bucket: without it, S3 answers 403 for an object that does not exist. */
  async mayTellAbsence(call: Call): Promise<boolean> {
    if (call.caller.kind !== "role") return true;
    const { params } = call;
    const request: AccessRequest = {
      action: "s3:ListBucket",
      resource: `arn:aws:s3:::${params.text("Bucket") ?? ""}`,
      // S3 asks as if the object's own name had been listed, so that permissions by prefix count.
      context: { ...generalContext(call), "s3:prefix": [params.text("Key") ?? ""] },
    };
    const own = await this.lookup.policies.ofRole(call.caller.roleName);
    return verdict(own, request) === "allow";
  }

  private async forRole(call: Call, request: Needed): Promise<void> {
    if (call.caller.kind !== "role") return;
    const own = verdict(await this.lookup.policies.ofRole(call.caller.roleName), request);
    const resource = await this.resourceVerdict(call, request);
    if (own === "deny")
      throw denied(call, request, "with an explicit deny in an identity-based policy");
    if (resource.byName === "deny") {
      throw denied(call, request, "with an explicit deny in a resource-based policy");
    }
    if (resource.byName === "allow") return;
    if (own !== "allow") {
      throw denied(
        call,
        request,
        `because no identity-based policy allows the ${request.action} action`,
      );
    }
    if (request.keyId !== undefined && resource.byAccount !== "allow") {
      throw denied(
        call,
        request,
        `because no resource-based policy allows the ${request.action} action`,
      );
    }
  }

  private async forAdmin(call: Call, need: Needed): Promise<void> {
    if (need.keyId !== undefined) return;
    const request = withContext(call, need);
    if ((await this.resourceVerdict(call, request)).byName === "deny") {
      throw denied(call, need, "with an explicit deny in a resource-based policy");
    }
  }

  /** A group's machines have encrypted root disks only if the key's policy admits the service's role by itself. */
  private async forScaling(call: Call): Promise<void> {
    for (const mapping of call.params.items("BlockDeviceMapping")) {
      const key = mapping.text("Ebs.KmsKeyId");
      if (key === undefined) continue;
      for (const need of volumeKeyNeeds(call, key, false)) {
        const request = withContext(call, need);
        if ((await this.resourceVerdict(call, request)).byName !== "allow") {
          throw new AwsError(
            "Client.InternalError",
            `Client error on launch: the policy of key ${need.resource} does not allow ${need.action} to ${scalingRoleArn}.`,
          );
        }
      }
    }
  }

  private async resourceVerdict(call: Call, request: Needed) {
    const { policies } = this.lookup;
    const bucket = call.params.text("Bucket");
    const statements =
      request.keyId !== undefined
        ? await policies.ofKey(call.region, request.keyId)
        : call.service === "s3" && bucket !== undefined
          ? await policies.ofBucket(call.region, bucket)
          : [];
    const { byName, byAccount } = forCaller(statements, call.caller);
    return { byName: verdict(byName, request), byAccount: verdict(byAccount, request) };
  }
}

function isObjectCall(call: Call): boolean {
  return ["PutObject", "CompleteMultipartUpload", "DeleteObject", "DeleteObjects"].includes(
    call.operation,
  );
}

function denied(call: Call, need: Needed, why: string): AwsError {
  const sentence = `User: ${callerArn(call.caller)} is not authorized to perform: ${need.action} on resource: ${need.resource} ${why}`;
  const protocol = protocols[call.service];
  return deniedError(
    protocol,
    protocol === "ec2" ? `You are not authorized to perform this operation. ${sentence}` : sentence,
  );
}
