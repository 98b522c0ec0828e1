import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { RawRequest } from "./call.ts";

/** What a request says about its own signature (SigV4, header or presigned query). */
export interface Signature {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** ISO basic time of signing, e.g. 20261121T104400Z. */
  readonly time: string;
  readonly sessionToken?: string;
  /** Seconds a presigned URL lives; absent for signed headers. */
  readonly expiresSeconds?: number;
}

const sha256 = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: Buffer | string, data: string): Buffer =>
  createHmac("sha256", key).update(data).digest();

/** One header's value as text; repeated headers are joined as the canonical form wants. */
export function header(request: RawRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

/** Splits a target into its path and its query, both still encoded. */
export function splitTarget(target: string): { path: string; query: string } {
  const at = target.indexOf("?");
  return at < 0
    ? { path: target, query: "" }
    : { path: target.slice(0, at), query: target.slice(at + 1) };
}

/** RFC 3986 encoding, as SigV4 wants it. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function fromScope(
  credential: string,
  rest: Omit<Signature, "accessKeyId" | "date" | "region" | "service">,
): Signature | undefined {
  const [accessKeyId, date, region, service, end] = credential.split("/");
  return accessKeyId !== undefined &&
    date !== undefined &&
    region !== undefined &&
    service !== undefined &&
    end === "aws4_request"
    ? { accessKeyId, date, region, service, ...rest }
    : undefined;
}

/** Reads who claims to have signed a request, or undefined for an unsigned or malformed one. */
export function readSignature(request: RawRequest): Signature | undefined {
  const authorization = header(request, "authorization");
  if (authorization !== undefined) {
    const parts = new Map(
      authorization
        .replace(/^AWS4-HMAC-SHA256\s+/, "")
        .split(/,\s*/)
        .map((part) => {
          const at = part.indexOf("=");
          return [part.slice(0, at), part.slice(at + 1)] as const;
        }),
    );
    const token = header(request, "x-amz-security-token");
    return fromScope(parts.get("Credential") ?? "", {
      signedHeaders: (parts.get("SignedHeaders") ?? "").split(";"),
      signature: parts.get("Signature") ?? "",
      time: header(request, "x-amz-date") ?? "",
      ...(token === undefined ? {} : { sessionToken: token }),
    });
  }
  const query = new URLSearchParams(splitTarget(request.target).query);
  const token = query.get("X-Amz-Security-Token");
  return fromScope(query.get("X-Amz-Credential") ?? "", {
    signedHeaders: (query.get("X-Amz-SignedHeaders") ?? "").split(";"),
    signature: query.get("X-Amz-Signature") ?? "",
    time: query.get("X-Amz-Date") ?? "",
    expiresSeconds: Number(query.get("X-Amz-Expires") ?? "0"),
    ...(token === null ? {} : { sessionToken: token }),
  });
}

function canonicalPath(path: string, service: string): string {
  // S3 signs the path encoded once; every other service encodes what is on the wire again.
  return service === "s3"
    ? path
        .split("/")
        .map((segment) => encode(decode(segment)))
        .join("/")
    : path
        .split("/")
        .map((segment) => encode(segment))
        .join("/");
}

function canonicalQuery(query: string): string {
  return query
    .split("&")
    .filter((pair) => pair !== "" && !pair.startsWith("X-Amz-Signature="))
    .map((pair) => {
      const at = pair.indexOf("=");
      const name = at < 0 ? pair : pair.slice(0, at);
      const value = at < 0 ? "" : pair.slice(at + 1);
      return [encode(decode(name)), encode(decode(value))] as const;
    })
    .sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function payloadHash(request: RawRequest, signature: Signature): string {
  const declared = header(request, "x-amz-content-sha256");
  if (declared !== undefined) return declared;
  return signature.expiresSeconds !== undefined && signature.service === "s3"
    ? "UNSIGNED-PAYLOAD"
    : sha256(request.body);
}

/** The signature a request must carry if it was signed with this secret. */
export function expectedSignature(
  request: RawRequest,
  signature: Signature,
  secretAccessKey: string,
): string {
  const { path, query } = splitTarget(request.target);
  const canonicalRequest = [
    request.method,
    canonicalPath(path, signature.service),
    canonicalQuery(query),
    ...signature.signedHeaders.map(
      (name) => `${name}:${(header(request, name) ?? "").trim().replace(/\s+/g, " ")}`,
    ),
    "",
    signature.signedHeaders.join(";"),
    payloadHash(request, signature),
  ].join("\n");
  const { date, region, service } = signature;
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", signature.time, scope, sha256(canonicalRequest)].join("\n");
  const key = hmac(
    hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), service),
    "aws4_request",
  );
  return hmac(key, text).toString("hex");
}

/** Largest difference between the signer's clock and ours, as on AWS. */
const maxSkewMs = 15 * 60 * 1000;

/** What is wrong with a signature, or undefined. */
export function signatureProblem(
  request: RawRequest,
  signature: Signature,
  secretAccessKey: string,
  now: Date,
): "badSignature" | "expired" | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(signature.time);
  if (match === null || !signature.time.startsWith(signature.date)) return "badSignature";
  const [, year, month, day, hour, minute, second] = match.map(Number);
  const signed = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
  const age = now.getTime() - signed;
  if (age < -maxSkewMs) return "badSignature";
  if (signature.expiresSeconds === undefined) {
    if (age > maxSkewMs) return "badSignature";
  } else if (age > signature.expiresSeconds * 1000) {
    return "expired";
  }
  const declared = header(request, "x-amz-content-sha256");
  if (
    declared !== undefined &&
    /^[0-9a-f]{64}$/.test(declared) &&
    declared !== sha256(request.body)
  ) {
    return "badSignature";
  }
  const expected = Buffer.from(expectedSignature(request, signature, secretAccessKey));
  const given = Buffer.from(signature.signature);
  return expected.length === given.length && timingSafeEqual(expected, given)
    ? undefined
    : "badSignature";
}
