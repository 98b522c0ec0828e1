import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

/** What a TlsAuthority needs. */
export interface TlsAuthorityArgs {
  /** Name of the cluster; it becomes part of the subjects. */
  clusterName: string;
  /** Validity of leaf certificates in days; they are renewed by an `up` in their last third. */
  validityDays: number;
}

/** A private key and the certificate made for it. */
export interface IssuedCertificate {
  /** Certificate, PEM. */
  certificatePem: pulumi.Output<string>;
  /** Private key, PEM (PKCS 8); always a secret. */
  privateKeyPem: pulumi.Output<string>;
}

/** What may be asked of a certificate. */
export interface CertificateRequest {
  /** Common name of the subject; etcd's user name when RBAC is on. */
  commonName: string;
  /** DNS names it is valid for. */
  dnsNames?: pulumi.Input<string>[];
  /** IP addresses it is valid for. */
  ipAddresses?: pulumi.Input<string>[];
}

/** The two authorities of a cluster. */
type Authority = "client" | "peer";

/** Certificate authorities live ten years; exchanging one is an operation of its own (docs/operations.md), never a side effect. */
const authorityValidityHours = 10 * 365 * 24;

/**
 * The cluster's two certificate authorities, and everything they sign:
 *
 * 1. the client CA: server certificates for 2379, the agents' and all clients' certificates;
 * 2. the peer CA: certificates for 2380. It is separate so that no client certificate, whoever it is given to, opens the peer port.
 *
 * Keys are ECDSA P-256. They are secrets in Pulumi's state and, for members, SecureStrings; they are never anywhere else.
 */
export class TlsAuthority extends pulumi.ComponentResource {
  /** Certificate of the client CA, PEM. */
  readonly clientCaPem: pulumi.Output<string>;
  /** Certificate of the peer CA, PEM. */
  readonly peerCaPem: pulumi.Output<string>;

  private readonly base: string;
  private readonly args: TlsAuthorityArgs;
  private readonly keys: Readonly<Record<Authority, tls.PrivateKey>>;
  private readonly authorities: Readonly<Record<Authority, tls.SelfSignedCert>>;

  constructor(name: string, args: TlsAuthorityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:TlsAuthority", name, {}, opts);
    this.base = name;
    this.args = args;
    this.keys = { client: this.key("client-ca"), peer: this.key("peer-ca") };
    this.authorities = { client: this.authority("client"), peer: this.authority("peer") };
    this.clientCaPem = this.authorities.client.certPem;
    this.peerCaPem = this.authorities.peer.certPem;
    this.registerOutputs({ clientCaPem: this.clientCaPem, peerCaPem: this.peerCaPem });
  }

  /** A certificate for a member's client port. It also names client_auth, because etcd calls itself with it in places. */
  issueServer(what: string, request: CertificateRequest): IssuedCertificate {
    return this.issue("client", what, request, ["server_auth", "client_auth"]);
  }

  /** A certificate for a member's peer port, where every member is server and client. */
  issuePeer(what: string, request: CertificateRequest): IssuedCertificate {
    return this.issue("peer", what, request, ["server_auth", "client_auth"]);
  }

  /** A certificate for a client of etcd; it opens nothing else. */
  issueClient(what: string, request: CertificateRequest): IssuedCertificate {
    return this.issue("client", what, request, ["client_auth"]);
  }

  private key(what: string): tls.PrivateKey {
    return new tls.PrivateKey(
      `${this.base}-${what}`,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this },
    );
  }

  private authority(which: Authority): tls.SelfSignedCert {
    return new tls.SelfSignedCert(
      `${this.base}-${which}-ca`,
      {
        privateKeyPem: this.keys[which].privateKeyPem,
        subject: {
          commonName: `${this.args.clusterName} ${which} CA`,
          organization: this.args.clusterName,
        },
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours: authorityValidityHours,
        allowedUses: ["cert_signing", "crl_signing", "digital_signature"],
      },
      { parent: this },
    );
  }

  private issue(
    authority: Authority,
    what: string,
    request: CertificateRequest,
    uses: string[],
  ): IssuedCertificate {
    const key = this.key(what);
    const csr = new tls.CertRequest(
      `${this.base}-${what}`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: request.commonName, organization: this.args.clusterName },
        ...(request.dnsNames === undefined ? {} : { dnsNames: request.dnsNames }),
        ...(request.ipAddresses === undefined ? {} : { ipAddresses: request.ipAddresses }),
      },
      { parent: this },
    );
    const validityPeriodHours = this.args.validityDays * 24;
    const certificate = new tls.LocallySignedCert(
      `${this.base}-${what}`,
      {
        certRequestPem: csr.certRequestPem,
        caPrivateKeyPem: this.keys[authority].privateKeyPem,
        caCertPem: this.authorities[authority].certPem,
        allowedUses: ["digital_signature", ...uses],
        validityPeriodHours,
        earlyRenewalHours: Math.floor(validityPeriodHours / 3),
      },
      { parent: this },
    );
    return {
      certificatePem: certificate.certPem,
      privateKeyPem: pulumi.secret(key.privateKeyPemPkcs8),
    };
  }
}
