// Builds components/dist/agent.tar.gz, what machines run as the agent: agent.js, etcd3's proto files beside it, and
// the units. Usage: node scripts/build/agent.mjs [OUTPUT]. JavaScript, because npm runs it with the host's Node.
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
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { tarGz } from "./archive.mjs";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
const require = createRequire(import.meta.url);
const entry = join(repository, "scripts", "agent", "main.ts");
const units = join(repository, "scripts", "systemd");
const output = resolve(process.argv[2] ?? join(repository, "components", "dist", "agent.tar.gz"));

/**
 * etcd3 reads its proto files at load from "../proto" as seen from its own lib/; in the bundle they are beside
 * agent.js, wherever that is. The text must be found: another release of etcd3 may look elsewhere.
 */
const etcd3ProtoBeside = {
  name: "etcd3-proto-beside",
  setup(build) {
    build.onLoad({ filter: /[/\\]etcd3[/\\]lib[/\\]connection-pool\.js$/ }, (file) => {
      const original = "`${__dirname}/../proto/rpc.proto`";
      const source = readFileSync(file.path, "utf8");
      if (!source.includes(original)) {
        return {
          errors: [
            { text: `${file.path} no longer reads ${original}: adapt scripts/build/agent.mjs` },
          ],
        };
      }
      return { contents: source.replace(original, "`${__dirname}/proto/rpc.proto`"), loader: "js" };
    });
  },
};

/** Files of a folder by their name in the archive. */
function filesOf(folder, prefix) {
  return Object.fromEntries(
    readdirSync(folder).map((name) => [`${prefix}/${name}`, readFileSync(join(folder, name))]),
  );
}

async function bundle() {
  const { build } = await import("esbuild");
  const { outputFiles, warnings } = await build({
    absWorkingDir: repository,
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    target: "node24",
    format: "cjs",
    legalComments: "eof",
    logLevel: "warning",
    plugins: [etcd3ProtoBeside],
  });
  if (warnings.length > 0) throw new Error("the bundler warned, see above");
  return outputFiles[0].contents;
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
    "agent.js": await bundle(),
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
