import type { JsonName } from "@peculiar/x509";

import { list, object, text, type InputsOf } from "../shared/schema.ts";

/** Arguments of a subject. */
export const subjectFields = {
  commonName: text(),
  country: text(),
  emailAddress: text(),
  locality: text(),
  organization: text(),
  organizationalUnit: text(),
  postalCode: text(),
  province: text(),
  serialNumber: text(),
  streetAddresses: list(text()),
} as const;

/** The subject of a request or of a self-signed certificate. */
export const subject = object(subjectFields, { replaces: true });

/** What the certificate is valid for. */
export const names = {
  dnsNames: list(text(), { replaces: true }),
  ipAddresses: list(text(), { replaces: true }),
  uris: list(text(), { replaces: true }),
} as const;

/** The distinguished name, in the order in which the real provider writes its parts. */
export function distinguishedName(from: InputsOf<typeof subjectFields> | undefined): JsonName {
  const parts: [string, string | undefined][] = [
    ["C", from?.country],
    ["O", from?.organization],
    ["OU", from?.organizationalUnit],
    ["L", from?.locality],
    ["ST", from?.province],
    ...(from?.streetAddresses ?? []).map((street): [string, string] => ["2.5.4.9", street]),
    ["2.5.4.17", from?.postalCode],
    ["CN", from?.commonName],
    ["2.5.4.5", from?.serialNumber],
    ["E", from?.emailAddress],
  ];
  return parts.flatMap(([type, value]) =>
    value === undefined || value === "" ? [] : [{ [type]: [value] }],
  );
}
