import { randomBytes, type JsonWebKey, type KeyObject } from "node:crypto";

const curves: Readonly<Record<string, string>> = {
  "P-256": "nistp256",
  "P-384": "nistp384",
  "P-521": "nistp521",
};

/** The public key as SSH writes it on the wire; undefined for keys SSH does not know (P-224). */
export function publicBlob(key: KeyObject): { type: string; blob: Buffer } | undefined {
  const type = typeOf(key);
  return type === undefined
    ? undefined
    : { type, blob: Buffer.concat([text(type), ...publicFields(key)]) };
}

/** The private key in OpenSSH's own format, unencrypted; undefined for keys SSH does not know. */
export function privateKeyOpenssh(key: KeyObject, publicKey: KeyObject): string | undefined {
  const known = publicBlob(publicKey);
  if (known === undefined) {
    return undefined;
  }
  const check = randomBytes(4);
  const body = Buffer.concat([check, check, text(known.type), ...privateFields(key), text("")]);
  const padding = Buffer.from(
    Array.from({ length: (8 - (body.length % 8)) % 8 }, (_, index) => index + 1),
  );
  const file = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    text("none"),
    text("none"),
    text(""),
    Buffer.from([0, 0, 0, 1]),
    bytes(known.blob),
    bytes(Buffer.concat([body, padding])),
  ]);
  const lines = file.toString("base64").match(/.{1,64}/g) ?? [];
  return [
    "-----BEGIN OPENSSH PRIVATE KEY-----",
    ...lines,
    "-----END OPENSSH PRIVATE KEY-----",
    "",
  ].join("\n");
}

function typeOf(key: KeyObject): string | undefined {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return "ssh-rsa";
    case "ed25519":
      return "ssh-ed25519";
    case "ec": {
      const known = key.asymmetricKeyDetails?.namedCurve !== "secp224r1";
      const curve = known ? curves[key.export({ format: "jwk" }).crv ?? ""] : undefined;
      return curve === undefined ? undefined : `ecdsa-sha2-${curve}`;
    }
    default:
      return undefined;
  }
}

function publicFields(key: KeyObject): Buffer[] {
  const jwk = key.export({ format: "jwk" });
  switch (jwk.kty) {
    case "RSA":
      return [integer(part(jwk, "e")), integer(part(jwk, "n"))];
    case "EC":
      return [text(curves[jwk.crv ?? ""] ?? ""), point(jwk)];
    default:
      return [bytes(part(jwk, "x"))];
  }
}

function privateFields(key: KeyObject): Buffer[] {
  const jwk = key.export({ format: "jwk" });
  switch (jwk.kty) {
    case "RSA":
      return (["n", "e", "d", "qi", "p", "q"] as const).map((name) => integer(part(jwk, name)));
    case "EC":
      return [text(curves[jwk.crv ?? ""] ?? ""), point(jwk), integer(part(jwk, "d"))];
    default:
      return [bytes(part(jwk, "x")), bytes(Buffer.concat([part(jwk, "d"), part(jwk, "x")]))];
  }
}

function point(jwk: JsonWebKey): Buffer {
  return bytes(Buffer.concat([Buffer.from([4]), part(jwk, "x"), part(jwk, "y")]));
}

function part(jwk: JsonWebKey, name: "n" | "e" | "d" | "qi" | "p" | "q" | "x" | "y"): Buffer {
  return Buffer.from(jwk[name] ?? "", "base64url");
}

function text(value: string): Buffer {
  return bytes(Buffer.from(value));
}

function bytes(value: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(value.length);
  return Buffer.concat([length, value]);
}

/** A positive integer: no leading zeros, except one where the first bit would make it negative. */
function integer(value: Buffer): Buffer {
  const start = value.findIndex((byte) => byte !== 0);
  const digits = value.subarray(start === -1 ? value.length : start);
  const negative = ((digits[0] ?? 0) & 0x80) !== 0;
  return bytes(negative ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}
