/** What a machine is started with: a MIME document of a cloud-config and one script. It holds no secret and no version. */

/** Most bytes of user data that EC2 takes, before base64. */
export const maxUserDataBytes = 16_384;

/**
 * Keeps sshd from starting: it must never show a host key that Pulumi did not make. bootcmd runs before any service that cloud-init
 * comes before, sshd among them, and here only once in an instance's life. Whoever installs the right key then runs
 * `systemctl unmask --runtime ssh.service ssh.socket` and starts the service; after a reboot the key is there and nothing is masked.
 * cloud-init insists on generating a key of some kind; it is overwritten before anybody sees it.
 */
const cloudConfig = `#cloud-config
bootcmd:
  - [cloud-init-per, instance, hold-sshd, systemctl, mask, --runtime, --now, ssh.service, ssh.socket, sshd-keygen.service]
ssh_deletekeys: true
ssh_genkeytypes: [ed25519]
disable_root: true
ssh_pwauth: false
`;

/** Fills in a template's @NAME@ placeholders. Every placeholder needs a value, every value a placeholder, and values are plain words. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  for (const [name, value] of Object.entries(values)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._/-]*$/.test(value)) {
      throw new Error(`${JSON.stringify(value)} cannot stand for @${name}@ in a script`);
    }
    if (!template.includes(`@${name}@`)) {
      throw new Error(`the script has no place for @${name}@`);
    }
  }
  return template.replace(/@([A-Z][A-Z0-9_]*)@/g, (placeholder, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) {
      throw new Error(`the script asks for ${placeholder}, which has no value`);
    }
    return value;
  });
}

/** Renders user data from a boot script's template. */
export function renderUserData(template: string, values: Readonly<Record<string, string>>): string {
  const boundary = "==etcd-cluster-boot==";
  const part = (type: string, name: string, body: string): string =>
    [
      `--${boundary}`,
      `Content-Type: ${type}; charset="us-ascii"`,
      "MIME-Version: 1.0",
      "Content-Transfer-Encoding: 7bit",
      `Content-Disposition: attachment; filename="${name}"`,
      "",
      body,
    ].join("\n");
  const text = [
    `Content-Type: multipart/mixed; boundary="${boundary}"`,
    "MIME-Version: 1.0",
    "",
    part("text/cloud-config", "machine.yaml", cloudConfig),
    part("text/x-shellscript", "boot.sh", fillTemplate(template, values)),
    `--${boundary}--`,
    "",
  ].join("\n");
  if (!/^[\x09\x0a\x20-\x7e]*$/.test(text)) {
    throw new Error("user data must be plain ASCII: cloud-init reads it as 7bit");
  }
  if (text.length > maxUserDataBytes) {
    throw new Error(`user data has ${text.length} bytes; EC2 takes ${maxUserDataBytes}`);
  }
  return text;
}
