import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";

import { certificateFiles, settingsFile } from "../app/settings.ts";
import type { Order } from "./order.ts";
import type { Hands } from "./roll.ts";

const run = promisify(execFile);

/** Where everything is on a machine. */
const base = "/opt/web-app";
const releases = join(base, "releases");
/** One folder for each pair of release and settings; which of them runs is one link. */
const deployments = join(base, "deployments");
const current = join(base, "current");
const completed = join(base, "completed");

const unit = "web-app.service";

/** Links that lead through `current`, so that what they lead to changes with it. */
const links: Readonly<Record<string, string>> = {
  [`/etc/systemd/system/${unit}`]: join(current, "release", unit),
  "/etc/nginx/conf.d/web-app.conf": join(current, "release", "nginx.conf"),
};

/** Names a release with its settings, without telling anything about them. */
export function digestOf(release: string, { settings, certificates }: Order): string {
  return createHash("sha256")
    .update(JSON.stringify([basename(release), settings, certificates]))
    .digest("hex");
}

/** This machine. Made for root. */
export function thisMachine(release: string, order: Order): Hands["machine"] {
  return {
    installed: () => (existsSync(completed) ? readFileSync(completed, "utf8") : undefined),
    async install(digest) {
      rmSync(completed, { force: true });
      if (digest === digestOf(release, order)) prepare(digest, release, order);
      point(current, join("deployments", digest));
      for (const [link, target] of Object.entries(links)) point(link, target);
      rmSync("/etc/nginx/sites-enabled/default", { force: true });
      await run("systemctl", ["daemon-reload"]);
      await run("nginx", ["-q", "-t"]);
      await run("systemctl", ["enable", "--quiet", "nginx.service", unit]);
      await run("systemctl", ["restart", unit]);
      // Not a restart: whoever still has a connection keeps it.
      await run("systemctl", ["reload-or-restart", "nginx.service"]);
    },
    async fault() {
      if (!existsSync(current)) return "nothing is installed";
      const version = readFileSync(join(current, "release", "VERSION"), "utf8").trim();
      try {
        const answer = await fetch(`http://127.0.0.1:${order.balancer.port}/readyz`, {
          signal: AbortSignal.timeout(order.settings.requestSeconds * 1000),
          headers: { connection: "close" },
        });
        const body = await answer.text();
        if (!answer.ok) return `status ${answer.status}, ${body.split("\n", 1)[0]?.trim() ?? ""}`;
        const served = answer.headers.get("x-served-by") ?? "";
        return served.endsWith(` ${version}`) ? undefined : `${served} serves, not ${version}`;
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
    complete(digest) {
      writeFileSync(`${completed}.new`, digest);
      renameSync(`${completed}.new`, completed);
    },
    async connections() {
      const { stdout } = await run("ss", [
        ...["-Htn", "state", "established"],
        `( sport = :${order.balancer.port} and src ${order.balancer.address} )`,
      ]);
      return stdout.split("\n").filter((line) => line !== "").length;
    },
    prune() {
      const running = basename(readlinkSync(current));
      const used = basename(readlinkSync(join(current, "release")));
      keepOnly(deployments, running);
      keepOnly(releases, used);
    },
  };
}

function keepOnly(folder: string, kept: string): void {
  for (const name of readdirSync(folder)) {
    if (name !== kept) rmSync(join(folder, name), { recursive: true });
  }
}

/** Settings and certificates are for root; systemd hands them to the app. Only the release is for everybody. */
function prepare(digest: string, release: string, { settings, certificates }: Order): void {
  const folder = join(deployments, digest);
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  const write = (name: string, content: string): void => {
    writeFileSync(join(fresh, name), content, { mode: 0o600 });
  };
  write(settingsFile, JSON.stringify(settings));
  for (const what of ["ca", "certificate", "key"] as const) {
    write(certificateFiles[what], certificates[what]);
  }
  symlinkSync(join("..", "..", "releases", basename(release)), join(fresh, "release"));
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
}

/** Makes a link lead to another place, in one step. */
function point(link: string, target: string): void {
  rmSync(`${link}.new`, { force: true });
  symlinkSync(target, `${link}.new`);
  renameSync(`${link}.new`, link);
}
