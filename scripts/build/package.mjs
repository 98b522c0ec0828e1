// Builds components/dist, all that `npm pack` puts into the package: the compiled component with its types, and beside it what machines
// run. `npm pack` runs it (prepack). JavaScript, because npm runs it with the host's Node.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
const components = join(repository, "components");
const dist = join(components, "dist");

function node(...args) {
  // stdout is npm's: `npm pack --json` is read by programs.
  execFileSync(process.execPath, args, { cwd: repository, stdio: ["ignore", 2, "inherit"] });
}

try {
  mkdirSync(dist, { recursive: true });
  // What was compiled from a source that is gone. The agent stays: a `pulumi up` may be reading it.
  for (const name of readdirSync(dist)) {
    if (!name.startsWith("agent.tar.gz")) rmSync(join(dist, name), { recursive: true });
  }
  node(join(repository, "scripts", "build", "agent.mjs"));
  const tsc = createRequire(import.meta.url).resolve("typescript/lib/tsc.js");
  node(tsc, "-p", components);
  for (const name of ["boot.sh", "bastion.sh"]) {
    copyFileSync(join(repository, "scripts", name), join(dist, name));
  }
} catch (error) {
  console.error(`package: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
