import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  Secret,
  unknown,
  Unknown,
  type Value,
  type Values,
} from "../../lab/providers/shared/value.ts";
import { tls } from "../../lab/providers/tls/provider.ts";
import { ProviderClient, type Kept } from "./providerClient.ts";

const types = {
  key: "tls:index/privateKey:PrivateKey",
  request: "tls:index/certRequest:CertRequest",
  selfSigned: "tls:index/selfSignedCert:SelfSignedCert",
  signed: "tls:index/locallySignedCert:LocallySignedCert",
};

let provider: ProviderClient;
let folder: string;
before(async () => {
  provider = await ProviderClient.start(tls);
  folder = mkdtempSync(join(tmpdir(), "etcd-cluster-tls-"));
});
after(() => {
  provider.stop();
  rmSync(folder, { recursive: true });
});

function plain(value: Value | undefined): string {
  const inner = value instanceof Secret ? value.value : value;
  assert.ok(typeof inner === "string");
  return inner;
}

function openssl(pem: string, ...args: string[]): string {
  return execFileSync("openssl", args, { input: pem, encoding: "utf8" });
}

const p256 = { algorithm: "ECDSA", ecdsaCurve: "P256" };

async function authority(): Promise<{ key: Kept; certificate: Kept; args: Values }> {
  const key = await provider.create(types.key, p256);
  const args = {
    privateKeyPem: plain(key.state["privateKeyPem"]),
    subject: { commonName: "test CA", organization: "test" },
    isCaCertificate: true,
    validityPeriodHours: 100,
    allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
  };
  return { key, args, certificate: await provider.create(types.selfSigned, args) };
}

async function leaf(extra: Values = {}): Promise<{ certificate: Kept; args: Values; ca: Kept }> {
  const ca = await authority();
  const key = await provider.create(types.key, p256);
  const request = await provider.create(types.request, {
    privateKeyPem: plain(key.state["privateKeyPem"]),
    subject: { commonName: "leaf", organization: "test" },
    dnsNames: ["m1.etcd.internal", "localhost"],
    ipAddresses: ["10.42.0.5"],
  });
  const args = {
    certRequestPem: plain(request.state["certRequestPem"]),
    caCertPem: plain(ca.certificate.state["certPem"]),
    caPrivateKeyPem: plain(ca.key.state["privateKeyPem"]),
    allowedUses: ["digital_signature", "server_auth", "client_auth"],
    validityPeriodHours: 24,
    earlyRenewalHours: 8,
    ...extra,
  };
  return { certificate: await provider.create(types.signed, args), args, ca: ca.certificate };
}

void describe("tls.PrivateKey", () => {
  const algorithms = [
    { algorithm: "RSA", head: "RSA PRIVATE KEY", ssh: "ssh-rsa" },
    { ...p256, head: "EC PRIVATE KEY", ssh: "ecdsa-sha2-nistp256" },
    { algorithm: "ECDSA", ecdsaCurve: "P521", head: "EC PRIVATE KEY", ssh: "ecdsa-sha2-nistp521" },
    { algorithm: "ED25519", head: "PRIVATE KEY", ssh: "ssh-ed25519" },
  ];
  for (const { head, ssh, ...args } of algorithms) {
    void test(`${args.algorithm} ${ssh}: all forms are the same key`, async () => {
      const { id, state } = await provider.create(types.key, args);
      const pem = plain(state["privateKeyPem"]);
      assert.ok(pem.startsWith(`-----BEGIN ${head}-----\n`));
      const publicKey = createPublicKey(createPrivateKey(pem));
      const der = publicKey.export({ type: "spki", format: "der" });
      assert.equal(id, createHash("sha1").update(der).digest("hex"));
      const pkcs8 = createPublicKey(createPrivateKey(plain(state["privateKeyPemPkcs8"])));
      assert.ok(publicKey.equals(pkcs8));
      assert.ok(publicKey.equals(createPublicKey(plain(state["publicKeyPem"]))));
      const file = join(folder, ssh);
      writeFileSync(file, plain(state["privateKeyOpenssh"]), { mode: 0o600 });
      const derived = execFileSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" });
      const openssh = plain(state["publicKeyOpenssh"]);
      assert.equal(derived.trim(), openssh.trim());
      assert.ok(openssh.startsWith(`${ssh} `) && openssh.endsWith("\n"));
      writeFileSync(`${file}.pub`, openssh);
      const print = execFileSync("ssh-keygen", ["-l", "-f", `${file}.pub`], { encoding: "utf8" });
      assert.ok(print.includes(plain(state["publicKeyFingerprintSha256"])));
    });
  }

  void test("P224 is the default curve, and SSH does not know it", async () => {
    const { state, inputs } = await provider.create(types.key, { algorithm: "ECDSA" });
    assert.equal(inputs["ecdsaCurve"], "P224");
    assert.equal(state["publicKeyOpenssh"], "");
  });

  void test("private forms are secret, public ones are not", async () => {
    const { state } = await provider.create(types.key, p256);
    for (const [key, value] of Object.entries(state)) {
      assert.equal(value instanceof Secret, key.startsWith("privateKey"), key);
    }
  });

  void test("every argument replaces", async () => {
    const kept = await provider.create(types.key, p256);
    const other = { algorithm: "ECDSA", ecdsaCurve: "P384" };
    assert.deepEqual((await provider.diff(types.key, kept, other)).replaces, ["ecdsaCurve"]);
    assert.equal((await provider.diff(types.key, kept, p256)).changed, false);
  });
});

void describe("certificates", () => {
  void test("ids: a 40-digit hash for a request, the decimal serial for a certificate", async () => {
    const { certificate } = await leaf();
    const parsed = new X509Certificate(plain(certificate.state["certPem"]));
    assert.equal(certificate.id, BigInt(`0x${parsed.serialNumber}`).toString());
    const key = await provider.create(types.key, p256);
    const privateKeyPem = plain(key.state["privateKeyPem"]);
    const request = await provider.create(types.request, { privateKeyPem });
    assert.match(request.id, /^[0-9a-f]{40}$/);
  });

  void test("times are RFC 3339 in UTC with nanoseconds, and agree with the certificate", async () => {
    const { certificate } = await leaf();
    const start = plain(certificate.state["validityStartTime"]);
    const end = plain(certificate.state["validityEndTime"]);
    assert.match(start, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{4,9}Z$/);
    assert.equal(Date.parse(end) - Date.parse(start), 24 * 3_600_000);
    const parsed = new X509Certificate(plain(certificate.state["certPem"]));
    const second = (time: string) => Math.floor(Date.parse(time) / 1000);
    assert.equal(second(parsed.validTo), second(end));
  });

  void test("a leaf: names of the request, critical CA:FALSE and key usage, authority's key id, SHA-256", async () => {
    const { certificate, ca } = await leaf();
    const pem = plain(certificate.state["certPem"]);
    assert.ok(pem.endsWith("-----END CERTIFICATE-----\n"));
    const shown = openssl(pem, "x509", "-noout", "-text");
    assert.match(shown, /Signature Algorithm: ecdsa-with-SHA256/);
    assert.match(shown, /Basic Constraints: critical\s+CA:FALSE/);
    assert.match(shown, /Key Usage: critical\s+Digital Signature\n/);
    assert.match(shown, /TLS Web Server Authentication, TLS Web Client Authentication/);
    assert.match(shown, /DNS:m1.etcd.internal, DNS:localhost, IP Address:10.42.0.5/);
    assert.match(shown, /Subject: O ?= ?test, CN ?= ?leaf/);
    assert.doesNotMatch(shown, /Subject Key Identifier/);
    const parent = openssl(plain(ca.state["certPem"]), "x509", "-noout", "-text");
    const keyId = /Subject Key Identifier: \s*([0-9A-F:]+)/.exec(parent)?.[1] ?? "none";
    assert.match(shown, new RegExp(`Authority Key Identifier: \\s*(keyid:)?${keyId}`));
  });

  void test("a chain that openssl accepts", async () => {
    const { certificate, ca } = await leaf();
    const file = join(folder, "ca.pem");
    writeFileSync(file, plain(ca.state["certPem"]));
    assert.match(openssl(plain(certificate.state["certPem"]), "verify", "-CAfile", file), /OK/);
  });

  void test("two certificates of one authority: by a root, which etcd trusts, and by itself, which clients trust", async () => {
    const root = await authority();
    const key = await provider.create(types.key, p256);
    const privateKeyPem = plain(key.state["privateKeyPem"]);
    const subject = { commonName: "test client CA 2", organization: "test" };
    const uses = ["cert_signing", "crl_signing", "digital_signature"];
    const request = await provider.create(types.request, { privateKeyPem, subject });
    const byRoot = await provider.create(types.signed, {
      certRequestPem: plain(request.state["certRequestPem"]),
      caCertPem: plain(root.certificate.state["certPem"]),
      caPrivateKeyPem: plain(root.key.state["privateKeyPem"]),
      ...{ isCaCertificate: true, setSubjectKeyId: true, allowedUses: uses },
      validityPeriodHours: 24,
    });
    const byItself = await provider.create(types.selfSigned, {
      ...{ privateKeyPem, subject, isCaCertificate: true, setSubjectKeyId: true },
      ...{ allowedUses: uses, validityPeriodHours: 24 },
    });
    const { certificate } = await leaf({
      caCertPem: plain(byRoot.state["certPem"]),
      caPrivateKeyPem: privateKeyPem,
    });
    const file = (name: string, kept: Kept): string => {
      const path = join(folder, name);
      writeFileSync(path, plain(kept.state["certPem"]));
      return path;
    };
    const own = file("leaf.pem", certificate);
    const chain = ["-untrusted", file("by-root.pem", byRoot)];
    const verify = (...args: string[]): string => openssl("", "verify", ...args, own).trim();
    const trusted = file("by-itself.pem", byItself);
    assert.equal(verify("-CAfile", file("root.pem", root.certificate), ...chain), `${own}: OK`);
    assert.equal(verify("-CAfile", trusted, ...chain), `${own}: OK`);
    assert.throws(() => verify("-CAfile", join(folder, "root.pem")));
    const [one, other] = [byRoot, byItself].map(
      (each) => new X509Certificate(plain(each.state["certPem"])),
    );
    assert.equal(one?.subject, other?.subject);
    assert.notEqual(one?.serialNumber, other?.serialNumber);
  });

  void test("an authority always has a subject key id, and needs a subject", async () => {
    const { certificate, args } = await authority();
    const shown = openssl(plain(certificate.state["certPem"]), "x509", "-noout", "-text");
    assert.match(shown, /Basic Constraints: critical\s+CA:TRUE/);
    assert.match(shown, /Subject Key Identifier/);
    await assert.rejects(provider.create(types.selfSigned, { ...args, subject: {} }), /subject/);
  });

  void test("allowedUses takes snake_case only, and says so before anything is made", async () => {
    const { args } = await leaf();
    await assert.rejects(
      provider.check(types.signed, { ...args, allowedUses: ["serverAuth"] }),
      /Invalid Attribute Value Match\. Attribute allowed_uses\[0\] value must be one of: \["any_extended" "cert_signing" "client_auth"/,
    );
  });

  void test("private keys of the arguments are secret in the state, certificates and requests are in clear", async () => {
    const { args } = await leaf();
    const secret = { ...args, caPrivateKeyPem: new Secret(args["caPrivateKeyPem"] ?? "") };
    const { state } = await provider.create(types.signed, secret);
    assert.ok(state["caPrivateKeyPem"] instanceof Secret);
    assert.equal(typeof state["certPem"], "string");
    assert.equal(typeof state["certRequestPem"], "string");
  });

  void test("everything but earlyRenewalHours replaces", async () => {
    const { certificate, args } = await leaf();
    const replaces = async (change: Values) =>
      (await provider.diff(types.signed, certificate, { ...args, ...change })).replaces;
    assert.deepEqual(await replaces({ validityPeriodHours: 48 }), ["validityPeriodHours"]);
    assert.deepEqual(await replaces({ allowedUses: ["client_auth"] }), ["allowedUses"]);
    assert.deepEqual(await replaces({ caCertPem: unknown }), ["caCertPem"]);
    assert.deepEqual(await replaces({ certRequestPem: "another" }), ["certRequestPem"]);
    assert.deepEqual(await replaces({ earlyRenewalHours: 7 }), []);
  });

  void test("earlyRenewalHours is updated in place and keeps the certificate", async () => {
    const { certificate, args } = await leaf();
    const news = { ...args, earlyRenewalHours: 7 };
    const diff = await provider.diff(types.signed, certificate, news);
    assert.deepEqual(diff.details, { earlyRenewalHours: "UPDATE" });
    const updated = await provider.update(types.signed, certificate, news);
    assert.equal(updated.state["certPem"], certificate.state["certPem"]);
    assert.equal(updated.state["earlyRenewalHours"], 7);
  });

  void test("inside its renewal time it is replaced, created first, without a listed difference", async () => {
    const { certificate, args } = await leaf();
    const diff = await provider.diff(types.signed, certificate, { ...args, earlyRenewalHours: 25 });
    assert.deepEqual(diff.replaces, ["readyForRenewal"]);
    assert.equal(diff.deleteBeforeReplace, false);
    const born = await leaf({ earlyRenewalHours: 25 });
    assert.equal(born.certificate.state["readyForRenewal"], true);
    const again = await provider.diff(types.signed, born.certificate, born.args);
    assert.deepEqual(
      [again.changed, again.replaces, again.details],
      [true, ["readyForRenewal"], {}],
    );
    const early = await leaf();
    assert.equal(early.certificate.state["readyForRenewal"], false);
    assert.equal((await provider.diff(types.signed, early.certificate, early.args)).changed, false);
  });

  void test("reading notices that the renewal time has come", async () => {
    const { certificate } = await leaf();
    const past = { ...certificate.state, validityEndTime: "2020-01-01T00:00:00Z" };
    const read = await provider.read(types.signed, { ...certificate, state: past });
    assert.equal(read?.state["readyForRenewal"], true);
  });

  void test("a preview knows the arguments and nothing of the certificate", async () => {
    const { args } = await leaf();
    const preview = { ...args, certRequestPem: unknown };
    const { id, state } = await provider.create(types.signed, preview, { preview: true });
    assert.equal(id, "");
    assert.ok(state["certPem"] instanceof Unknown && state["certRequestPem"] instanceof Unknown);
    assert.equal(state["validityPeriodHours"], 24);
  });
});

void test("unknown types and arguments are errors that name them", async () => {
  await assert.rejects(
    provider.check(types.key, { ...p256, passphrase: "x" }),
    /tls:index\/privateKey:PrivateKey: argument passphrase is not known/,
  );
  await assert.rejects(
    provider.check("tls:index/other:Other", {}),
    /resource type tls:index\/other:Other \(it\) is not known/,
  );
  await assert.rejects(provider.invoke("tls:index/getCertificate:getCertificate", {}), /not known/);
  await assert.rejects(provider.check(types.key, {}), /argument algorithm is required/);
});
