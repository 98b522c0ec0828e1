import assert from "node:assert/strict";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { must, repository } from "../../lab/support.ts";

/** The part of a package.json that counts here. */
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** Folders of Pulumi projects: the examples, and programs that only tests have. */
export const exampleFolder = join(repository, "examples");
export const programFolder = join(repository, "test", "examples", "programs");

function projects(): string[] {
  return [exampleFolder, programFolder]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .filter((folder) => existsSync(join(folder, "package.json")));
}

function dependenciesOf(folder: string): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
  return { ...manifest.dependencies, ...manifest.devDependencies };
}

/** What all projects together depend on: they name the same versions, which is checked here. */
function allDependencies(): Record<string, string> {
  const all: Record<string, string> = {};
  for (const folder of projects()) {
    for (const [name, version] of Object.entries(dependenciesOf(folder))) {
      assert.equal(all[name] ?? version, version, `${folder} has another version of ${name}`);
      all[name] = version;
    }
  }
  return all;
}

/** `npm pack` of the component into a folder; the tarball's path. */
export async function pack(folder: string): Promise<string> {
  const packed = await must(
    "npm",
    ["pack", "--silent", "--pack-destination", folder, join(repository, "components")],
    { timeoutSeconds: 120 },
  );
  return join(folder, packed.stdout.trim().split("\n").at(-1) ?? "");
}

/**
 * A folder outside the checkout with node_modules for all projects, in which `etcd-cluster` comes from the packed component and everything
 * else from npm's cache or the registry. EXAMPLES_FOLDER names one to share: it is filled once.
 */
export async function outside(): Promise<string> {
  const shared = process.env["EXAMPLES_FOLDER"];
  const folder = shared ?? mkdtempSync(join(tmpdir(), "etcd-examples-"));
  if (shared === undefined) {
    process.once("exit", () => {
      rmSync(folder, { recursive: true, force: true });
    });
  }
  mkdirSync(folder, { recursive: true });
  const installed = join(folder, "installed");
  if (existsSync(installed)) return folder;
  const tarball = await pack(folder);
  const dependencies = { ...allDependencies(), "etcd-cluster": `file:${basename(tarball)}` };
  writeFileSync(
    join(folder, "package.json"),
    JSON.stringify({ name: "outside", private: true, dependencies }),
  );
  await must(
    "npm",
    ["install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"],
    { cwd: folder, timeoutSeconds: 300 },
  );
  writeFileSync(installed, "");
  return folder;
}

/** A copy of a project in such a folder, as somebody would have it who never saw the checkout. */
export async function copyOut(project: string): Promise<string> {
  const folder = join(await outside(), basename(project));
  cpSync(project, folder, {
    recursive: true,
    filter: (path) => basename(path) !== "node_modules",
  });
  return folder;
}
