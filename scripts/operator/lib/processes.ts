import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that belongs to a run of Pulumi in this project. */
export interface PulumiProcess {
  readonly pid: number;
  /** `engine` is the CLI, which holds the stack's lock; a plugin carries out what the engine last asked for. */
  readonly kind: "engine" | "plugin";
  readonly command: string;
}

/** What a command line is of a Pulumi run, or undefined. Plugins are started with the engine's loopback address as an argument. */
export function kindOf(argv: readonly string[]): PulumiProcess["kind"] | undefined {
  const program = basename(argv[0] ?? "");
  if (program === "pulumi") return "engine";
  if (/^pulumi-(resource|language)-/.test(program)) return "plugin";
  const engineAddress = argv.slice(1).some((word) => /^127\.0\.0\.1:\d{2,5}$/.test(word));
  return engineAddress && program === "node" ? "plugin" : undefined;
}

/** Value of a variable in an environment as /proc shows it; undefined when it is not set. */
export function variable(environment: string, name: string): string | undefined {
  const line = environment.split("\0").find((each) => each.startsWith(`${name}=`));
  return line?.slice(name.length + 1);
}

/**
 * Processes of Pulumi that may be working on this project's stacks: their working directory is the project's, and they keep their
 * state where we do. Only of this machine.
 */
export function pulumiProcesses(folder: string): PulumiProcess[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name): PulumiProcess[] => {
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").slice(0, -1);
      const kind = kindOf(argv);
      if (kind === undefined || readlinkSync(`/proc/${name}/cwd`) !== folder) return [];
      const environment = readFileSync(`/proc/${name}/environ`, "utf8");
      if (variable(environment, "PULUMI_BACKEND_URL") !== process.env["PULUMI_BACKEND_URL"]) {
        return [];
      }
      return [{ pid: Number(name), kind, command: argv.slice(0, 3).join(" ") }];
    } catch {
      // Ended meanwhile, or another user's.
      return [];
    }
  });
}

/**
 * Ends plugins whose engine is gone, so that nothing is created any more while we look. What they had already asked AWS for is
 * found there afterwards.
 */
export async function endPlugins(plugins: readonly PulumiProcess[]): Promise<void> {
  const signal = (name: "SIGTERM" | "SIGKILL"): void => {
    for (const { pid } of plugins) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended.
      }
    }
  };
  const alive = (): boolean =>
    plugins.some(({ pid }) => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    });
  signal("SIGTERM");
  for (let waited = 0; waited < 5000 && alive(); waited += 100) await sleep(100);
  signal("SIGKILL");
  // An answer may still be on its way inside AWS.
  await sleep(1000);
}
