import { execa } from "execa";
import { ensureImage } from "../image/image.ts";
import { ensureAgent } from "../toolchain/agent.ts";
import { repository } from "../toolchain/engine.ts";
import { ensureMoto } from "../toolchain/moto.ts";
import type { Log } from "../toolchain/progress.ts";
import { ensureDaemon } from "./daemon.ts";
import { ensureEnvironment, regionOf } from "./environment.ts";
import { engineAtWork } from "./leftovers.ts";
import { takeLock } from "./lock.ts";
import { Stages } from "./stages.ts";
import { statusTable } from "./status.ts";

/** What a user would type next. */
function nextCommands(stack: string): string {
  const suffix = stack === "dev" ? "" : ` STACK=${stack}`;
  const commands: readonly (readonly [string, string])[] = [
    [`make etcdctl${suffix} ARGS="put greeting hello"`, "any etcdctl command, on a member"],
    [`make status${suffix}`, "the table above, again"],
    [`make verify${suffix}`, "prove once more that every member is healthy"],
    [`make ssh${suffix} MEMBER=m1`, "a shell on a member, through the bastion"],
    [`make logs${suffix} MEMBER=m1`, "its journal"],
    [`make fault${suffix} KIND=machine MEMBER=leader`, "kill its machine, and watch it come back"],
    [`eval "$(make -s env${suffix})"; pulumi preview`, "plain Pulumi against the lab"],
    ["make down", "destroy everything"],
  ];
  const width = Math.max(...commands.map(([command]) => command.length));
  return commands.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`).join("\n");
}

/**
 * `pulumi up` with its own output on the terminal. When this process is interrupted it is told once, and
 * waited for: it is letting go of its state. Told twice it would give up, hence a process group of its own, which
 * the terminal's Ctrl-C does not reach.
 */
async function pulumiUp(environment: Record<string, string>, signal: AbortSignal): Promise<void> {
  const other = engineAtWork();
  if (other !== undefined) {
    throw new Error(
      `a pulumi is at work on this lab already (process ${other}), perhaps of a make up that was killed. ` +
        `Wait for it to end, or stop it with: kill -INT ${other}`,
    );
  }
  const child = execa("pulumi", ["up", "--yes", "--skip-preview", "--color", "never"], {
    cwd: repository,
    env: environment,
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    reject: false,
  });
  const tell = (): void => {
    child.kill("SIGINT");
  };
  // An impatient second interruption ends this process at once, which must not leave that one behind.
  const finish = (): void => {
    child.kill("SIGKILL");
  };
  signal.addEventListener("abort", tell, { once: true });
  process.once("exit", finish);
  const { exitCode } = await child;
  process.off("exit", finish);
  signal.throwIfAborted();
  if (exitCode === 0) return;
  throw new Error(
    "pulumi up failed; what it said is above. Fix the cause and run `make up` again: it goes on where it stopped.\n" +
      "If the state is locked or has pending operations (after a kill), first run: make recover ARGS=--apply",
  );
}

/** Runs the stages of a command that changes the lab: alone, and so that an interruption lets the stage under way end. */
async function staged(
  command: string,
  log: Log,
  work: (stages: Stages, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const release = takeLock(command);
  const interruption = new AbortController();
  const interrupted = (): void => {
    if (interruption.signal.aborted) process.exit(130);
    log("\nInterrupted; waiting for what is under way to end (once more: at once).");
    interruption.abort(
      new Error("interrupted. `make up` goes on from here, `make down` removes everything"),
    );
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.on(name, interrupted);
  // Every way out, `process.exit` included, gives the lock back.
  process.once("exit", release);
  try {
    const { signal } = interruption;
    await work(new Stages(log, signal), signal);
  } catch (error) {
    // What an interrupted stage says of its children's deaths is not news.
    interruption.signal.throwIfAborted();
    throw error;
  } finally {
    for (const name of signals) process.off(name, interrupted);
    release();
  }
}

/** The lab itself, without anything in it. */
async function startLab(stack: string, stages: Stages, log: Log): Promise<Record<string, string>> {
  const environment = await stages.run("toolchain and machine image", async () => {
    // The image waits for the network, the toolchain for the processor: together they take little more than the longer one.
    const [ready] = await Promise.all([
      ensureEnvironment(stack, log),
      ensureMoto(log),
      ensureImage({ log }),
      ensureAgent(),
    ]);
    return ready;
  });
  await stages.run("the lab", () => ensureDaemon(environment, regionOf(stack)));
  return environment;
}

/** `make lab`: an empty AWS, for whatever program. */
export async function lab(stack: string, log: Log): Promise<void> {
  await staged("make lab", log, async (stages) => {
    await startLab(stack, stages, log);
    log(
      `${stages.table()}\n\nNext:\n` +
        '  eval "$(make -s env)"   and then, in the folder of any Pulumi project:\n' +
        "  pulumi stack init dev; pulumi up",
    );
  });
}

/** `make up`: everything from nothing to a verified cluster. */
export async function up(stack: string, log: Log): Promise<void> {
  await staged(`make up STACK=${stack}`, log, async (stages, signal) => {
    const environment = await startLab(stack, stages, log);
    await stages.run(`pulumi up (${stack})`, () => pulumiUp(environment, signal));
    const table = await stages.run("status", () => statusTable(environment));
    log(`\n${table}\n\nWhere the time went:\n${stages.table()}\n\nNext:\n${nextCommands(stack)}`);
  });
}
