import { randomUUID } from "node:crypto";
import type { Answer, Protocol } from "./call.ts";

/** A refusal with the code and words AWS uses, so that SDKs and programs react as they would there. */
export class AwsError extends Error {
  readonly code: string;
  readonly status: number;

  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Escapes text for XML content and attributes. */
export function xmlText(text: string): string {
  return text
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;");
}

/** Renders an error in a protocol's own shape. */
export function renderError(protocol: Protocol, error: AwsError): Answer {
  const id = randomUUID();
  const code = xmlText(error.code);
  const message = xmlText(error.message);
  switch (protocol) {
    case "json":
      return {
        status: error.status,
        headers: {
          "content-type": "application/x-amz-json-1.1",
          "x-amzn-requestid": id,
          "x-amzn-errortype": error.code,
        },
        body: Buffer.from(JSON.stringify({ __type: error.code, message: error.message })),
      };
    case "ec2":
      return xmlAnswer(
        error.status,
        id,
        `<Response><Errors><Error><Code>${code}</Code><Message>${message}</Message></Error></Errors><RequestID>${id}</RequestID></Response>`,
      );
    case "s3":
      return xmlAnswer(
        error.status,
        id,
        `<Error><Code>${code}</Code><Message>${message}</Message><RequestId>${id}</RequestId></Error>`,
      );
    case "query":
    case "rest-xml":
      return xmlAnswer(
        error.status,
        id,
        `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>${id}</RequestId></ErrorResponse>`,
      );
  }
}

/** An XML answer with a request id. */
export function xmlAnswer(status: number, requestId: string, xml: string): Answer {
  return {
    status,
    headers: { "content-type": "text/xml", "x-amzn-requestid": requestId },
    body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`),
  };
}

type AuthProblem = "unknownKey" | "badSignature" | "expired" | "unsigned";

/** The error a service answers when it does not accept who signed. Services differ in code and status. */
export function authError(protocol: Protocol, problem: AuthProblem, detail: string): AwsError {
  const table: Record<AuthProblem, Record<Protocol, readonly [string, number]>> = {
    unknownKey: {
      ec2: ["AuthFailure", 401],
      query: ["InvalidClientTokenId", 403],
      "rest-xml": ["InvalidClientTokenId", 403],
      json: ["UnrecognizedClientException", 400],
      s3: ["InvalidAccessKeyId", 403],
    },
    badSignature: {
      ec2: ["AuthFailure", 401],
      query: ["SignatureDoesNotMatch", 403],
      "rest-xml": ["SignatureDoesNotMatch", 403],
      json: ["InvalidSignatureException", 400],
      s3: ["SignatureDoesNotMatch", 403],
    },
    expired: {
      ec2: ["RequestExpired", 400],
      query: ["ExpiredToken", 403],
      "rest-xml": ["ExpiredToken", 403],
      json: ["ExpiredTokenException", 400],
      s3: ["ExpiredToken", 400],
    },
    unsigned: {
      ec2: ["AuthFailure", 401],
      query: ["MissingAuthenticationToken", 403],
      "rest-xml": ["MissingAuthenticationToken", 403],
      json: ["MissingAuthenticationTokenException", 400],
      s3: ["AccessDenied", 403],
    },
  };
  const [code, status] = table[problem][protocol];
  return new AwsError(code, detail, status);
}

/** The code with which a service refuses what a policy does not allow. */
export function deniedError(protocol: Protocol, message: string): AwsError {
  switch (protocol) {
    case "ec2":
      return new AwsError("UnauthorizedOperation", message, 403);
    case "json":
      return new AwsError("AccessDeniedException", message, 400);
    case "s3":
    case "query":
    case "rest-xml":
      return new AwsError("AccessDenied", message, 403);
  }
}
