import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";

import { bring, verify, waitForSsh } from "../../../components/plan/commands";
import { fillTemplate, maxUserDataBytes, renderUserData } from "../../../components/plan/userData";
import { expectGolden } from "../../support/golden";

const scripts = join(__dirname, "..", "..", "..", "scripts");
const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample";

function shellcheck(text: string): void {
  execFileSync("shellcheck", ["--shell=sh", "-"], {
    input: text,
    stdio: ["pipe", "inherit", "inherit"],
  });
}

describe("user data", () => {
  const values = {
    CLUSTER: "etcd-dev",
    MEMBER: "m1",
    BUCKET: "etcd-dev-bucket",
    REGION: "eu-central-1",
  };

  test.each([
    ["boot.sh", values],
    ["bastion.sh", { CLUSTER: "etcd-dev", REGION: "eu-central-1" }],
  ])("%s: rendered, small enough, clean", (name, filled) => {
    const text = renderUserData(readFileSync(join(scripts, name), "utf8"), filled);
    expectGolden(__dirname, `user-data-${name}.txt`, text);
    // The scripts grow, and base64 is not counted; half of the limit is when to think.
    expect(text.length).toBeLessThan(maxUserDataBytes * 0.75);
    const script = text.slice(text.indexOf("#!/bin/sh"), text.lastIndexOf("--==etcd"));
    shellcheck(script);
  });

  test("placeholders: all filled, none left over, nothing but plain words", () => {
    expect(fillTemplate("a=@A@ b=@B_2@ mail@example @a@", { A: "x", B_2: "y/z.1" })).toBe(
      "a=x b=y/z.1 mail@example @a@",
    );
    expect(() => fillTemplate("@A@ @B@", { A: "x" })).toThrow(/@B@, which has no value/);
    expect(() => fillTemplate("@A@", { A: "x", B: "y" })).toThrow(/no place for @B@/);
    expect(() => fillTemplate("@toString@ @A@ @CONSTRUCTOR@", { A: "x" })).toThrow(/no value/);
  });

  test("a value cannot bring shell syntax or another placeholder", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }).filter((text) => /[^A-Za-z0-9._/-]/.test(text)),
        (hostile) => {
          expect(() => fillTemplate("@A@", { A: hostile })).toThrow(/cannot stand for/);
        },
      ),
    );
  });

  test("too long and not ASCII are refused here, not by EC2", () => {
    expect(() =>
      renderUserData(`#!/bin/sh\n# @A@ ${"x".repeat(maxUserDataBytes)}\n`, { A: "x" }),
    ).toThrow(/EC2 takes 16384/);
    expect(() => renderUserData("#!/bin/sh\n# @A@ ä\n", { A: "x" })).toThrow(/plain ASCII/);
  });
});

describe("commands", () => {
  const wait = { member: "m1", address: "10.42.0.11", hostKey, timeoutSeconds: 600 };

  test("the wait: rendered, clean", () => {
    const text = waitForSsh(wait);
    expectGolden(__dirname, "wait.sh", text);
    shellcheck(text);
  });

  test.each([
    { ...wait, address: "10.42.0.11; reboot" },
    { ...wait, member: "m1'" },
    { ...wait, hostKey: "ssh-ed25519 $(reboot)" },
    { ...wait, hostKey: "ssh-rsa AAAA" },
    { ...wait, timeoutSeconds: 1.5 },
  ])("%j is refused", (hostile) => {
    expect(() => waitForSsh(hostile)).toThrow(/unusual characters/);
  });

  test("a comment behind the key does not matter", () => {
    expect(waitForSsh({ ...wait, hostKey: `${hostKey} comment\n` })).toBe(waitForSsh(wait));
  });

  test("on the members", () => {
    const sha256 = "ab".repeat(32);
    const agent = "sudo -n /usr/local/bin/etcd-agent";
    expect([
      bring("repair", sha256),
      bring("converge", sha256),
      bring("bootstrap", sha256),
    ]).toEqual([
      `${agent} repair --config ${sha256} --timeout-seconds 120`,
      `${agent} converge --config ${sha256} --timeout-seconds 900`,
      `${agent} bootstrap --config ${sha256} --timeout-seconds 600`,
    ]);
    expect(verify(90)).toBe("sudo -n /usr/local/bin/etcd-agent verify --timeout-seconds 90");
  });
});
