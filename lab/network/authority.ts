import "reflect-metadata";
import { webcrypto } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { debianNames } from "./names.ts";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const lifetimeDays = 3650;

x509.cryptoProvider.set(webcrypto);

/** Where the lab's certificate authority and its one server certificate are. */
export interface Authority {
  /** PEM text of the certificate that machines trust. */
  certificate: string;
  /** PEM file with key and certificate for AWS's names in the region, and for Debian's archive. */
  serverFile: string;
}

/**
 * The lab's own certificate authority, made once per lab. It vouches for AWS's names inside the lab and is
 * trusted by the lab's machines only: its key never leaves the folder, and machines never leave the lab.
 */
export async function ensureAuthority(folder: string, region: string): Promise<Authority> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const caFile = join(folder, "ca.pem");
  const keyFile = join(folder, "ca.key");
  if (!existsSync(caFile)) {
    const keys = await generateKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: "01",
      name: "CN=etcd-cluster lab",
      ...validity(),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    writeFileSync(keyFile, await privatePem(keys.privateKey), { mode: 0o600 });
    // The certificate last: its presence means that the pair is complete.
    writeWhole(caFile, `${certificate.toString("pem")}\n`);
  }
  const certificate = readFileSync(caFile, "utf8");
  const serverFile = join(folder, `server-${region}.pem`);
  if (!existsSync(serverFile)) {
    const issuer = new x509.X509Certificate(certificate);
    const issuerKey = await webcrypto.subtle.importKey(
      "pkcs8",
      x509.PemConverter.decodeFirst(readFileSync(keyFile, "utf8")),
      algorithm,
      false,
      ["sign"],
    );
    const keys = await generateKeys();
    const server = await x509.X509CertificateGenerator.create({
      subject: `CN=*.${region}.amazonaws.com`,
      issuer: issuer.subject,
      ...validity(),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: issuerKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          servedNames(region).map((value) => ({ type: "dns", value })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ],
    });
    writeWhole(serverFile, `${await privatePem(keys.privateKey)}${server.toString("pem")}\n`);
  }
  return { certificate, serverFile };
}

/** The names that AWS serves a region under, and those of Debian's archive; a wildcard covers one label only. */
export function servedNames(region: string): string[] {
  const names = ["*.amazonaws.com", "s3.amazonaws.com", "*.s3.amazonaws.com"];
  for (const each of new Set([region, "us-east-1"])) {
    names.push(`*.${each}.amazonaws.com`, `s3.${each}.amazonaws.com`, `*.s3.${each}.amazonaws.com`);
  }
  return [...names, ...debianNames.flatMap((name) => [name, `*.${name}`])];
}

async function generateKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function privatePem(key: webcrypto.CryptoKey): Promise<string> {
  const bytes = await webcrypto.subtle.exportKey("pkcs8", key);
  return `${x509.PemConverter.encode(bytes, "PRIVATE KEY")}\n`;
}

function validity(): { notBefore: Date; notAfter: Date } {
  const day = 24 * 60 * 60 * 1000;
  return {
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + lifetimeDays * day),
  };
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
