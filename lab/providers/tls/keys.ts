import {
  createHash,
  createPrivateKey,
  createPublicKey,
  webcrypto,
  type KeyObject,
} from "node:crypto";

import { UserError } from "../shared/errors.ts";

/** Algorithms by the names of the real provider. */
export type KeyAlgorithm = "RSA" | "ECDSA" | "ED25519";

/** A private key in the forms in which certificates need it. */
export interface SigningKey {
  readonly algorithm: KeyAlgorithm;
  readonly pair: {
    readonly privateKey: webcrypto.CryptoKey;
    readonly publicKey: webcrypto.CryptoKey;
  };
  readonly signing: webcrypto.Algorithm;
}

/** The algorithm of a key. */
export function algorithmOf(key: KeyObject): KeyAlgorithm {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return "RSA";
    case "ec":
      return "ECDSA";
    case "ed25519":
      return "ED25519";
    default:
      throw new UserError(`unsupported private key type ${key.asymmetricKeyType ?? "unknown"}`);
  }
}

/** The key's curve in the words of web crypto, which does not know P-224. */
function curveOf(key: KeyObject): { curve: string; hash: string } {
  switch (key.asymmetricKeyDetails?.namedCurve) {
    case "prime256v1":
      return { curve: "P-256", hash: "SHA-256" };
    case "secp384r1":
      return { curve: "P-384", hash: "SHA-384" };
    case "secp521r1":
      return { curve: "P-521", hash: "SHA-512" };
    default:
      throw new UserError("the lab signs with the curves P256, P384 and P521 only; set ecdsaCurve");
  }
}

/** Reads a private key (PEM) for signing. */
export async function signingKey(pem: string, argument: string): Promise<SigningKey> {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new UserError(`${argument}: no private key in PEM form`);
  }
  const algorithm = algorithmOf(key);
  const { imported, signing } = webAlgorithms(algorithm, key);
  const pkcs8 = key.export({ type: "pkcs8", format: "der" });
  const spki = createPublicKey(key).export({ type: "spki", format: "der" });
  return {
    algorithm,
    signing,
    pair: {
      privateKey: await webcrypto.subtle.importKey("pkcs8", pkcs8, imported, true, ["sign"]),
      publicKey: await webcrypto.subtle.importKey("spki", spki, imported, true, ["verify"]),
    },
  };
}

function webAlgorithms(algorithm: KeyAlgorithm, key: KeyObject) {
  switch (algorithm) {
    case "RSA": {
      const rsa = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
      return { imported: rsa, signing: rsa };
    }
    case "ECDSA": {
      const { curve, hash } = curveOf(key);
      return {
        imported: { name: "ECDSA", namedCurve: curve },
        signing: { name: "ECDSA", hash },
      };
    }
    case "ED25519":
      return { imported: { name: "Ed25519" }, signing: { name: "Ed25519" } };
  }
}

/** The 40 hexadecimal digits by which the real provider knows keys and requests. */
export function shortHash(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}
