import { createHmac } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

/** A certificate and its private key, PEM. */
export interface ServerCertificate {
  readonly certificatePem: pulumi.Output<string>;
  /** A secret. */
  readonly privateKeyPem: pulumi.Output<string>;
}

const authorityValidityHours = 10 * 365 * 24;
const validityHours = 365 * 24;
/** From so long before its end on, an `up` renews a certificate; machines fetch it within ten minutes. */
const renewalHours = 120 * 24;

/**
 * Everything about a Patroni cluster that only some may know: an authority of its own for the machines' certificates, and PostgreSQL's
 * passwords. Nobody types or sees a password: they come out of a private key, which is a secret of the stack.
 */
export class PatroniSecrets extends pulumi.ComponentResource {
  /** Certificate of the authority, PEM. */
  readonly caCertificate: pulumi.Output<string>;

  private readonly authority: tls.PrivateKey;
  private readonly seed: tls.PrivateKey;

  constructor(
    private readonly base: string,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("patroni:index:PatroniSecrets", base, {}, opts);
    this.authority = this.key("ca");
    this.seed = new tls.PrivateKey(`${base}-passwords`, { algorithm: "ED25519" }, { parent: this });
    this.caCertificate = new tls.SelfSignedCert(
      `${base}-ca`,
      {
        privateKeyPem: this.authority.privateKeyPem,
        subject: { commonName: `${base} CA`, organization: base },
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours: authorityValidityHours,
        allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
      },
      { parent: this },
    ).certPem;
    this.registerOutputs({ caCertificate: this.caCertificate });
  }

  /** The password of one of PostgreSQL's users: 43 letters, digits, `-` and `_`. */
  password(user: string): pulumi.Output<string> {
    return pulumi.secret(
      this.seed.privateKeyPem.apply((pem) =>
        createHmac("sha256", pem).update(user).digest("base64url"),
      ),
    );
  }

  /** A machine's certificate, with which it serves PostgreSQL and Patroni and speaks to the other machines' Patroni. */
  certificate(machine: string, address: pulumi.Input<string>): ServerCertificate {
    const key = this.key(machine);
    const request = new tls.CertRequest(
      `${this.base}-${machine}`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: machine, organization: this.base },
        ipAddresses: [address],
      },
      { parent: this },
    );
    const certificate = new tls.LocallySignedCert(
      `${this.base}-${machine}`,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: this.authority.privateKeyPem,
        caCertPem: this.caCertificate,
        allowedUses: ["digital_signature", "server_auth", "client_auth"],
        validityPeriodHours: validityHours,
        earlyRenewalHours: renewalHours,
      },
      { parent: this },
    );
    return {
      certificatePem: certificate.certPem,
      privateKeyPem: pulumi.secret(key.privateKeyPemPkcs8),
    };
  }

  private key(what: string): tls.PrivateKey {
    return new tls.PrivateKey(
      `${this.base}-${what}`,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this },
    );
  }
}
