import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

import { authoritiesOf, type Authorities } from "./plan/authorities";

/** What a TlsAuthority needs. */
export interface TlsAuthorityArgs {
  /** Name of the cluster; it becomes part of the subjects. */
  clusterName: string;
  /** Validity of leaf certificates in days. */
  validityDays: number;
  /** Days before its end from which on an `up` renews a leaf certificate. */
  renewalDays: number;
  /** Which authorities sign and are trusted, for instance `1` or `1+2`; see plan/authorities.ts. */
  authorities: string;
}

/** A certificate and its private key. */
export interface IssuedCertificate {
  /** The certificate and that of the authority that signed it, PEM. Both have to be presented: members know the root only. */
  certificatePem: pulumi.Output<string>;
  /** Private key, PEM (PKCS 8); always a secret. */
  privateKeyPem: pulumi.Output<string>;
}

/** The same with the keys for all authorities that are trusted: while documents of two are in use, so are the keys of two. */
export interface IssuedForMember extends IssuedCertificate {
  /** Private keys by the number of the authority they are certified by, PEM (PKCS 8); always secrets. */
  privateKeyPems: ReadonlyMap<number, pulumi.Output<string>>;
}

/** What may be asked of a certificate. */
export interface CertificateRequest {
  /** Common name of the subject; etcd's user name when access control is on. */
  commonName: string;
  /** DNS names it is valid for. */
  dnsNames?: pulumi.Input<string>[];
  /** IP addresses it is valid for. */
  ipAddresses?: pulumi.Input<string>[];
}

/** The two trees of certificates of a cluster. */
type Tree = "client" | "peer";

/** A root signs authorities and nothing else. An etcd that runs cannot learn of another one, so that it outlives them by far. */
const rootValidityHours = 30 * 365 * 24;
/** Exchanging an authority is an operation of its own (docs/operations.md), never a side effect of an `up`. */
const authorityValidityHours = 10 * 365 * 24;

const signing = ["cert_signing", "crl_signing", "digital_signature"];

/** An authority: what it signs with, and its certificate by the root. */
interface Authority {
  readonly key: tls.PrivateKey;
  readonly certificate: tls.LocallySignedCert;
}

/** Suffix of names of what belongs to an authority: none for the first. In names of resources no consumer's name can end like it. */
export function ofAuthority(number: number, separator: "-" | "@" = "-"): string {
  return number === 1 ? "" : `${separator}${number}`;
}

/**
 * The cluster's certificates, in two trees, so that no client certificate, whoever it is given to, opens the peer port:
 *
 * 1. client: server certificates for 2379, the agents' and all clients' certificates;
 * 2. peer: certificates for 2380.
 *
 * In each a root signs authorities, and these sign everything else. etcd reads whom it trusts when it starts, and at no other time; it
 * reads its own certificates and the list of revoked ones at every handshake. So it trusts the root, the certificate of the authority
 * comes along with every certificate, and an authority is exchanged without a restart: the next one is signed by the same root, the old
 * one's certificate is revoked. Clients never see the root: they trust the authorities themselves, whose self-signed certificates are
 * `caBundlePem`.
 *
 * Keys are ECDSA P-256. They are secrets in Pulumi's state and, for members, SecureStrings; they are never anywhere else.
 */
export class TlsAuthority extends pulumi.ComponentResource {
  /** Root of the client tree, PEM: what members trust on 2379. */
  readonly clientRootPem: pulumi.Output<string>;
  /** Root of the peer tree, PEM: what members trust on 2380. */
  readonly peerRootPem: pulumi.Output<string>;
  /** Certificates of the authorities that clients should trust, PEM, the one that signs first. */
  readonly caBundlePem: pulumi.Output<string>;
  /** Certificates of the authorities that were dropped, PEM. */
  readonly revokedPems: pulumi.Output<string[]>;
  /** What all this was made for. */
  readonly authorities: Authorities;

  private readonly base: string;
  private readonly args: TlsAuthorityArgs;
  private readonly signers: Readonly<Record<Tree, Authority>>;

  constructor(name: string, args: TlsAuthorityArgs, opts?: pulumi.ComponentResourceOptions) {
    super("etcd-cluster:index:TlsAuthority", name, {}, opts);
    this.base = name;
    this.args = args;
    this.authorities = authoritiesOf(args.authorities);
    const { signer, trusted, dropped } = this.authorities;
    const revoked: pulumi.Output<string>[] = [];
    const tree = (which: Tree) => {
      const rootKey = this.key(`${which}-root`);
      const root = this.selfSigned(`${which}-root`, rootKey, rootValidityHours);
      const made = new Map(
        [...dropped, ...trusted].map((number) => [
          number,
          this.authority(which, number, { key: rootKey, certificate: root }),
        ]),
      );
      const at = (number: number): Authority => {
        const authority = made.get(number);
        if (authority === undefined) {
          throw new Error(`there is no authority ${number} in ${args.authorities}`);
        }
        return authority;
      };
      revoked.push(...dropped.map((number) => at(number).certificate.certPem));
      return { root, at, signer: at(signer) };
    };
    const client = tree("client");
    const peer = tree("peer");
    this.signers = { client: client.signer, peer: peer.signer };
    this.clientRootPem = client.root.certPem;
    this.peerRootPem = peer.root.certPem;
    this.caBundlePem = pulumi
      .all(
        trusted.map((number) => {
          const { key } = client.at(number);
          const what = `client-ca${ofAuthority(number)}`;
          return this.selfSigned(what, key, authorityValidityHours).certPem;
        }),
      )
      .apply((pems) => pems.join(""));
    this.revokedPems = pulumi.all(revoked);
    this.registerOutputs({
      clientRootPem: this.clientRootPem,
      peerRootPem: this.peerRootPem,
      caBundlePem: this.caBundlePem,
    });
  }

  /** A certificate for a member's client port. It also names client_auth, because etcd calls itself with it in places. */
  issueServer(what: string, request: CertificateRequest): IssuedForMember {
    return this.issue("client", what, request, ["server_auth", "client_auth"]);
  }

  /** A certificate for a member's peer port, where every member is server and client. */
  issuePeer(what: string, request: CertificateRequest): IssuedForMember {
    return this.issue("peer", what, request, ["server_auth", "client_auth"]);
  }

  /** A certificate for a client of etcd; it opens nothing else. */
  issueClient(what: string, request: CertificateRequest): IssuedForMember {
    return this.issue("client", what, request, ["client_auth"]);
  }

  private key(what: string): tls.PrivateKey {
    return new tls.PrivateKey(
      `${this.base}-${what}`,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this },
    );
  }

  private subject(what: string): { commonName: string; organization: string } {
    const { clusterName } = this.args;
    const [tree, kind = "", number = ""] = what.split("-");
    const named = kind === "ca" ? `CA${number === "" ? "" : ` ${number}`}` : kind;
    return { commonName: `${clusterName} ${tree} ${named}`, organization: clusterName };
  }

  private selfSigned(
    what: string,
    key: tls.PrivateKey,
    validityPeriodHours: number,
  ): tls.SelfSignedCert {
    return new tls.SelfSignedCert(
      `${this.base}-${what}`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: this.subject(what),
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours,
        allowedUses: signing,
      },
      { parent: this },
    );
  }

  /** The root's certificate for an authority; it has the same subject and key as the self-signed one that clients trust. */
  private authority(
    tree: Tree,
    number: number,
    root: { key: tls.PrivateKey; certificate: tls.SelfSignedCert },
  ): Authority {
    const what = `${tree}-ca${ofAuthority(number)}`;
    const key = this.key(what);
    const request = new tls.CertRequest(
      `${this.base}-${what}`,
      { privateKeyPem: key.privateKeyPem, subject: this.subject(what) },
      { parent: this },
    );
    const certificate = new tls.LocallySignedCert(
      `${this.base}-${what}`,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: root.key.privateKeyPem,
        caCertPem: root.certificate.certPem,
        isCaCertificate: true,
        setSubjectKeyId: true,
        allowedUses: signing,
        validityPeriodHours: authorityValidityHours,
      },
      { parent: this },
    );
    return { key, certificate };
  }

  private issue(
    tree: Tree,
    what: string,
    request: CertificateRequest,
    uses: string[],
  ): IssuedForMember {
    const { signer, trusted } = this.authorities;
    // A renewed certificate is for the same key, so that whoever reads one of the two files a moment before the other never has a pair
    // that does not match. Another authority means another key: whatever the reason for the exchange, old keys go with it.
    const keys = new Map(
      trusted.map((number) => [number, this.key(`${what}${ofAuthority(number, "@")}`)]),
    );
    const key = keys.get(signer);
    if (key === undefined) {
      throw new Error(`authority ${signer} signs and is not trusted`);
    }
    const csr = new tls.CertRequest(
      `${this.base}-${what}${ofAuthority(signer, "@")}`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: request.commonName, organization: this.args.clusterName },
        ...(request.dnsNames === undefined ? {} : { dnsNames: request.dnsNames }),
        ...(request.ipAddresses === undefined ? {} : { ipAddresses: request.ipAddresses }),
      },
      { parent: this },
    );
    const authority = this.signers[tree];
    const certificate = new tls.LocallySignedCert(
      `${this.base}-${what}${ofAuthority(signer, "@")}`,
      {
        certRequestPem: csr.certRequestPem,
        caPrivateKeyPem: authority.key.privateKeyPem,
        caCertPem: authority.certificate.certPem,
        allowedUses: ["digital_signature", ...uses],
        validityPeriodHours: this.args.validityDays * 24,
        // The provider looks at the clock when it compares (not only when it refreshes): an ordinary `up` in this time renews.
        earlyRenewalHours: this.args.renewalDays * 24,
      },
      { parent: this },
    );
    return {
      certificatePem: pulumi.interpolate`${certificate.certPem}${authority.certificate.certPem}`,
      privateKeyPem: pulumi.secret(key.privateKeyPemPkcs8),
      privateKeyPems: new Map(
        [...keys].map(([number, each]) => [number, pulumi.secret(each.privateKeyPemPkcs8)]),
      ),
    };
  }
}
