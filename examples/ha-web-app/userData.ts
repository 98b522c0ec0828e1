/** What a web machine is started with. It holds no secret, and nothing of a release: a release does not replace machines. */
export function userData(script: string, values: Readonly<Record<string, string>>): string {
  const filled = script.replace(/@([A-Z]+)@/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined || !/^[A-Za-z0-9/._-]+$/.test(value)) {
      throw new Error(`${JSON.stringify(value)} cannot stand for @${name}@ in a script`);
    }
    return value;
  });
  // sshd must not show a host key that Pulumi did not make: the script lets it start.
  const hold = [
    "#cloud-config",
    "bootcmd:",
    "  - [cloud-init-per, instance, hold-sshd, systemctl, mask, --runtime, --now, ssh.service, ssh.socket, sshd-keygen.service]",
    "ssh_deletekeys: true",
    "ssh_genkeytypes: [ed25519]",
    "ssh_pwauth: false",
    "disable_root: true",
    "",
  ].join("\n");
  const part = (type: string, body: string): string =>
    ["--web-machine", `Content-Type: ${type}`, "MIME-Version: 1.0", "", body].join("\n");
  return [
    'Content-Type: multipart/mixed; boundary="web-machine"',
    "MIME-Version: 1.0",
    "",
    part("text/cloud-config", hold),
    part("text/x-shellscript", filled),
    "--web-machine--",
    "",
  ].join("\n");
}
