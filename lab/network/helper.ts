import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createGroup, groupFolders, inGroup } from "../machines/cgroups.ts";

/** A long-running program of the lab that outlives the daemon: a resolver or a proxy. */
export interface HelperOptions {
  argv: readonly string[];
  /** The lab's group it lives in. */
  group: string;
  /** The network namespace it lives in. */
  namespace: string;
  pidFile: string;
  logFile: string;
}

/** The process id of a running helper, whoever started it. */
export function helperPid(options: Pick<HelperOptions, "group" | "pidFile">): number | undefined {
  try {
    const pid = Number(readFileSync(options.pidFile, "utf8"));
    return pid > 0 && inGroup(pid, options.group) ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Starts a helper: its own shell moves it into its group before it becomes the program. */
export async function startHelper(options: HelperOptions): Promise<void> {
  createGroup(options.group);
  const log = openSync(options.logFile, "a", 0o600);
  const joins = groupFolders(options.group).map((folder) => `echo $$ > ${folder}/cgroup.procs`);
  const child = spawn(
    "/bin/sh",
    [
      "-c",
      `set -e; ${joins.join("; ")}; exec "$@"`,
      "helper",
      "nsenter",
      `--net=/run/netns/${options.namespace}`,
      ...options.argv,
    ],
    { detached: true, stdio: ["ignore", log, log], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
  );
  child.unref();
  closeSync(log);
  if (child.pid === undefined) throw new Error(`could not start ${options.argv[0] ?? ""}`);
  writeFileSync(options.pidFile, `${child.pid}`);
  // Until it is in its group it does not count as running, and would be started a second time.
  while (child.exitCode === null && helperPid(options) === undefined) await sleep(2);
}
