import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { debianArchive } from "../../lab/image/mirror.ts";
import { files, imageKey, packages, sealScript } from "../../lab/image/recipe.ts";
import { nvmeNode, volumeLink } from "../../lab/machines/disks.ts";
import { linkName } from "../../lab/machines/machines.ts";
import { labMarks } from "../../lab/machines/marks.ts";

test("a volume is found under the name that its id gives on EC2", () => {
  assert.equal(
    volumeLink("vol-0123abcd"),
    "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123abcd",
  );
});

test("device names become controllers, each another one", () => {
  assert.equal(nvmeNode("/dev/sdf"), "/dev/nvme1n1");
  assert.equal(nvmeNode("/dev/xvdg"), "/dev/nvme2n1");
  const letters = "bcdefghijklmnopqrstuvwxyz".split("");
  assert.equal(new Set(letters.map((letter) => nvmeNode(`/dev/sd${letter}`))).size, letters.length);
  for (const wrong of ["/dev/sda", "sdf", "/dev/nvme1n1"]) assert.throws(() => nvmeNode(wrong));
});

test("network interfaces are named as Debian names them on EC2", () => {
  assert.deepEqual([0, 1].map(linkName), ["ens5", "ens6"]);
});

test("two labs on a host have marks that are no part of each other's", () => {
  const [one, other] = [labMarks(""), labMarks("t")];
  assert.equal(one.prefix, "ecl-");
  assert.equal(other.prefix.startsWith(one.prefix), false);
  assert.notEqual(one.group, other.group);
  assert.notEqual(one.routeProtocol, other.routeProtocol);
  // A link's name has fifteen characters at most: the prefix, "up" and a number.
  assert.ok(`${labMarks("abcd").prefix}up999`.length <= 15);
  assert.throws(() => labMarks("too-long"));
});

test("apt's own archive is used, and the security archive is not mistaken for it", () => {
  const targets = [
    "http://mirror.test/debian-security/|Debian|Debian-Security",
    "http://mirror.test/debian/|Debian|Debian",
    "http://other.test/|Other|Other",
  ];
  assert.equal(debianArchive(targets.join("\n")), "http://mirror.test/debian");
  assert.equal(debianArchive("http://other.test/|Other|Other\n"), undefined);
  assert.equal(debianArchive(""), undefined);
});

test("the image's key is stable and short enough for a folder's name", () => {
  assert.match(imageKey(), /^[0-9a-f]{16}$/);
  assert.equal(imageKey(), imageKey());
});

test("shell of the machines passes shellcheck", () => {
  const guard = join(import.meta.dirname, "../../lab/machines/guard.sh");
  execFileSync("shellcheck", [guard], { stdio: "pipe" });
  execFileSync("shellcheck", ["--shell=sh", "-"], { input: sealScript, stdio: "pipe" });
});

test("the image has what cloud-init and SSH need, and no identity of its own", () => {
  for (const name of ["cloud-init", "openssh-server", "sudo", "python3", "curl", "e2fsprogs"]) {
    assert.ok(packages.includes(name), name);
  }
  assert.match(files["etc/cloud/cloud.cfg.d/10_ec2.cfg"] ?? "", /name: admin/);
  assert.match(sealScript, /: > \/etc\/machine-id/);
  assert.match(sealScript, /rm -f \/etc\/ssh\/ssh_host_/);
  assert.match(sealScript, /passwd --quiet --lock root/);
});
