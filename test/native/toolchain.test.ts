import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { parse } from "yaml";

// Before the modules read them.
const scratch = mkdtempSync(join(tmpdir(), "etcd-toolchain-"));
process.env["XDG_CACHE_HOME"] = join(scratch, "cache");
process.env["ETCD_LAB_STATE"] = join(scratch, "state");
const { cacheEntry, contentKey } = await import("../../lab/toolchain/cacheEntry.ts");
const { hostPath } = await import("../../lab/toolchain/hostPath.ts");
const { exportsOf, installWrapper } = await import("../../lab/cli/environment.ts");
const { refreshMergedConfig, saltFile, stateFile } = await import("../../lab/cli/stackConfig.ts");

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const cache = join(scratch, "cache", "etcd-cluster");
const silent = (): void => undefined;
after(() => {
  rmSync(scratch, { recursive: true });
});

describe("a cache entry", () => {
  test("is built once and then found", async () => {
    let builds = 0;
    const build = (folder: string): Promise<void> => {
      builds += 1;
      writeFileSync(join(folder, "content"), "x");
      return Promise.resolve();
    };
    const first = await cacheEntry("thing", "k1", silent, build);
    assert.equal(await cacheEntry("thing", "k1", silent, build), first);
    assert.equal(builds, 1);
    assert.equal(readFileSync(join(first, "content"), "utf8"), "x");
  });

  test("does not appear when its build fails, and the error shows the end of the log", async () => {
    const failing = cacheEntry("broken", "k1", silent, (folder, logFile) => {
      writeFileSync(join(folder, "half"), "");
      writeFileSync(logFile, "compiling\nno such package\n");
      return Promise.reject(new Error("no space"));
    });
    await assert.rejects(
      failing,
      /building broken failed; its log is .*logs\/broken-k1\.log.*no such package/s,
    );
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.includes("broken")),
      [],
    );
  });

  test("built by two at once is one", async () => {
    const build = async (folder: string): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      writeFileSync(join(folder, "content"), "same");
    };
    const [one, other] = await Promise.all([
      cacheEntry("twice", "k1", silent, build),
      cacheEntry("twice", "k1", silent, build),
    ]);
    assert.equal(one, other);
    assert.deepEqual(
      readdirSync(cache).filter((name) => name.includes("twice")),
      ["twice-k1"],
    );
  });

  test("has a key of everything that decides its content, and of nothing else", () => {
    const file = join(scratch, "go.sum");
    writeFileSync(file, "a");
    const key = contentKey([{ file }, "flags"]);
    assert.equal(contentKey([{ file }, "flags"]), key);
    assert.notEqual(contentKey([{ file }, "other flags"]), key);
    writeFileSync(file, "b");
    assert.notEqual(contentKey([{ file }, "flags"]), key);
    // Parts must not run into each other.
    assert.notEqual(contentKey(["ab", "c"]), contentKey(["a", "bc"]));
  });
});

test("the host's PATH is without the lab's own folders", () => {
  const own = [join(scratch, "state", "bin"), join(cache, "engine-0123")];
  assert.deepEqual(hostPath([...own, "/usr/bin", "", "/bin"].join(":")), ["/usr/bin", "/bin"]);
});

test("exports survive the shell, whatever is in them", () => {
  const environment = { A: 'it\'s $HOME `x` "q"', B: "line\nbreak", C: "" };
  const output = execFileSync("bash", [
    "-c",
    `${exportsOf(environment)}\nprintf '%s|' "$A" "$B" "$C"`,
  ]);
  assert.equal(output.toString(), `${Object.values(environment).join("|")}|`);
});

test("programs in the checkout get the component's sources, those elsewhere what is installed there", () => {
  const [bin, engine, elsewhere] = ["bin", "engine", "elsewhere"].map((name) =>
    join(scratch, "wrapper", name),
  ) as [string, string, string];
  for (const folder of [engine, elsewhere]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(engine, "pulumi"), '#!/bin/sh\necho "$NODE_OPTIONS|$*"\n', { mode: 0o755 });
  symlinkSync(process.execPath, join(engine, "node"));
  installWrapper(bin, engine);
  const seen = (cwd: string, options: string): string =>
    execFileSync(join(bin, "pulumi"), ["preview", "--diff"], {
      cwd,
      encoding: "utf8",
      env: { ETCD_LAB_STATE: join(scratch, "state"), NODE_OPTIONS: options },
    }).trim();
  const condition = "--conditions=etcd-cluster-source";
  assert.equal(seen(join(repository, "examples/minimal"), ""), `${condition}|preview --diff`);
  assert.equal(seen(repository, "--no-warnings"), `${condition} --no-warnings|preview --diff`);
  assert.equal(seen(elsewhere, "--no-warnings"), "--no-warnings|preview --diff");
});

describe("the config that pulumi sees", () => {
  const project = join(scratch, "project");
  mkdirSync(join(project, "deeper"), { recursive: true });
  writeFileSync(join(project, "Pulumi.yaml"), "name: etcd-cluster\n");
  writeFileSync(join(project, "Pulumi.dev.yaml"), "config:\n  etcd-cluster:size: 3\n");
  const salt = saltFile({ project: "etcd-cluster", stack: "dev" });
  mkdirSync(dirname(salt), { recursive: true });
  writeFileSync(salt, "v1:s");
  const node = { path: "/n" };
  const etcds: Readonly<Record<string, string>> = { "3.6.14": "/e6", "3.7.3": "/e7" };

  async function seen(args: readonly string[], folder: string, stack?: string): Promise<unknown> {
    const file = await refreshMergedConfig(args, folder, stack, (version) => {
      const path = etcds[version];
      return Promise.resolve({ node, ...(path !== undefined && { etcd: { path } }) });
    });
    return file === undefined ? undefined : parse(readFileSync(file, "utf8"));
  }
  const expected = {
    encryptionsalt: "v1:s",
    config: {
      "etcd-cluster:artifacts": { node, etcd: { path: "/e6" } },
      "etcd-cluster:size": 3,
    },
  };

  const cases: readonly [string, Promise<unknown>, unknown][] = [
    ["is merged for the selected stack", seen(["up"], project, "dev"), expected],
    ["is found from a folder further down", seen(["up"], join(project, "deeper"), "dev"), expected],
    ["is found with --cwd", seen(["up", "-C", project], "/", "dev"), expected],
    [
      "is that of --stack, not of the environment",
      seen(["up", "-s", "dev"], project, "prod"),
      expected,
    ],
    [
      "knows a stack by its full name",
      seen(["up", "-s", "organization/etcd-cluster/dev"], project),
      expected,
    ],
    [
      "is left alone for a stack the lab does not have",
      seen(["up", "-s", "aws"], project, "dev"),
      undefined,
    ],
    ["is left alone where there is no project", seen(["version"], "/", "dev"), undefined],
  ];
  for (const [name, actual, wanted] of cases) {
    test(name, async () => {
      assert.deepEqual(await actual, wanted);
    });
  }

  for (const [version, etcd] of [
    ["3.7.3", { etcd: { path: "/e7" } }],
    ["9.9.9", {}],
  ] as const) {
    test(`has the archive of etcd ${version} where there is one`, async () => {
      const other = join(scratch, `project-${version}`);
      mkdirSync(other);
      writeFileSync(join(other, "Pulumi.yaml"), "name: etcd-cluster\n");
      const tracked = `config:\n  etcd-cluster:etcdVersion: ${version}\n`;
      writeFileSync(join(other, "Pulumi.dev.yaml"), tracked);
      const { config } = (await seen(["up"], other, "dev")) as { config: Record<string, unknown> };
      assert.deepEqual(config["etcd-cluster:artifacts"], { node, ...etcd });
    });
  }

  test("is that of another project, once its stack is there", async () => {
    const foreign = join(scratch, "foreign");
    mkdirSync(foreign);
    writeFileSync(join(foreign, "Pulumi.yaml"), "name: shop\n");
    writeFileSync(join(foreign, "Pulumi.dev.yaml"), "encryptionsalt: v1:own\n");
    assert.equal(await seen(["stack", "init", "dev"], foreign, "dev"), undefined);
    const state = stateFile({ project: "shop", stack: "dev" });
    mkdirSync(dirname(state), { recursive: true });
    writeFileSync(state, "{}");
    assert.deepEqual(await seen(["up"], foreign, "dev"), {
      encryptionsalt: "v1:own",
      config: { "shop:artifacts": { node, etcd: { path: "/e6" } } },
    });
    assert.deepEqual(await seen(["up"], project, "dev"), expected);
  });

  test("an edit counts at once", async () => {
    writeFileSync(join(project, "Pulumi.dev.yaml"), "config:\n  etcd-cluster:size: 5\n");
    const now = (await seen(["up"], project, "dev")) as typeof expected;
    assert.equal(now.config["etcd-cluster:size"], 5);
  });
});

describe("preflight", () => {
  const tools = join(scratch, "tools");
  mkdirSync(tools);
  for (const [name, says] of Object.entries({
    node: "v18.19.0",
    python3: "Python 3.9.2",
    go: "go version go1.19.8 linux/amd64",
  })) {
    writeFileSync(join(tools, name), `#!/bin/sh\necho '${says}'\n`);
    chmodSync(join(tools, name), 0o755);
  }

  test("says everything that is missing in one message, and what to do about it", () => {
    try {
      execFileSync("bash", [join(repository, "lab", "cli", "preflight.sh"), "--check"], {
        env: { ...process.env, PATH: `${tools}:${process.env["PATH"] ?? ""}` },
        encoding: "utf8",
        stdio: "pipe",
      });
      assert.fail("it was content");
    } catch (error) {
      const { status, stderr } = error as { status: number; stderr: string };
      assert.equal(status, 1);
      assert.match(stderr, /^This host cannot run the lab yet:$/m);
      assert.match(stderr, /node is 18\.19\.0; needed: 20\.0 or newer\. Install/);
      assert.match(stderr, /python3 is 3\.9\.2; needed: 3\.11 or newer\./);
      assert.match(stderr, /go is 1\.19\.8; needed: 1\.26 or newer\. Install/);
    }
  });

  test("two at once: the second waits for the first, and finds nothing left to do", async () => {
    const checkout = join(scratch, "fresh");
    const bin = join(scratch, "slow");
    const installed = join(scratch, "installed");
    mkdirSync(join(checkout, "lab", "cli"), { recursive: true });
    mkdirSync(bin);
    copyFileSync(
      join(repository, "lab", "cli", "preflight.sh"),
      join(checkout, "lab", "cli", "preflight.sh"),
    );
    writeFileSync(join(checkout, "package-lock.json"), "{}");
    writeFileSync(
      join(bin, "npm"),
      `#!/bin/sh\n[ "$1" = ci ] || { echo 11.0.0; exit; }\necho once >>'${installed}'\nsleep 2\nmkdir node_modules\n`,
    );
    chmodSync(join(bin, "npm"), 0o755);
    const preflight = () =>
      promisify(execFile)("bash", ["lab/cli/preflight.sh"], {
        cwd: checkout,
        env: {
          ...process.env,
          PATH: `${bin}:${process.env["PATH"] ?? ""}`,
          XDG_CACHE_HOME: join(scratch, "fresh-cache"),
        },
      });
    const both = await Promise.all([preflight(), preflight()]);
    assert.equal(readFileSync(installed, "utf8"), "once\n");
    const waited = both.filter(({ stdout }) => /^== waits for process \d+, which/m.test(stdout));
    assert.equal(waited.length, 1, both.map(({ stdout }) => stdout).join("\n--\n"));
  });
});
