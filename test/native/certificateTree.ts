import { connect } from "node:tls";
// First: it makes the library usable.
import { common, leafExtensions, newKey, type Key } from "./agentSupport.ts";
import * as x509 from "@peculiar/x509";

/** Certificates as the component makes them: a root that signs authorities, these sign the rest; and who is let in with them. */

async function asAuthority(key: Key): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    await x509.SubjectKeyIdentifierExtension.create(key.pair.publicKey),
  ];
}

/** An authority that a root has signed. */
export interface SignedAuthority {
  /** Its certificate by the root, PEM: presented with every certificate, and revoked when it is dropped. */
  readonly certificate: string;
  /** Its certificate by itself, PEM: what clients trust. */
  readonly selfSigned: string;
  /** A certificate for a key, and behind it the authority's own, PEM. */
  sign(name: string, key: Key, addresses?: readonly string[]): Promise<string>;
}

/** A root. */
export interface Root {
  readonly certificate: string;
  authority(name: string): Promise<SignedAuthority>;
}

/** Makes a root. */
export async function newRoot(name: string): Promise<Root> {
  const key = await newKey();
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    ...common(),
    keys: key.pair,
    extensions: await asAuthority(key),
  });
  return {
    certificate: `${root.toString("pem")}\n`,
    authority: async (subject) => newAuthority(subject, root, key),
  };
}

async function newAuthority(
  name: string,
  root: x509.X509Certificate,
  rootKey: Key,
): Promise<SignedAuthority> {
  const key = await newKey();
  const signed = await x509.X509CertificateGenerator.create({
    ...{ subject: `CN=${name}`, issuer: root.subject, ...common() },
    publicKey: key.pair.publicKey,
    signingKey: rootKey.pair.privateKey,
    extensions: await asAuthority(key),
  });
  const selfSigned = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name: `CN=${name}`, keys: key.pair, ...common() },
    extensions: await asAuthority(key),
  });
  const certificate = `${signed.toString("pem")}\n`;
  return {
    certificate,
    selfSigned: `${selfSigned.toString("pem")}\n`,
    sign: async (subject, own, addresses = []) => {
      const leaf = await x509.X509CertificateGenerator.create({
        ...{ subject: `CN=${subject}`, issuer: `CN=${name}`, ...common() },
        publicKey: own.pair.publicKey,
        signingKey: key.pair.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          ...leafExtensions(addresses),
        ],
      });
      return `${leaf.toString("pem")}\n${certificate}`;
    },
  };
}

/** What a caller shows and trusts, PEM. */
export interface Caller {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Whether etcd lets somebody in on a client port (HTTP/2) or a peer port (HTTP/1.1): undefined, or why not. A server of TLS 1.3 looks at a
 * caller's certificate after the caller holds the handshake to be over, so that being let in means being answered.
 */
export async function turnedAway(
  address: string,
  port: 2379 | 2380,
  caller: Caller,
): Promise<string | undefined> {
  const http2 = port === 2379;
  return new Promise((resolve) => {
    const socket = connect({
      ...{ host: address, port, ...caller },
      ...(http2 ? { ALPNProtocols: ["h2"] } : {}),
    });
    const end = (reason: string | undefined): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once("secureConnect", () => {
      if (http2) {
        // The preface, and empty settings.
        socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      } else {
        socket.write(`GET /version HTTP/1.1\r\nHost: ${address}\r\n\r\n`);
      }
    });
    socket.once("data", () => {
      end(undefined);
    });
    socket.once("error", (error: Error) => {
      end(error.message);
    });
    socket.once("close", () => {
      end("closed");
    });
    socket.setTimeout(10_000, () => {
      end("no answer in 10 s");
    });
  });
}
