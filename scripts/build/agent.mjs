// Builds components/dist/agent.tar.gz, what machines run as the agent: agent.js with its pieces, etcd3's proto
// files, and the units. Usage: node scripts/build/agent.mjs [OUTPUT]. JavaScript, because npm runs it with the host's Node.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { tarGz } from "./archive.mjs";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
const require = createRequire(import.meta.url);
const entry = join(repository, "scripts", "agent", "main.ts");
const units = join(repository, "scripts", "systemd");
const output = resolve(process.argv[2] ?? join(repository, "components", "dist", "agent.tar.gz"));

/** Where the pieces of the bundle lie beside agent.js. etcd3 reads its proto files at load from "../proto", seen from there. */
const pieces = "lib";

/** In an ES module CommonJS code, of which etcd3 is made, misses these. */
const commonJs = [
  'import { createRequire } from "node:module";',
  "const require = createRequire(import.meta.url);",
  "const __dirname = import.meta.dirname;",
].join("\n");

/** Files of a folder by their name in the archive. */
function filesOf(folder, prefix) {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [`${prefix}/${name}`, readFileSync(join(folder, name))]),
  );
}

/**
 * The agent's code by file name: one piece for each thing that is loaded when it is used. Of libraries their ES modules are taken, where
 * they have them, because only of those is left out what is not used: of EC2's client that is nine tenths.
 */
async function bundle() {
  const { build } = await import("esbuild");
  const { outputFiles, warnings } = await build({
    absWorkingDir: repository,
    entryPoints: [entry],
    entryNames: "agent",
    chunkNames: `${pieces}/[hash]`,
    outdir: "/",
    bundle: true,
    splitting: true,
    write: false,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    banner: { js: commonJs },
    legalComments: "eof",
    logLevel: "warning",
  });
  if (warnings.length > 0) throw new Error("the bundler warned, see above");
  return Object.fromEntries(
    outputFiles.map(({ path, contents }) => [relative("/", path), contents]),
  );
}

/** The Node that package-lock.json pins, unless this is it: another one's zlib may compress to other bytes. */
function pinnedNode() {
  try {
    const folder = dirname(require.resolve("node/package.json"));
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const binary = join(folder, "bin", "node");
    return process.version !== `v${version}` && existsSync(binary) ? binary : undefined;
  } catch {
    return undefined;
  }
}

/** Why there is nothing to build from here; the program says later that the bundle is missing. */
function obstacle() {
  if (!existsSync(entry)) return `there is no ${entry}`;
  try {
    require.resolve("esbuild");
    return undefined;
  } catch {
    return "the development dependencies are not installed (esbuild)";
  }
}

async function main() {
  const reason = obstacle();
  if (reason !== undefined) {
    console.error(`agent: not built, because ${reason}`);
    return;
  }
  const node = pinnedNode();
  if (node !== undefined) {
    process.exitCode = spawnSync(node, process.argv.slice(1), { stdio: "inherit" }).status ?? 1;
    return;
  }
  const archive = tarGz({
    "package.json": JSON.stringify({ type: "module" }),
    ...(await bundle()),
    ...filesOf(join(dirname(require.resolve("etcd3/package.json")), "proto"), "proto"),
    ...filesOf(units, "systemd"),
  });
  // In one step, and only when something changed: `pulumi up` may be reading it.
  if (existsSync(output) && readFileSync(output).equals(archive)) return;
  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  writeFileSync(temporary, archive);
  renameSync(temporary, output);
}

try {
  await main();
} catch (error) {
  // The bundler has already shown what is wrong and where.
  console.error(
    `agent: ${error instanceof Error ? error.message.split("\n", 1)[0] : String(error)}`,
  );
  process.exitCode = 1;
}
