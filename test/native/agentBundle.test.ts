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
    assert.deepEqual(readdirSync(content).sort(), [
      "agent.js",
      "lib",
      "package.json",
      "proto",
      "systemd",
    ]);
    for (const name of readdirSync(join(content, "lib"))) assert.match(name, /^[0-9A-Z]{8}\.js$/);
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

  test("every piece loads; etcd3 finds its proto files beside them", () => {
    const pieces = readdirSync(join(content, "lib"));
    const etcd3 = pieces.filter((name) =>
      readFileSync(join(content, "lib", name), "utf8").includes(
        "`${__dirname}/../proto/rpc.proto`",
      ),
    );
    assert.equal(etcd3.length, 1);
    const code = pieces.map(
      (piece) => `await import(${JSON.stringify(join(content, "lib", piece))});`,
    );
    const outcome = spawnSync(process.execPath, ["--input-type=module", "--eval", code.join("")], {
      cwd: "/",
      encoding: "utf8",
    });
    assert.deepEqual([outcome.status, outcome.stdout, outcome.stderr], [0, "", ""]);
  });

  test("what a command does not use is in a piece of its own", () => {
    const text = (name: string): string => readFileSync(join(content, name), "utf8");
    assert.ok(Buffer.byteLength(text("agent.js")) < 20_000);
    for (const client of ["S3", "EC2", "SSM", "CloudWatch"]) {
      const holders = readdirSync(join(content, "lib")).filter((name) =>
        text(`lib/${name}`).includes(`var ${client}Client = class`),
      );
      assert.equal(holders.length, 1, client);
    }
    // Of EC2's client, hundreds of calls are left out.
    const all = readdirSync(join(content, "lib")).map((name) => text(`lib/${name}`));
    assert.ok(all.some((each) => each.includes("AttachVolumeCommand = class")));
    assert.ok(!all.some((each) => each.includes("RunInstancesCommand = class")));
  });
});
