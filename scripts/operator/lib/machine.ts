/** Paths on a member's machine that the scripts name; the agent puts the files there. */

/** The agent's client certificate and what it checks members by. */
export const pkiFiles = {
  clientCa: "/etc/etcd/pki/client-ca.crt",
  agentCertificate: "/etc/etcd/pki/agent.crt",
  agentKey: "/etc/etcd/pki/agent.key",
} as const;

/** The agent. */
export const agentProgram = "/usr/local/bin/etcd-agent";

/** What a member's journal is about. */
export const units = [
  "etcd.service",
  "agent-boot.service",
  "etcd-upkeep.service",
  "var-lib-etcd.mount",
  "cloud-final.service",
] as const;
