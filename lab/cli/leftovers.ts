import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { cache, labState } from "../paths.ts";

/** A process as /proc shows it. */
export interface ProcessFacts {
  readonly pid: number;
  /** The program's file. */
  readonly executable: string;
  readonly arguments: readonly string[];
  readonly environment: readonly string[];
}

/**
 * Whether a process belongs to a Pulumi run against this lab: the engine, its language host, a provider or
 * the program. The environment alone does not tell: it is the same in the shell of `make env` and in all that is
 * started from there.
 */
export function isOfPulumi(facts: ProcessFacts, state: string, cacheFolder: string): boolean {
  if (!facts.environment.includes(`ETCD_LAB_STATE=${state}`)) return false;
  if (/\/pulumi(-language-nodejs)?$/.test(facts.executable)) return true;
  const ofEngine = facts.executable.startsWith(`${cacheFolder}/engine-`);
  return (
    ofEngine &&
    facts.arguments.some(
      (argument) =>
        argument.includes("/lab/providers/") || argument.includes("@pulumi/pulumi/cmd/run"),
    )
  );
}

function factsOf(pid: number): ProcessFacts | undefined {
  const words = (name: string): string[] =>
    readFileSync(`/proc/${pid}/${name}`, "utf8").split("\0").slice(0, -1);
  try {
    return {
      pid,
      executable: readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, ""),
      arguments: words("cmdline"),
      environment: words("environ"),
    };
  } catch {
    // Gone meanwhile, a kernel thread, or another user's.
    return undefined;
  }
}

function pulumiFacts(): ProcessFacts[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => factsOf(Number(name)))
    .filter((facts) => facts !== undefined)
    .filter((facts) => isOfPulumi(facts, labState, cache));
}

function pulumiProcesses(): number[] {
  return pulumiFacts().map(({ pid }) => pid);
}

/** An engine that is changing this lab's stack right now, started by whomever: the state is its own until it ends. */
export function engineAtWork(): number | undefined {
  return pulumiFacts().find(
    ({ executable, arguments: words }) =>
      executable.endsWith("/pulumi") &&
      words.some((word) => ["up", "update", "destroy", "refresh", "import"].includes(word)),
  )?.pid;
}

/**
 * Ends what a killed `pulumi up` has left: an engine that is killed outright cannot end its providers, and
 * they would go on creating what they were asked to. Returns how many there were.
 */
export async function endLeftoverPulumi(): Promise<number> {
  const found = pulumiProcesses();
  for (const pid of found) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Gone meanwhile.
    }
  }
  for (let attempt = 0; attempt < 40 && pulumiProcesses().length > 0; attempt += 1) await sleep(50);
  return found.length;
}
