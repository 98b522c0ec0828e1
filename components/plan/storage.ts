/**
 * Where things are in the backup bucket and in SSM. IAM documents, the program, boot.sh and the agent all speak of these places;
 * this is the one list of them.
 */
export const storage = {
  /** An artifact, named by its hash: never changed, never deleted by a machine. */
  artifact: (sha256: string) => `artifacts/${sha256}`,
  /** A member's immutable desired state. */
  config: (member: string, sha256: string) => `config/${member}/${sha256}.json`,
  /** The pointer which a booting machine follows: the hash of the approved desired state, and a newline. */
  approved: (member: string) => `config/${member}/approved`,
  /** The cluster record. */
  record: "control/cluster.json",
  /** What a member says when it has no quorum. */
  report: (member: string) => `control/reports/${member}.json`,
  /** What a member attests in one epoch of a roll call. */
  attestation: (epoch: number, member: string) => `control/attestations/${epoch}/${member}.json`,
  /** Data from which a generation begins. */
  source: (sha256: string) => `control/sources/${sha256}`,
  /** Prefix of one member's backups. */
  backups: (member: string) => `backups/${member}/`,
} as const;

/** The tag by which a member gives a backup of its own to the bucket's lifecycle; a backup is born without it. */
export const expiryTag = { key: "etcd-cluster:expire", value: "yes" } as const;

/** The secrets of a member, by the last part of their SSM names. */
export const memberSecrets = {
  serverKey: "server-key",
  peerKey: "peer-key",
  agentKey: "agent-key",
  sshHostKey: "ssh-host-key",
} as const;

/** SSM name of one secret: `/<cluster>/<owner>/<what>`; the owner is a member's name or "bastion". */
export function parameterName(cluster: string, owner: string, what: string): string {
  return `/${cluster}/${owner}/${what}`;
}
