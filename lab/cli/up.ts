import { execa } from "execa";
import { ensureImage } from "../image/image.ts";
import { ensureMoto } from "../toolchain/moto.ts";
import { repository } from "../toolchain/engine.ts";
import type { Log } from "../toolchain/progress.ts";
import { ensureDaemon } from "./daemon.ts";
import { ensureEnvironment } from "./environment.ts";
import { takeLock } from "./lock.ts";
import { Stages } from "./stages.ts";
import { statusTable } from "./status.ts";

/** What a user would type next. */
function nextCommands(stack: string): string {
  const suffix = stack === "dev" ? "" : ` STACK=${stack}`;
  return [
    "Next:",
    `  make etcdctl${suffix} ARGS="put greeting hello"     any etcdctl command, on a member`,
    `  make status${suffix}                                the table above, again`,
    `  make verify${suffix}                                prove once more that every member is healthy`,
    `  make ssh${suffix} MEMBER=m1                         a shell on a member, through the bastion`,
    `  make logs${suffix} MEMBER=m1                        its journal`,
    `  eval "$(make -s env${suffix})"; pulumi preview      plain Pulumi against the lab`,
    `  make down${suffix}                                  destroy everything`,
  ].join("\n");
}

/** `make up`: everything from nothing to a verified cluster. */
export async function up(stack: string, log: Log): Promise<void> {
  const release = takeLock(`make up STACK=${stack}`);
  const interrupted = (): void => {
    log(
      "\nInterrupted. Nothing is lost: `make up` goes on from here, `make down` removes everything.",
    );
    release();
    process.exit(130);
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    const stages = new Stages(log);
    const environment = await stages.run("toolchain and machine image", async () => {
      // The image waits for the network, the toolchain for the processor: together they take little more than the longer one.
      const [ready] = await Promise.all([
        ensureEnvironment(stack, log),
        ensureMoto(log),
        ensureImage({ log }),
      ]);
      return ready;
    });
    await stages.run("the lab", () => ensureDaemon(environment));
    await stages.run(`pulumi up (${stack})`, async () => {
      const result = await execa("pulumi", ["up", "--yes", "--skip-preview", "--color", "never"], {
        cwd: repository,
        env: environment,
        stdout: ["pipe", "inherit"],
        stderr: ["pipe", "inherit"],
        stdin: "ignore",
        reject: false,
      });
      if (result.exitCode !== 0) {
        throw new Error(
          "pulumi up failed; what it said is above. Fix the cause and run `make up` again: it goes on where it stopped. " +
            "After a kill, `node scripts/operator/recover-state.ts` (in the shell of `make env`) releases the state first.",
        );
      }
    });
    const table = await stages.run("status", () => statusTable(environment));
    log(`\n${table}\n\nWhere the time went:\n${stages.table()}\n\n${nextCommands(stack)}`);
  } finally {
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
    release();
  }
}
