// Makes a release: `npm run release -- 1.2.3` writes dist/web-app-1.2.3.tar.gz, which `pulumi up` brings to the machines when the
// config's `appVersion` is 1.2.3. The same sources make the same bytes.
import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);

const version = process.argv[2] ?? "";
if (!/^\d+\.\d+\.\d+$/.test(version)) {
  console.error(
    `${JSON.stringify(version)} is no version; say for example: npm run release -- 1.0.0`,
  );
  process.exit(1);
}

const folder = join(here, "dist", `web-app-${version}`);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { app: "machine/app/main.ts", deploy: "machine/deploy/main.ts" },
  // etcd3 looks for its proto files in ../proto, as seen from itself.
  outdir: join(folder, "lib"),
  bundle: true,
  platform: "node",
  // Debian 13's.
  target: "node20",
  format: "cjs",
  legalComments: "eof",
  logLevel: "warning",
});
cpSync(join(dirname(require.resolve("etcd3/package.json")), "proto"), join(folder, "proto"), {
  recursive: true,
});
for (const name of ["nginx.conf", "web-app.service"]) {
  copyFileSync(join(here, "machine", name), join(folder, name));
}
writeFileSync(join(folder, "VERSION"), `${version}\n`);
execFileSync("tar", [
  ...[
    "--sort=name",
    "--mtime=@0",
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--mode=go=rX,u+rw",
  ],
  ...["--use-compress-program=gzip -n", "-cf", `${folder}.tar.gz`, "-C", folder, "."],
]);
rmSync(folder, { recursive: true });
console.log(`dist/web-app-${version}.tar.gz`);
