import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { execa } from "execa";
import {
  ensureEtcd,
  etcdModules,
  etcdPrograms,
  type EtcdVersion,
} from "../../lab/toolchain/artifacts.ts";

/** What the program renders for each minor, asked of that minor's own etcd: none of it may be unknown there. */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const folder = mkdtempSync(join(tmpdir(), "etcd-settings-"));
process.on("exit", () => {
  rmSync(folder, { recursive: true, force: true });
});

interface Library {
  etcdEnvironment(settings: object): Record<string, string>;
}

function library(): Library {
  const outfile = join(folder, "settings.cjs");
  buildSync({
    entryPoints: [join(repository, "components", "plan", "etcdEnvironment.ts")],
    bundle: true,
    platform: "node",
    format: "cjs",
    outfile,
  });
  return createRequire(import.meta.url)(outfile) as Library;
}

/** What etcd says until it misses the certificates, which are not there: by then it has read all of its settings. */
async function said(version: EtcdVersion, settings: Record<string, string>): Promise<string> {
  const programs = etcdPrograms(await ensureEtcd(version, () => undefined), version);
  const outcome = await execa(join(programs, "etcd"), [], {
    env: {
      ...settings,
      ETCD_DATA_DIR: join(folder, version),
      ETCD_INITIAL_CLUSTER: "m1=https://127.0.0.1:2380",
    },
    extendEnv: false,
    reject: false,
    timeout: 60_000,
    all: true,
  });
  return outcome.all;
}

const rendered = (version: string): Record<string, string> =>
  library().etcdEnvironment({
    ...{ version, member: "m1", address: "127.0.0.1", backendQuotaGiB: 2, grpcGateway: false },
  });

const missing = /creating peer listener failed.*no such file or directory/;

for (const version of Object.keys(etcdModules) as EtcdVersion[]) {
  test(`etcd ${version} knows all of its settings`, async () => {
    const text = await said(version, rendered(version));
    assert.match(text, missing);
    assert.doesNotMatch(text, /unrecognized environment variable/);
  });
}

test("another minor's settings are found out", async () => {
  const text = await said("3.7.3", rendered("3.5.35"));
  assert.match(text, /unrecognized environment variable.*ETCD_EXPERIMENTAL/);
});
