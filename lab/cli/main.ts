import { exportsOf, ensureEnvironment } from "./environment.ts";
import { standardError as log } from "../toolchain/progress.ts";
import { AlreadySaid, statusJson, statusTable } from "./status.ts";

const [command = "", ...rest] = process.argv.slice(2);
const stack = process.env["STACK"] ?? "dev";

/** The commands behind the Makefile's targets. */
const commands: Record<string, () => Promise<void>> = {
  up: async () => {
    const { up } = await import("./up.ts");
    await up(stack, log);
  },
  lab: async () => {
    const { lab } = await import("./up.ts");
    await lab(stack, log);
  },
  down: async () => {
    const { down } = await import("./down.ts");
    await down(log);
  },
  env: async () => {
    const { ensureAgent } = await import("../toolchain/agent.ts");
    // A shell is wanted even while the agent's sources are being edited; the message about them is on stderr.
    await ensureAgent().catch(() => undefined);
    process.stdout.write(`${exportsOf(await ensureEnvironment(stack, log))}\n`);
  },
  status: async () => {
    const environment = await ensureEnvironment(stack, log);
    const text = process.env["JSON"]
      ? await statusJson(environment)
      : await statusTable(environment);
    process.stdout.write(`${text}\n`);
  },
  operator: async () => {
    const environment = await ensureEnvironment(stack, log);
    const { runOperator } = await import("./operator.ts");
    process.exitCode = await runOperator(rest, environment);
  },
  fault: async () => {
    const { fault, wishOf } = await import("./fault.ts");
    await fault(await ensureEnvironment(stack, log), wishOf(process.env), log);
  },
  clean: async () => {
    const { clean } = await import("./clean.ts");
    clean(log);
  },
};

function say(error: unknown): void {
  log(`\n${command}: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof Error && error.cause instanceof Error)
    log(`because: ${error.cause.message}`);
}

const chosen = commands[command];
if (chosen === undefined) {
  log(`usage: main.ts ${Object.keys(commands).join(" | ")}`);
  process.exitCode = 2;
} else {
  try {
    await chosen();
  } catch (error) {
    if (!(error instanceof AlreadySaid)) say(error);
    process.exitCode = 1;
  }
}
