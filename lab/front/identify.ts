import { isService, protocols, type Call, type Protocol, type RawRequest } from "./call.ts";
import type { CredentialStore } from "./credentials.ts";
import { AwsError, authError } from "./errors.ts";
import { Params } from "./params.ts";
import { readRoute53 } from "./route53Operation.ts";
import { readS3 } from "./s3Operation.ts";
import { header, readSignature, signatureProblem } from "./signature.ts";

/** A refusal together with the protocol to word it in: a request may be refused before it is understood. */
export class Refusal extends Error {
  readonly protocol: Protocol;
  readonly reason: AwsError;

  constructor(protocol: Protocol, reason: AwsError) {
    super(reason.message);
    this.protocol = protocol;
    this.reason = reason;
  }
}

function operationAndParams(
  service: Call["service"],
  request: RawRequest,
): { operation: string; params: Params } {
  switch (protocols[service]) {
    case "s3":
      return readS3(request);
    case "rest-xml":
      return readRoute53(request);
    case "json": {
      const target = header(request, "x-amz-target") ?? "";
      const document: unknown =
        request.body.length === 0 ? {} : JSON.parse(request.body.toString());
      return {
        operation: target.slice(target.indexOf(".") + 1),
        params: Params.fromJson(document),
      };
    }
    case "ec2":
    case "query": {
      const { target, method } = request;
      const query = target.includes("?") ? target.slice(target.indexOf("?") + 1) : "";
      const params = Params.fromForm(method === "GET" ? query : request.body.toString());
      return { operation: params.text("Action") ?? "", params };
    }
  }
}

/**
 * Finds out who asks which service for what, and proves it: the signature is recomputed with the caller's secret. Throws a Refusal
 * in the service's own words.
 */
export function identify(
  request: RawRequest,
  credentials: CredentialStore,
  now = new Date(),
): Call {
  const signature = readSignature(request);
  if (signature === undefined) {
    throw new Refusal("s3", authError("s3", "unsigned", "The request is not signed (SigV4)."));
  }
  const { service, region, accessKeyId } = signature;
  if (!isService(service)) {
    throw new Refusal(
      "query",
      new AwsError(
        "LabUnknownService",
        `The lab has no service "${service}" (lab/front/call.ts).`,
        400,
      ),
    );
  }
  const protocol = protocols[service];
  const refuse = (problem: Parameters<typeof authError>[1], detail: string): never => {
    throw new Refusal(protocol, authError(protocol, problem, detail));
  };
  const known = credentials.find(accessKeyId);
  if (known === undefined) {
    return refuse(
      "unknownKey",
      protocol === "ec2"
        ? "AWS was not able to validate the provided access credentials"
        : "The security token included in the request is invalid.",
    );
  }
  if (known.sessionToken !== signature.sessionToken) {
    return refuse("unknownKey", "The security token included in the request is invalid.");
  }
  if (known.expiration !== undefined && known.expiration <= now) {
    return refuse("expired", "The security token included in the request is expired");
  }
  const problem = signatureProblem(request, signature, known.secretAccessKey, now);
  if (problem === "expired") return refuse("expired", "Request has expired");
  if (problem === "badSignature") {
    return refuse(
      "badSignature",
      "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.",
    );
  }
  return {
    caller: known.caller,
    service,
    region,
    request,
    ...operationAndParams(service, request),
  };
}
