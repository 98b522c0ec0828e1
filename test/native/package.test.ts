import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const modules = join(repository, "node_modules");
const golden = join(repository, "test/native/golden/package.txt");
const scratch = mkdtempSync(join(tmpdir(), "etcd-package-"));
const own = join(scratch, "node_modules", "etcd-cluster");

/** A project that uses the package, as strict as TypeScript gets; its peers are those of this checkout. */
const consumer = `import { Egress, EtcdCluster, type EtcdClusterArgs } from "etcd-cluster";

const args: EtcdClusterArgs = {
  region: "eu-central-1",
  adminCidrs: ["192.0.2.1/32"],
  size: undefined,
  egress: Egress.natPerZone,
};
const cluster = new EtcdCluster("consumer", args);
export const { clientEndpoints, health } = cluster;
export const certificate = cluster.issueClientCertificate("app").certificatePem;
`;

/** The strictest settings of a consumer; libraries are checked as well, because this package is one. */
const settings = {
  module: "nodenext",
  moduleResolution: "nodenext",
  target: "es2023",
  types: ["node"],
  typeRoots: [join(modules, "@types")],
  strict: true,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
};

function node(...args: readonly string[]): { status: number | null; said: string } {
  const outcome = spawnSync(process.execPath, args, { cwd: scratch, encoding: "utf8" });
  return { status: outcome.status, said: outcome.stdout + outcome.stderr };
}

describe("the packed component", () => {
  before(() => {
    const packed = execFileSync(
      "npm",
      ["pack", "--silent", "--pack-destination", scratch, join(repository, "components")],
      { encoding: "utf8" },
    );
    mkdirSync(own, { recursive: true });
    const tarball = join(scratch, packed.trim().split("\n").at(-1) ?? "");
    execFileSync("tar", ["-xzf", tarball, "-C", own, "--strip-components=1"]);
    for (const name of ["@pulumi", "zod"]) {
      symlinkSync(join(modules, name), join(scratch, "node_modules", name));
    }
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });

  test("it has these files and no others", () => {
    const files = execFileSync("find", [".", "-type", "f", "-printf", "%P\n"], {
      cwd: own,
      encoding: "utf8",
    });
    const list = `${files.trim().split("\n").sort().join("\n")}\n`;
    if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(golden, list);
    assert.equal(list, readFileSync(golden, "utf8"));
  });

  test("a strict TypeScript project compiles with it", () => {
    writeFileSync(join(scratch, "consumer.ts"), consumer);
    writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify({ compilerOptions: settings }));
    assert.deepEqual(node(join(modules, "typescript/lib/tsc.js"), "-p", scratch), {
      status: 0,
      said: "",
    });
  });

  test("it is imported by CommonJS and by ES modules, and importing it does nothing", () => {
    const names = ["Egress", "EtcdCluster", "MemberRole", "RecoveryMode"];
    const look = `
      const required = require("etcd-cluster");
      import("etcd-cluster").then((imported) => {
        console.log(JSON.stringify([Object.keys(required), typeof imported.EtcdCluster]));
      });`;
    const { status, said } = node("-e", look);
    assert.equal(status, 0, said);
    const [found, kind] = JSON.parse(said) as [string[], string];
    assert.deepEqual([found.sort(), kind], [names, "function"]);
  });

  test("what machines run is inside: nothing outside of the package and its peers is read", () => {
    const look = `
      const { agentArtifact, machineScript } = require(${JSON.stringify(join(own, "dist/machineFiles.js"))});
      require("etcd-cluster");
      console.log(JSON.stringify([agentArtifact().path, machineScript("boot.sh"), machineScript("bastion.sh")]));`;
    const allowed = [scratch, modules].map((folder) => `--allow-fs-read=${folder}`);
    const { status, said } = node("--permission", "--no-warnings", ...allowed, "-e", look);
    assert.equal(status, 0, said);
    assert.deepEqual(JSON.parse(said), [
      join(own, "dist/agent.tar.gz"),
      readFileSync(join(repository, "scripts/boot.sh"), "utf8"),
      readFileSync(join(repository, "scripts/bastion.sh"), "utf8"),
    ]);
  });
});
