import { rename, rm } from "node:fs/promises";

import type { MemberConfig } from "../../components/plan/memberConfig";
import type { AwsClients } from "./aws";
import { readIfThere, writeDurably } from "./files";
import { installFiles, pkiContents } from "./pki";
import { must, run } from "./run";

/** Keys come from SSM when they are needed and lie on the root disk only; nothing here ever prints one. */

async function secret(clients: AwsClients, name: string): Promise<string> {
  const { GetParameterCommand } = await import("./sdkSsm.ts");
  const ssm = await clients.ssm();
  const { Parameter } = await ssm.send(
    new GetParameterCommand({ Name: name, WithDecryption: true }),
  );
  const value = Parameter?.Value;
  if (value === undefined || !value.includes("PRIVATE KEY-----")) {
    throw new Error(`the parameter ${name} holds no private key`);
  }
  return value.endsWith("\n") ? value : `${value}\n`;
}

/** Ids of etcd's user and group. */
export async function etcdUser(): Promise<{ uid: number; gid: number }> {
  const [, , uid, gid] = (await must("getent", ["passwd", "etcd"])).split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Puts keys and certificates where etcd's settings say they are. Returns whether anything is new. */
export async function installPki(clients: AwsClients, config: MemberConfig): Promise<boolean> {
  const { gid, uid } = await etcdUser();
  const [serverKey, peerKey, agentKey] = await Promise.all([
    secret(clients, config.parameters.serverKey),
    secret(clients, config.parameters.peerKey),
    secret(clients, config.parameters.agentKey),
  ]);
  return installFiles(pkiContents(config, { serverKey, peerKey, agentKey }), { uid, gid });
}

const hostKeyFile = "/etc/ssh/ssh_host_ed25519_key";
/**
 * No penalties: everybody comes from the bastion's address, and the wait for this very sshd, which asks for its key and leaves, would
 * lock out the commands that follow. The security group lets nobody else in.
 */
const sshdSettings = `HostKey ${hostKeyFile}
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowAgentForwarding no
AllowTcpForwarding no
X11Forwarding no
PerSourcePenalties no
`;

/**
 * Installs the SSH host key that Pulumi made, and only then lets sshd start: whoever connects has pinned that key, and a machine
 * that shows another one is taken for an intruder.
 */
export async function openSsh(clients: AwsClients, parameter: string): Promise<void> {
  const key = await secret(clients, parameter);
  const fresh = (await readIfThere(hostKeyFile)) !== key;
  if (fresh) {
    const beside = `${hostKeyFile}.etcd-cluster`;
    await writeDurably(beside, key);
    try {
      const publicKey = await must("ssh-keygen", ["-y", "-P", "", "-f", beside]);
      await writeDurably(`${hostKeyFile}.pub`, publicKey, { mode: 0o644 });
      await rename(beside, hostKeyFile);
    } finally {
      await rm(beside, { force: true });
    }
  }
  await writeDurably("/etc/ssh/sshd_config.d/10-etcd-cluster.conf", sshdSettings, { mode: 0o644 });
  await must("systemctl", ["unmask", "--runtime", "ssh.service", "ssh.socket"]);
  const runs = (await run("systemctl", ["is-active", "--quiet", "ssh.service"])).code === 0;
  if (!runs || fresh) {
    await must("systemctl", ["reload-or-restart", "ssh.service"]);
  }
}
