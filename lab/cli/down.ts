import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { execa } from "execa";
import { clean } from "../machines/clean.ts";
import { labState } from "../paths.ts";
import { repository } from "../toolchain/engine.ts";
import type { Log } from "../toolchain/progress.ts";
import { daemonPid, stopDaemon } from "./daemon.ts";
import { ensureEnvironment } from "./environment.ts";
import { endLeftoverPulumi } from "./leftovers.ts";
import { takeLock } from "./lock.ts";
import { ownProject, stateFile } from "./stackConfig.ts";
import { Stages } from "./stages.ts";

/** Names of this project's stacks that the lab's backend holds. Those of other projects have their program elsewhere, and go with the lab. */
function stacksInState(): string[] {
  const folder = dirname(stateFile({ project: ownProject, stack: "any" }));
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => name.slice(0, -".json".length));
}

/**
 * `make down`: `pulumi destroy` as long as it has something to talk to and does not take too long, then
 * everything of the lab goes, in whatever state it is: the lab is only a lab.
 */
export async function down(log: Log): Promise<void> {
  const release = takeLock("make down");
  try {
    const stages = new Stages(log);
    const left = await endLeftoverPulumi();
    if (left > 0) log(`   ended ${left} processes of an earlier pulumi run`);
    if (daemonPid() !== undefined) {
      for (const stack of stacksInState()) {
        await stages.run(`pulumi destroy (${stack})`, () => destroy(stack, log));
      }
    }
    await stages.run("the lab", async () => {
      if (!(await stopDaemon(10))) log("   the daemon did not end by itself and was killed");
      // Once more, for what was started by others than this process meanwhile.
      await endLeftoverPulumi();
      await clean();
      rmSync(labState, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    });
    log(stages.table());
  } finally {
    release();
  }
}

async function destroy(stack: string, log: Log): Promise<void> {
  const environment = await ensureEnvironment(stack, log);
  // Whoever held the state's lock is gone: this process has made sure of that.
  await execa("pulumi", ["cancel", "--yes"], {
    cwd: repository,
    env: environment,
    stdin: "ignore",
    reject: false,
  });
  const result = await execa(
    "pulumi",
    ["destroy", "--yes", "--skip-preview", "--color", "never", "--suppress-progress"],
    {
      cwd: repository,
      env: environment,
      stdin: "ignore",
      timeout: 35_000,
      reject: false,
      all: true,
    },
  );
  if (result.exitCode === 0) return;
  const reason = result.timedOut
    ? "took longer than 35 s"
    : (result.all.trim().split("\n").at(-1) ?? "");
  log(`   destroy did not finish (${reason}); the lab is removed as a whole instead`);
}
