import { randomBytes } from "node:crypto";

import { define, type AnyResource, type Context } from "../shared/resource.ts";
import type { Problem } from "../shared/schema.ts";
import type { Values } from "../shared/value.ts";
import { commandFields, type CommandInputs } from "./arguments.ts";
import { run, type Output, type Reporter } from "./run.ts";

const loggings = ["stdout", "stderr", "stdoutAndStderr", "none"];

/** command.remote.Command: commands over SSH that run when the resource is created, changed or deleted. */
export const remoteCommand: AnyResource<undefined> = define({
  type: "command:remote:Command",
  fields: commandFields,
  computed: ["stdout", "stderr"],
  normalize: (inputs) => ({ addPreviousOutputInEnv: true, ...inputs }),
  validate,
  unsettles: (changed) => (changed.size > 0 ? ["stdout", "stderr"] : []),
  create: async (inputs, context) => {
    const outputs = await runIf(inputs, inputs.create, undefined, context);
    return { id: `${context.name}${randomBytes(4).toString("hex")}`, outputs: { ...outputs } };
  },
  update: async ({ news, state }, context) => {
    const previous = outputOf(state);
    const outputs = await runIf(news, news.update ?? news.create, previous, context);
    return { ...outputs };
  },
  delete: async (_id, state, context) => {
    // Everything comes from the state: the connection of the time when the command was created, not today's.
    const inputs = state as unknown as CommandInputs;
    await runIf(inputs, inputs.delete, outputOf(state), context);
  },
});

async function runIf(
  inputs: CommandInputs,
  command: string | undefined,
  previous: Output | undefined,
  context: Context<undefined>,
): Promise<Output> {
  if (command === undefined) {
    return previous ?? { stdout: "", stderr: "" };
  }
  const reporter: Reporter = {
    signal: context.signal,
    progress: (line) => {
      context.progress(line);
    },
    log: (severity, line) => {
      context.log(severity, line);
    },
  };
  return run(inputs, command, previous, reporter);
}

function outputOf(state: Values): Output {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return { stdout: text(state["stdout"]), stderr: text(state["stderr"]) };
}

function validate(inputs: Values): Problem[] {
  const logging = inputs["logging"];
  return typeof logging === "string" && !loggings.includes(logging)
    ? [{ path: "logging", reason: `logging must be one of ${loggings.join(", ")}` }]
    : [];
}
