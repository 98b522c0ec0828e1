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

async function pem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(bytes, "PRIVATE KEY")}\n`;
}

async function keyPair(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function validity(): { notBefore: Date; notAfter: Date } {
  return {
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 86_400_000),
  };
}

/** Makes an authority. */
export async function testAuthority(name: string): Promise<TestAuthority> {
  const keys = await keyPair();
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    ...validity(),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    certificate: `${authority.toString("pem")}\n`,
    sign: async (subject, addresses) => {
      const own = await keyPair();
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${subject}`,
        issuer: authority.subject,
        ...validity(),
        signingAlgorithm: algorithm,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.ExtendedKeyUsageExtension([
            x509.ExtendedKeyUsage.serverAuth,
            x509.ExtendedKeyUsage.clientAuth,
          ]),
          ...(addresses.length === 0
            ? []
            : [
                new x509.SubjectAlternativeNameExtension(
                  addresses.map((value) => ({
                    type: /^[0-9.]+$/.test(value) ? "ip" : "dns",
                    value,
                  })),
                ),
              ]),
        ],
      });
      return { certificate: `${certificate.toString("pem")}\n`, key: await pem(own.privateKey) };
    },
  };
}
