import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { parse } from "yaml";
import { takeLock } from "../../lab/cli/lock.ts";
import { splitArguments } from "../../lab/cli/operator.ts";
import { etcdVersionOf, mergeConfig, optionOf } from "../../lab/cli/stackConfig.ts";
import { repository } from "../../lab/toolchain/engine.ts";
import { atLeast } from "../../lab/toolchain/versions.ts";
import { duration } from "../../lab/toolchain/progress.ts";

const scratch = mkdtempSync(join(tmpdir(), "etcd-cli-"));
after(() => {
  rmSync(scratch, { recursive: true });
});

describe("splitArguments", () => {
  const cases: readonly [string, readonly string[]][] = [
    ["", []],
    ["  get   --prefix /  ", ["get", "--prefix", "/"]],
    [`put greeting "hello  world"`, ["put", "greeting", "hello  world"]],
    [`put k ''`, ["put", "k", ""]],
    [`put k 'a"b'"c\\"d"`, ["put", "k", `a"bc"d`]],
    ["put k $(reboot);`x`", ["put", "k", "$(reboot);`x`"]],
    [String.raw`a\ b`, ["a b"]],
  ];
  for (const [line, words] of cases) {
    test(JSON.stringify(line), () => {
      assert.deepEqual(splitArguments(line), words);
    });
  }
  test("an open quote is refused and named", () => {
    assert.throws(() => splitArguments(`put k "v`), /the quote " is not closed/);
  });
});

describe("mergeConfig", () => {
  const salt = "v1:lab";
  const artifacts = { node: { path: "/n" }, etcd: { path: "/e" } };
  test("adds the lab's artifacts and salt, keeps everything else", () => {
    const merged: unknown = parse(
      mergeConfig("config:\n  aws:region: eu-central-1\n", "etcd-cluster", salt, artifacts),
    );
    assert.deepEqual(merged, {
      encryptionsalt: salt,
      config: { "aws:region": "eu-central-1", "etcd-cluster:artifacts": artifacts },
    });
  });
  test("what the tracked file says of artifacts wins", () => {
    const merged = parse(
      mergeConfig("config:\n  other:artifacts: {}\n", "other", salt, artifacts),
    ) as { config: unknown };
    assert.deepEqual(merged.config, { "other:artifacts": {} });
  });
  test("an empty file is a file without settings", () => {
    const merged = parse(mergeConfig("", "other", salt, artifacts)) as Record<string, unknown>;
    assert.deepEqual(merged, { encryptionsalt: salt, config: { "other:artifacts": artifacts } });
  });
  test("a stack that somebody else created keeps its own salt", () => {
    const merged = parse(
      mergeConfig("encryptionsalt: v1:own\n", "other", undefined, artifacts),
    ) as {
      encryptionsalt: unknown;
    };
    assert.equal(merged.encryptionsalt, "v1:own");
  });
});

test("the lab's default etcd is the program's", () => {
  const plan = readFileSync(join(repository, "components/plan/etcdVersions.ts"), "utf8");
  assert.match(
    plan,
    new RegExp(`^export const defaultEtcdVersion = "${etcdVersionOf("", "any")}";$`, "m"),
  );
  assert.equal(etcdVersionOf("config:\n  other:etcdVersion: 3.7.3\n", "other"), "3.7.3");
});

describe("optionOf", () => {
  const cases: readonly [readonly string[], string | undefined][] = [
    [["up", "--yes"], undefined],
    [["up", "-s", "prod"], "prod"],
    [["-sprod", "up"], "prod"],
    [["up", "--stack", "prod"], "prod"],
    [["up", "--stack=prod"], "prod"],
    [["up", "-s=prod"], "prod"],
    [["up", "--skip-preview"], undefined],
    [["up", "--", "-s", "prod"], undefined],
    [["up", "-s", "one", "-s", "two"], "two"],
  ];
  for (const [words, expected] of cases) {
    test(words.join(" "), () => {
      assert.equal(optionOf(words, "s", "stack"), expected);
    });
  }
});

describe("atLeast", () => {
  const cases: readonly [string, string, boolean][] = [
    ["3.259.0", "3.259.0", true],
    ["3.260.0", "3.259.0", true],
    ["4.0", "3.259.0", true],
    ["3.258.9", "3.259.0", false],
    ["3.9.0", "3.259.0", false],
    ["3.260.0-alpha.1", "3.259.0", true],
    ["not a version", "1.0", false],
  ];
  for (const [version, wanted, expected] of cases) {
    test(`${version} against ${wanted}`, () => {
      assert.equal(atLeast(version, wanted), expected);
    });
  }
});

describe("takeLock", () => {
  test("a live holder is named, a released lock is free", () => {
    const path = join(scratch, "live");
    const release = takeLock("make up", path);
    assert.throws(
      () => takeLock("make up", path),
      new RegExp(`make up is already running \\(process ${process.pid}\\)`),
    );
    release();
    takeLock("make down", path)();
  });
  test("a lock of a process that is gone is taken over", async () => {
    const path = join(scratch, "dead");
    const child = spawn("true");
    await new Promise((resolve) => child.once("exit", resolve));
    writeFileSync(path, JSON.stringify({ pid: child.pid, what: "make up", startTime: "1" }));
    const release = takeLock("make down", path);
    assert.equal((JSON.parse(readFileSync(path, "utf8")) as { pid: number }).pid, process.pid);
    release();
  });
  test("a pid that another process has by now does not hold the lock", () => {
    const path = join(scratch, "recycled");
    writeFileSync(path, JSON.stringify({ pid: process.pid, what: "make up", startTime: "1" }));
    takeLock("make down", path)();
  });
  test("half a lock file, as a crash leaves it, is taken over", () => {
    const path = join(scratch, "half");
    writeFileSync(path, '{"pid": 1');
    takeLock("make down", path)();
  });
});

test("duration is written as people read it", () => {
  assert.deepEqual([420, 9_960, 75_000, 192_000].map(duration), [
    "0.4 s",
    "10.0 s",
    "75 s",
    "3 min 12 s",
  ]);
});
