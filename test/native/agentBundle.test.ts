import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const scratch = mkdtempSync(join(tmpdir(), "etcd-agent-bundle-"));
const content = join(scratch, "content");

function build(name: string): Buffer {
  const output = join(scratch, name);
  execFileSync(process.execPath, [join(repository, "scripts", "build", "agent.mjs"), output]);
  return readFileSync(output);
}

describe("the agent's bundle", () => {
  let first: Buffer;
  before(() => {
    first = build("first.tar.gz");
    mkdirSync(content);
    execFileSync("tar", ["-xzf", join(scratch, "first.tar.gz"), "-C", content]);
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });

  test("built twice, it is the same to the byte", () => {
    assert.ok(first.equals(build("second.tar.gz")));
  });

  test("it holds the agent, etcd3's proto files and the units, and nothing else", () => {
    assert.deepEqual(readdirSync(content).sort(), ["agent.js", "proto", "systemd"]);
    assert.deepEqual(readdirSync(join(content, "proto")).sort(), [
      "auth.proto",
      "kv.proto",
      "rpc.proto",
    ]);
    assert.deepEqual(
      readdirSync(join(content, "systemd")).sort(),
      readdirSync(join(repository, "scripts", "systemd")).sort(),
    );
  });

  test("tar says that everything is root's, readable, and from 1970", () => {
    const lines = execFileSync("tar", ["-tvzf", join(scratch, "first.tar.gz"), "--utc"], {
      encoding: "utf8",
    });
    for (const line of lines.trimEnd().split("\n"))
      assert.match(line, /^-rw-r--r-- 0\/0 +\d+ 1970-01-01 00:00 /);
  });

  test("it loads where there are no node_modules, and says how it is used", () => {
    const outcome = spawnSync(process.execPath, [join(content, "agent.js"), "no-such-command"], {
      cwd: "/",
      encoding: "utf8",
    });
    assert.notEqual(outcome.status, 0);
    assert.doesNotMatch(outcome.stderr, /Cannot find module|ENOENT|at Object\.<anonymous>/);
    assert.match(outcome.stderr, /verify/);
  });

  test("etcd3 finds its proto files beside the bundle", () => {
    const source = readFileSync(join(content, "agent.js"), "utf8");
    assert.ok(source.includes("`${__dirname}/proto/rpc.proto`"));
    assert.ok(!source.includes("/../proto/rpc.proto"));
  });
});
