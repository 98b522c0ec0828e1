import { randomBytes } from "node:crypto";

import * as x509 from "@peculiar/x509";

import type { HiddenChange } from "../shared/resource.ts";
import { flag, list, number, text, type InputsOf, type Problem } from "../shared/schema.ts";
import type { Values } from "../shared/value.ts";
import type { SigningKey } from "./keys.ts";
import type { names } from "./subject.ts";
import { instant, nanosecondsNow } from "./time.ts";
import { extendedUsages, keyUsageFlags, validateUses } from "./uses.ts";

/** Arguments that both kinds of certificate have. */
export const certificateFields = {
  allowedUses: list(text(), { required: true, replaces: true }),
  validityPeriodHours: number({ required: true, replaces: true }),
  earlyRenewalHours: number(),
  isCaCertificate: flag({ replaces: true }),
  maxPathLength: number({ replaces: true }),
  setSubjectKeyId: flag({ replaces: true }),
} as const;

/** The real provider's defaults. */
export const certificateDefaults = {
  earlyRenewalHours: 0,
  isCaCertificate: false,
  setSubjectKeyId: false,
} as const;

/** Outputs that both kinds of certificate have. */
export const certificateOutputs = [
  "certPem",
  "readyForRenewal",
  "validityStartTime",
  "validityEndTime",
] as const;

/** What to sign. */
export interface Blueprint {
  readonly inputs: InputsOf<typeof certificateFields>;
  readonly subject: x509.Name;
  readonly issuer: x509.Name;
  readonly publicKey: x509.PublicKey;
  readonly signer: SigningKey;
  /** Key id of the authority; absent for a certificate that signs itself. */
  readonly authorityKeyId?: string | undefined;
  /** A self-signed certificate that names its own key id as its authority's. */
  readonly ownAuthorityKeyId?: boolean;
  readonly alternatives: x509.Extension | undefined;
}

/** Signs a certificate that begins now. */
export async function sign(blueprint: Blueprint): Promise<{ id: string; outputs: Values }> {
  const { inputs, signer } = blueprint;
  const start = nanosecondsNow();
  const end = start + BigInt(Math.round(inputs.validityPeriodHours * 3600)) * 1_000_000_000n;
  const serial = randomBytes(16);
  // A serial number is positive and not zero in front, so that all tools write it alike.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString("hex"),
    subject: blueprint.subject,
    issuer: blueprint.issuer,
    notBefore: new Date(Number(start / 1_000_000_000n) * 1000),
    notAfter: new Date(Number(end / 1_000_000_000n) * 1000),
    publicKey: blueprint.publicKey,
    signingKey: signer.pair.privateKey,
    signingAlgorithm: signer.signing,
    extensions: await extensionsOf(blueprint),
  });
  return {
    id: BigInt(`0x${serial.toString("hex")}`).toString(),
    outputs: {
      certPem: `${certificate.toString("pem")}\n`,
      validityStartTime: instant(start),
      validityEndTime: instant(end),
      readyForRenewal: isReady(instant(end), inputs.earlyRenewalHours ?? 0),
    },
  };
}

async function extensionsOf(blueprint: Blueprint): Promise<x509.Extension[]> {
  const { inputs } = blueprint;
  const isAuthority = inputs.isCaCertificate === true;
  const usages = keyUsageFlags(inputs.allowedUses);
  const extended = extendedUsages(inputs.allowedUses);
  const keyId = await subjectKeyId(blueprint.publicKey);
  const authority = blueprint.ownAuthorityKeyId === true ? keyId : blueprint.authorityKeyId;
  return [
    ...(usages === undefined ? [] : [new x509.KeyUsagesExtension(usages, true)]),
    ...(extended.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(extended)]),
    new x509.BasicConstraintsExtension(isAuthority, inputs.maxPathLength, true),
    ...(isAuthority || inputs.setSubjectKeyId === true
      ? [new x509.SubjectKeyIdentifierExtension(keyId)]
      : []),
    ...(authority === undefined ? [] : [new x509.AuthorityKeyIdentifierExtension(authority)]),
    ...(blueprint.alternatives === undefined ? [] : [blueprint.alternatives]),
  ];
}

/** SHA-1 over the public key's bits (RFC 5280, 4.2.1.2, method 1). */
async function subjectKeyId(key: x509.PublicKey): Promise<string> {
  return Buffer.from(await key.getKeyIdentifier()).toString("hex");
}

/** The names a certificate is valid for, as an extension; undefined when there are none. */
export function subjectNames(inputs: InputsOf<typeof names>): x509.Extension | undefined {
  const all: x509.JsonGeneralNames = [
    ...(inputs.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(inputs.ipAddresses ?? []).map((value) => ({ type: "ip" as const, value })),
    ...(inputs.uris ?? []).map((value) => ({ type: "url" as const, value })),
  ];
  return all.length === 0 ? undefined : new x509.SubjectAlternativeNameExtension(all);
}

/** Rules of both kinds of certificate. */
export function validateCertificate(inputs: Values): Problem[] {
  const problems = validateUses(inputs);
  if (inputs["maxPathLength"] !== undefined && inputs["isCaCertificate"] === false) {
    problems.push({
      path: "maxPathLength",
      reason: "Invalid Attribute Combination. max_path_length needs is_ca_certificate to be true",
    });
  }
  return problems;
}

/** A certificate inside its renewal time is replaced by the next `up`, without a change of any argument. */
export function renewal(state: Values, news: Values): HiddenChange | undefined {
  const end = state["validityEndTime"];
  const early = news["earlyRenewalHours"];
  return typeof end === "string" && isReady(end, typeof early === "number" ? early : 0)
    ? { replaces: true, paths: ["readyForRenewal"] }
    : undefined;
}

/** Looking at a certificate again changes nothing but whether it is due. */
export function reread(_id: string, state: Values): Promise<Values> {
  return Promise.resolve({ ...state, readyForRenewal: renewal(state, state) !== undefined });
}

function isReady(end: string, earlyRenewalHours: number): boolean {
  return Date.now() >= Date.parse(end) - earlyRenewalHours * 3_600_000;
}
