import { createHash, createPublicKey, generateKeyPair, type KeyObject } from "node:crypto";
import { promisify } from "node:util";

import { define, type AnyResource } from "../shared/resource.ts";
import { number, text, type InputsOf, type Problem } from "../shared/schema.ts";
import type { Values } from "../shared/value.ts";
import { shortHash } from "./keys.ts";
import { privateKeyOpenssh, publicBlob } from "../shared/openssh.ts";

const curves = { P224: "secp224r1", P256: "prime256v1", P384: "secp384r1", P521: "secp521r1" };

const fields = {
  algorithm: text({ required: true, replaces: true }),
  ecdsaCurve: text({ replaces: true }),
  rsaBits: number({ replaces: true }),
} as const;

const generate = promisify(generateKeyPair);

/** tls.PrivateKey: a key that lives in Pulumi's state. */
export const privateKey: AnyResource<undefined> = define({
  type: "tls:index/privateKey:PrivateKey",
  fields,
  computed: [
    "privateKeyPem",
    "privateKeyOpenssh",
    "privateKeyPemPkcs8",
    "publicKeyPem",
    "publicKeyOpenssh",
    "publicKeyFingerprintMd5",
    "publicKeyFingerprintSha256",
  ],
  secretOutputs: ["privateKeyPem", "privateKeyOpenssh", "privateKeyPemPkcs8"],
  normalize: (inputs) => ({ ecdsaCurve: "P224", rsaBits: 2048, ...inputs }),
  validate,
  create: async (inputs) => {
    const { publicKey, privateKey } = await newPair(inputs);
    const der = publicKey.export({ type: "spki", format: "der" });
    return { id: shortHash(der), outputs: outputsOf(inputs.algorithm, privateKey) };
  },
  delete: () => Promise.resolve(),
});

function validate(inputs: Values): Problem[] {
  const oneOf = (argument: string, attribute: string, allowed: readonly string[]): Problem[] => {
    const value = inputs[argument];
    return typeof value !== "string" || allowed.includes(value)
      ? []
      : [
          {
            path: argument,
            reason:
              `Invalid Attribute Value Match. Attribute ${attribute} value must be one of: ` +
              `[${allowed.map((one) => JSON.stringify(one)).join(" ")}], got: ${JSON.stringify(value)}`,
          },
        ];
  };
  return [
    ...oneOf("algorithm", "algorithm", ["RSA", "ECDSA", "ED25519"]),
    ...oneOf("ecdsaCurve", "ecdsa_curve", Object.keys(curves)),
  ];
}

async function newPair(
  inputs: InputsOf<typeof fields>,
): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  switch (inputs.algorithm) {
    case "RSA":
      return generate("rsa", { modulusLength: inputs.rsaBits ?? 2048 });
    case "ECDSA":
      return generate("ec", {
        namedCurve: curves[(inputs.ecdsaCurve ?? "P224") as keyof typeof curves],
      });
    default:
      return generate("ed25519");
  }
}

function outputsOf(algorithm: string, key: KeyObject): Values {
  const publicKey = createPublicKey(key);
  const pkcs8 = key.export({ type: "pkcs8", format: "pem" }).toString();
  const traditional = { RSA: "pkcs1", ECDSA: "sec1" } as const;
  const pem =
    algorithm === "RSA" || algorithm === "ECDSA"
      ? key.export({ type: traditional[algorithm], format: "pem" }).toString()
      : pkcs8;
  const known = publicBlob(publicKey);
  const md5 = known && createHash("md5").update(known.blob).digest("hex");
  const sha256 = known && createHash("sha256").update(known.blob).digest("base64");
  return {
    privateKeyPem: pem,
    privateKeyPemPkcs8: pkcs8,
    privateKeyOpenssh: privateKeyOpenssh(key, publicKey) ?? "",
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    publicKeyOpenssh: known ? `${known.type} ${known.blob.toString("base64")}\n` : "",
    publicKeyFingerprintMd5: md5?.match(/../g)?.join(":") ?? "",
    publicKeyFingerprintSha256: sha256 ? `SHA256:${sha256.replace(/=+$/, "")}` : "",
  };
}
