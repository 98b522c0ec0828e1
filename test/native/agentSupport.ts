import "reflect-metadata";
import { webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

/** Certificates for etcds and agents under test. One authority signs everything; a second one stands for a stranger. */

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

x509.cryptoProvider.set(webcrypto);

/** A key pair and its certificate, PEM. */
export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

/** An authority that signs for addresses and names. */
export interface TestAuthority {
  readonly certificate: string;
  sign(name: string, addresses: readonly string[]): Promise<Pem>;
}

/** A private key, which may get several certificates. */
export interface Key {
  readonly pair: webcrypto.CryptoKeyPair;
  readonly pem: string;
}

/** Makes a private key. */
export async function newKey(): Promise<Key> {
  const pair = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const bytes = await webcrypto.subtle.exportKey("pkcs8", pair.privateKey);
  return { pair, pem: `${x509.PemConverter.encode(bytes, "PRIVATE KEY")}\n` };
}

/** What all certificates under test have in common: from a minute ago on for a day, signed by a key like the others. */
export function common(): {
  notBefore: Date;
  notAfter: Date;
  signingAlgorithm: typeof algorithm;
} {
  return {
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
    signingAlgorithm: algorithm,
  };
}

/** What a certificate of a server that is also a client says of itself: its addresses and names, if it has any. */
export function leafExtensions(addresses: readonly string[]): x509.Extension[] {
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const names = addresses.map((value) => ({
    type: /^[0-9.]+$/.test(value) ? ("ip" as const) : ("dns" as const),
    value,
  }));
  return [
    new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
  ];
}

/** Makes an authority. */
export async function testAuthority(name: string): Promise<TestAuthority> {
  const { pair: keys } = await newKey();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    ...common(),
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    certificate: `${authority.toString("pem")}\n`,
    sign: async (subject, addresses) => {
      const own = await newKey();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: authority.subject,
        ...common(),
        publicKey: own.pair.publicKey,
        signingKey: keys.privateKey,
        extensions: leafExtensions(addresses),
      });
      return { certificate: `${certificate.toString("pem")}\n`, key: own.pem };
    },
  };
}
