import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { cache } from "../paths.ts";
import { exportsOf, ensureEnvironment } from "./environment.ts";

/** Progress goes to stderr, results to stdout, so that `eval "$(make -s env)"` and `make status JSON=1` stay clean. */
const log = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const [command = "", ...rest] = process.argv.slice(2);
const stack = process.env["STACK"] ?? "dev";

/** The commands behind the Makefile's targets. */
const commands: Record<string, () => Promise<void>> = {
  up: async () => {
    const { up } = await import("./up.ts");
    await up(stack, log);
  },
  down: async () => {
    const { down } = await import("./down.ts");
    await down(log);
  },
  env: async () => {
    process.stdout.write(`${exportsOf(await ensureEnvironment(stack, log))}\n`);
  },
  status: async () => {
    const environment = await ensureEnvironment(stack, log);
    const { statusJson, statusTable } = await import("./status.ts");
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
  clean: () => {
    if (!existsSync(cache)) {
      log(`nothing to remove: ${cache} does not exist`);
      return Promise.resolve();
    }
    const size = execFileSync("du", ["-sh", cache], { encoding: "utf8" }).split("\t")[0] ?? "";
    rmSync(cache, { recursive: true, force: true });
    log(`removed ${cache}: ${size}`);
    return Promise.resolve();
  },
};

const chosen = commands[command];
if (chosen === undefined) {
  log(`usage: main.ts ${Object.keys(commands).join(" | ")}`);
  process.exitCode = 2;
} else {
  try {
    await chosen();
  } catch (error) {
    log(`\n${command}: ${error instanceof Error ? error.message : String(error)}`);
    if (error instanceof Error && error.cause instanceof Error)
      log(`because: ${error.cause.message}`);
    process.exitCode = 1;
  }
}
