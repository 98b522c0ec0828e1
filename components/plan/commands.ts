/** Texts of the remote commands. They hold no secret: a failing command is shown whole. Each bounds its own time. */

const agent = "sudo -n /usr/local/bin/etcd-agent";

/** How long each step may take, seconds. Generous, because a machine may have to be launched again first. */
export const timeouts = {
  /** From the group's creation to the member's sshd with the right key. */
  waitSeconds: 600,
  /** For a member whose etcd is down. */
  repairSeconds: 120,
  /** For a turn: others that come back first, a backup, the restart. */
  convergeSeconds: 900,
  /** From a machine with sshd to a member of a cluster with quorum. */
  bootstrapSeconds: 600,
  /** For members to come and go one after the other, each with all of the data. */
  resizeSeconds: 1800,
  /** For one round of checks. */
  verifySeconds: 90,
} as const;

/** What the wait needs to know. None of it can carry shell syntax, and it is refused if it does. */
export interface WaitFor {
  readonly member: string;
  readonly address: string;
  /** The host's public key, `ssh-ed25519 AAAA…`. */
  readonly hostKey: string;
  readonly timeoutSeconds: number;
}

/** Runs on the bastion: waits until the member's sshd shows the pinned host key. */
export function waitForSsh(wait: WaitFor): string {
  const { member, address, timeoutSeconds } = wait;
  const key = wait.hostKey.trim().split(/\s+/).slice(0, 2).join(" ");
  if (
    !/^m\d+$/.test(member) ||
    !/^[\d.]+$/.test(address) ||
    !/^ssh-ed25519 [A-Za-z0-9+/=]+$/.test(key) ||
    !Number.isSafeInteger(timeoutSeconds)
  ) {
    throw new Error(`cannot wait for ${member} at ${address}: unusual characters`);
  }
  return `# Waits until the sshd of ${member} shows the host key that Pulumi made; runs on the bastion.
set -eu
deadline=$(( $(date +%s) + ${timeoutSeconds} ))
expected='${address} ${key}'
seen=nothing
while [ "$(date +%s)" -lt "$deadline" ]; do
  answer=$(ssh-keyscan -q -T 2 -t ed25519 ${address} 2>/dev/null || true)
  if [ "$answer" = "$expected" ]; then
    echo '{"member":"${member}","sshd":"ready"}'
    exit 0
  fi
  if [ -n "$answer" ]; then seen='another host key'; fi
  sleep 0.5
done
echo "${member} (${address}): sshd did not show its host key within ${timeoutSeconds} s; seen: $seen" >&2
exit 1
`;
}

/**
 * Run on the member, with the hash of its desired state: `repair` applies it if etcd is down there; `converge` in the member's turn, and
 * may end the machine; `bootstrap` on this machine, and waits until the member is one that others may count on.
 */
export function bring(how: "repair" | "converge" | "bootstrap", configSha256: string): string {
  return `${agent} ${how} --config ${configSha256} --timeout-seconds ${timeouts[`${how}Seconds`]}`;
}

/** Runs on the member: proves its health. */
export function verify(timeoutSeconds: number): string {
  return `${agent} verify --timeout-seconds ${timeoutSeconds}`;
}

/** A member that the cluster is to have, as `resize` wants it. */
export interface ResizedMember {
  readonly name: string;
  readonly address: string;
  readonly volumeId: string;
}

/** Runs on a member that stays: brings the cluster to exactly these members, one step at a time. */
export function resize(members: readonly ResizedMember[], timeoutSeconds: number): string {
  const texts = members.map(({ name, address, volumeId }) => `${name}=${address}=${volumeId}`);
  const strange = texts.find((text) => !/^m\d+=[\d.]+=vol-[0-9a-f]+$/.test(text));
  if (strange !== undefined) {
    throw new Error(`cannot resize to ${strange}: unusual characters`);
  }
  return `${agent} resize --members ${texts.join(",")} --timeout-seconds ${timeoutSeconds}`;
}
