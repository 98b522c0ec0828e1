import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { frontEndpoint, labFile, runFolder } from "../paths.ts";
import { repository } from "../toolchain/engine.ts";

/** Where what the daemon says before it has its own log is kept. */
const output = join(runFolder, "daemon.out.log");

/** The pid of the running daemon, or undefined. */
export function daemonPid(): number | undefined {
  if (!existsSync(labFile)) return undefined;
  const { pid } = JSON.parse(readFileSync(labFile, "utf8")) as { pid: number };
  try {
    process.kill(pid, 0);
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("lab/daemon/main.ts")
      ? pid
      : undefined;
  } catch {
    return undefined;
  }
}

/** The last lines of the daemon's output, for error messages. */
function tail(): string {
  if (!existsSync(output)) return "(it said nothing)";
  return readFileSync(output, "utf8").trimEnd().split("\n").slice(-20).join("\n");
}

/**
 * Starts the lab's daemon unless it runs, detached from this process, and waits until it serves.
 *
 * @throws with the end of the daemon's log when it does not serve within 60 seconds
 */
export async function ensureDaemon(
  environment: Record<string, string>,
  region: string,
): Promise<void> {
  if (daemonPid() !== undefined) return;
  mkdirSync(runFolder, { recursive: true });
  rmSync(labFile, { force: true });
  const file = openSync(output, "w");
  const child = spawn(
    "node",
    ["--disable-warning=ExperimentalWarning", join(repository, "lab", "daemon", "main.ts")],
    {
      cwd: "/",
      env: { ...process.env, ...environment, ETCD_LAB_REGION: region },
      detached: true,
      stdio: ["ignore", file, file],
    },
  );
  child.unref();
  const deadline = performance.now() + 60_000;
  while (!existsSync(labFile)) {
    if (child.exitCode !== null)
      throw new Error(`the lab's daemon ended with ${child.exitCode}:\n${tail()}`);
    if (performance.now() > deadline)
      throw new Error(`the lab's daemon was not ready after 60 s:\n${tail()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Asks the daemon to end; true when it is gone within the time given. */
export async function stopDaemon(seconds: number): Promise<boolean> {
  const pid = daemonPid();
  if (pid === undefined) return true;
  await fetch(`${frontEndpoint}/_lab/shutdown`, {
    method: "POST",
    signal: AbortSignal.timeout(2000),
  }).catch(() => {
    process.kill(pid, "SIGTERM");
  });
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    if (daemonPid() === undefined) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  process.kill(pid, "SIGKILL");
  return false;
}
