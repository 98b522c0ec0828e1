import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { cache } from "../paths.ts";
import type { Log } from "../toolchain/progress.ts";
import { daemonPid } from "./daemon.ts";

/** `make clean`: removes everything that can be built again, and says how much that was. */
export function clean(log: Log): void {
  const pid = daemonPid();
  if (pid !== undefined) {
    throw new Error(
      `the lab is running (process ${pid}) and its machines stand on the image in the cache. Run \`make down\` first`,
    );
  }
  if (!existsSync(cache)) {
    log(`nothing to remove: ${cache} does not exist`);
    return;
  }
  const size = execFileSync("du", ["-sh", cache], { encoding: "utf8" }).split("\t")[0] ?? "";
  rmSync(cache, { recursive: true, force: true });
  log(`removed ${cache}: ${size}`);
}
