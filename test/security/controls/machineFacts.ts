/** What is asked of a machine, as root, and what it says. Plain text in, plain data out. */

/** What a member's machine says of itself. */
export interface MachineFacts {
  /** `mode owner:group` of files and folders by path; of links, of what they lead to. */
  readonly modes: Readonly<Record<string, string>>;
  /** Environment of etcd's process. */
  readonly etcd: Readonly<Record<string, string>>;
  /** `/proc/<pid>/status` of etcd's process. */
  readonly process: Readonly<Record<string, string>>;
  /** What `sshd -T` says is in force. */
  readonly sshd: Readonly<Record<string, string>>;
  /** Addresses and ports on which somebody listens, sorted: `0.0.0.0:22`. */
  readonly listeners: readonly string[];
  /** SHA-256 fingerprints of the authorities for clients and for peers. */
  readonly authorities: { readonly client: string; readonly peer: string };
  /** The machine's own address. */
  readonly address: string;
}

/** Prints everything as sections; `sh -c` runs it in the machine. */
export const machineQuestions = [
  "pid=$(systemctl show --property=MainPID --value etcd.service)",
  "echo '== modes'",
  "find -L /var/lib/etcd/data /etc/etcd /etc/etcd-cluster /etc/systemd/system/etcd.service /etc/systemd/system/etcd-upkeep.service" +
    " /etc/systemd/system/agent-boot.service /usr/local/bin /opt/etcd-cluster" +
    " /run/etcd-cluster /etc/ssh/ssh_host_ed25519_key /etc/ssh/sshd_config.d /home/admin/.ssh -maxdepth 3 -printf '%m %u:%g %p\\n'",
  "echo '== etcd'; tr '\\0' '\\n' < /proc/$pid/environ",
  "echo '== process'; cat /proc/$pid/status",
  "echo '== sshd'; sshd -T",
  "echo '== listeners'; ss -Hltn",
  "echo '== client'; openssl x509 -noout -fingerprint -sha256 -in /etc/etcd/pki/client-ca.crt",
  "echo '== peer'; openssl x509 -noout -fingerprint -sha256 -in /etc/etcd/pki/peer-ca.crt",
].join("\n");

function pairs(lines: readonly string[], separator: RegExp): Record<string, string> {
  return Object.fromEntries(
    lines.map((line) => {
      const [name = "", ...rest] = line.split(separator);
      return [name, rest.join(" ").trim()];
    }),
  );
}

/** Reads what the questions print. */
export function readFacts(text: string, address: string): MachineFacts {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const name = /^== (\w+)$/.exec(line)?.[1];
    if (name === undefined) lines.push(line);
    else sections.set(name, (lines = []));
  }
  const section = (name: string): string[] => {
    const found = (sections.get(name) ?? []).filter((line) => line.trim() !== "");
    if (found.length === 0) throw new Error(`the machine says nothing of ${name}:\n${text}`);
    return found;
  };
  const modes = section("modes").map((line) => {
    const [, mode = "", path = ""] = /^(\d+ \S+) (.+)$/.exec(line) ?? [];
    return [path, mode] as const;
  });
  const fingerprint = (name: string): string => section(name)[0]?.split("=")[1] ?? "";
  return {
    modes: Object.fromEntries(modes),
    etcd: pairs(section("etcd"), /=(.*)/s),
    process: pairs(section("process"), /:\s*/),
    sshd: pairs(section("sshd"), / /),
    listeners: section("listeners")
      .map((line) => line.trim().split(/\s+/)[3] ?? "")
      .sort(),
    authorities: { client: fingerprint("client"), peer: fingerprint("peer") },
    address,
  };
}
