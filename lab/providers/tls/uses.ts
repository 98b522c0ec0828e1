import { ExtendedKeyUsage, KeyUsageFlags } from "@peculiar/x509";

import type { Problem } from "../shared/schema.ts";
import { isList, type Values } from "../shared/value.ts";

const keyUsages: Readonly<Record<string, KeyUsageFlags>> = {
  digital_signature: KeyUsageFlags.digitalSignature,
  content_commitment: KeyUsageFlags.nonRepudiation,
  key_encipherment: KeyUsageFlags.keyEncipherment,
  data_encipherment: KeyUsageFlags.dataEncipherment,
  key_agreement: KeyUsageFlags.keyAgreement,
  cert_signing: KeyUsageFlags.keyCertSign,
  crl_signing: KeyUsageFlags.cRLSign,
  encipher_only: KeyUsageFlags.encipherOnly,
  decipher_only: KeyUsageFlags.decipherOnly,
};

const extendedKeyUsages: Readonly<Record<string, string>> = {
  any_extended: "2.5.29.37.0",
  server_auth: ExtendedKeyUsage.serverAuth,
  client_auth: ExtendedKeyUsage.clientAuth,
  code_signing: ExtendedKeyUsage.codeSigning,
  email_protection: ExtendedKeyUsage.emailProtection,
  ipsec_end_system: "1.3.6.1.5.5.7.3.5",
  ipsec_tunnel: "1.3.6.1.5.5.7.3.6",
  ipsec_user: "1.3.6.1.5.5.7.3.7",
  timestamping: ExtendedKeyUsage.timeStamping,
  ocsp_signing: ExtendedKeyUsage.ocspSigning,
  microsoft_server_gated_crypto: "1.3.6.1.4.1.311.10.3.3",
  netscape_server_gated_crypto: "2.16.840.1.113730.4.1",
  microsoft_commercial_code_signing: "1.3.6.1.4.1.311.2.1.22",
  microsoft_kernel_code_signing: "1.3.6.1.4.1.311.61.1.1",
};

const allUses = [...Object.keys(keyUsages), ...Object.keys(extendedKeyUsages)].toSorted();

/** Refuses what is no use, in the real provider's words: it takes snake_case only, although its own documentation shows camelCase. */
export function validateUses(inputs: Values): Problem[] {
  const uses = inputs["allowedUses"];
  if (!isList(uses)) {
    return [];
  }
  return uses.flatMap((use, index) =>
    typeof use !== "string" || allUses.includes(use)
      ? []
      : [
          {
            path: `allowedUses[${index}]`,
            reason:
              `Invalid Attribute Value Match. Attribute allowed_uses[${index}] value must be one of: ` +
              `[${allUses.map((known) => JSON.stringify(known)).join(" ")}], got: ${JSON.stringify(use)}`,
          },
        ],
  );
}

/** Bits of the key usage extension; undefined when there are none. */
export function keyUsageFlags(uses: readonly string[]): KeyUsageFlags | undefined {
  const bits = uses.reduce<number>((flags, use) => flags | (keyUsages[use] ?? 0), 0);
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- a sum of flags is a set of flags
  return bits === 0 ? undefined : bits;
}

/** Object identifiers of the extended key usage extension. */
export function extendedUsages(uses: readonly string[]): string[] {
  return uses.flatMap((use) => extendedKeyUsages[use] ?? []);
}
