/**
 * What the machine image consists of: a stock Debian 13 as Debian's own EC2 images have it, plus what a
 * container needs in order to boot like one. Pure data; its hash is the image's key in the cache.
 */
import { createHash } from "node:crypto";

/** Debian's code name of the release the machines run. */
export const suite = "trixie";

/** Debian's name of the machines' architecture. */
export const architecture = "amd64";

/**
 * What is installed on top of Debian's essential packages. All of it is in Debian's EC2 image too: scripts
 * that run here may not rely on anything a real machine lacks.
 */
export const packages: readonly string[] = [
  "ca-certificates",
  "cloud-guest-utils",
  "cloud-init",
  "curl",
  "dbus",
  "e2fsprogs",
  "iproute2",
  "iputils-ping",
  "kmod",
  "less",
  "libnss-myhostname",
  "libpam-systemd",
  "nano",
  "netbase",
  "openssh-server",
  "procps",
  "python3",
  // debootstrap does not follow the virtual packages by which python3-cryptography asks for it.
  "python3-cffi-backend",
  "sudo",
  "systemd",
  "systemd-sysv",
  "tzdata",
  "udev",
  "util-linux-extra",
  "xz-utils",
];

/** Units that serve hardware, consoles or housekeeping a container does not have; each only costs boot time. */
const masked: readonly string[] = [
  "apt-daily-upgrade.timer",
  "apt-daily.timer",
  "console-getty.service",
  "dev-hugepages.mount",
  "dpkg-db-backup.timer",
  "e2scrub_all.timer",
  "e2scrub_reap.service",
  "fstrim.timer",
  "getty-static.service",
  "getty.target",
  "kmod-static-nodes.service",
  "ldconfig.service",
  "proc-sys-fs-binfmt_misc.automount",
  "sys-fs-fuse-connections.mount",
  "sys-kernel-config.mount",
  "sys-kernel-debug.mount",
  "sys-kernel-tracing.mount",
  "systemd-binfmt.service",
  "systemd-firstboot.service",
  "systemd-hwdb-update.service",
  "systemd-journal-catalog-update.service",
  "systemd-modules-load.service",
  "systemd-pstore.service",
  "systemd-remount-fs.service",
  "systemd-timesyncd.service",
  "systemd-udev-trigger.service",
  "systemd-udevd.service",
  "systemd-update-done.service",
];

/** A source of packages as apt's deb822 format has it. */
function source(archive: string, suites: readonly string[]): string[] {
  return [
    "Types: deb",
    `URIs: mirror+file:///etc/apt/mirrors/${archive}.list`,
    `Suites: ${suites.join(" ")}`,
    "Components: main",
    "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg",
  ];
}

/** Files written into the image, by path. */
export const files: Readonly<Record<string, string>> = {
  "etc/hosts": "127.0.0.1 localhost\n",
  "etc/fstab": "# The root file system is the container's.\n",
  // The log of a machine that is thrown away; without a cap journald takes a tenth of the host's disk.
  "etc/systemd/journald.conf.d/lab.conf":
    "[Journal]\nStorage=persistent\nSystemMaxUse=32M\nRuntimeMaxUse=8M\nRateLimitIntervalSec=0\n",
  // Debian's EC2 images ask a name of their own of the archive's network, by HTTPS, and find it by a list of mirrors.
  "etc/apt/sources.list.d/debian.sources": [
    ...source("debian", [suite, `${suite}-updates`, `${suite}-backports`]),
    "",
    ...source("debian-security", [`${suite}-security`]),
    "",
  ].join("\n"),
  "etc/apt/mirrors/debian.list": "https://cdn-aws.deb.debian.org/debian\n",
  "etc/apt/mirrors/debian-security.list": "https://cdn-aws.deb.debian.org/debian-security\n",
  "etc/cloud/ds-identify.cfg": "policy: enabled\ndatasource: Ec2\n",
  "etc/cloud/cloud.cfg.d/10_ec2.cfg": [
    "# The user name of Debian's EC2 images.",
    "system_info:",
    "  default_user:",
    "    name: admin",
    "",
  ].join("\n"),
  "etc/cloud/cloud.cfg.d/90_lab.cfg": [
    "# Addresses are assigned from outside, before the machine boots.",
    "network: {config: disabled}",
    "# New interfaces appear with their addresses; there is no udev to tell of them.",
    "updates: {network: {when: [boot-new-instance]}}",
    "datasource_list: [Ec2]",
    "datasource:",
    "  Ec2:",
    "    strict_id: false",
    '    metadata_urls: ["http://169.254.169.254"]',
    "    max_wait: 10",
    "    timeout: 2",
    "",
  ].join("\n"),
};

/**
 * Run inside the tree at the end. A container cannot show DMI data, so cloud-init does not recognise EC2 and
 * would talk IMDSv1 to a service that refuses it: the unknown cloud is declared able to speak v2. The rest is
 * what makes an image of an installation: no identity, no keys, no caches.
 */
export const sealScript = `set -eu
source=/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py
sed -i 's/_SUPPORTED_CLOUD_PLATFORMS = \\[CloudNames.AWS\\]/_SUPPORTED_CLOUD_PLATFORMS = [CloudNames.AWS, CloudNames.UNKNOWN]/' "$source"
grep -q 'CloudNames.AWS, CloudNames.UNKNOWN' "$source"
python3 -m py_compile "$source"
systemctl mask --quiet ${masked.join(" ")}
systemctl disable --quiet systemd-networkd.service 2>/dev/null || true
passwd --quiet --lock root
rm -f /etc/apt/sources.list
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /etc/hostname /etc/resolv.conf
: > /etc/machine-id
rm -f /var/lib/dbus/machine-id
rm -rf /var/cache/apt/archives /var/lib/apt/lists /var/log/*.log /var/log/apt /var/log/journal /var/cache/debconf/*-old
mkdir -p /var/log/journal /var/lib/apt/lists/partial /var/cache/apt/archives/partial
`;

/** The image's key: everything above decides it, nothing else does. */
export function imageKey(): string {
  const everything = JSON.stringify({ suite, architecture, packages, files, sealScript });
  return createHash("sha256").update(everything).digest("hex").slice(0, 16);
}
