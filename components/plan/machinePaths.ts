/** Paths on a machine that etcd's settings and the agent must agree on. */

const pki = "/etc/etcd/pki";

/** Keys and certificates, as the agent installs them: `pki` is a link, and all of them are exchanged by exchanging it. */
export const pkiFiles = {
  clientCa: `${pki}/client-ca.crt`,
  peerCa: `${pki}/peer-ca.crt`,
  serverCertificate: `${pki}/server.crt`,
  serverKey: `${pki}/server.key`,
  peerCertificate: `${pki}/peer.crt`,
  peerKey: `${pki}/peer.key`,
  agentCertificate: `${pki}/agent.crt`,
  agentKey: `${pki}/agent.key`,
  /** Serial numbers of authorities that were dropped. */
  revoked: `${pki}/revoked.crl`,
} as const;

/** Where the data volume is mounted. */
export const volumeMount = "/var/lib/etcd";

/** etcd's data directory; not the mount itself, which holds lost+found and what was set aside. */
export const dataDirectory = `${volumeMount}/data`;
