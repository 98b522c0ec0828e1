import type { Client, ClientChannel } from "ssh2";

import type { CommandInputs } from "./arguments.ts";
import { dial } from "./dial.ts";
import { askForAnswers, VariableRefused } from "./environment.ts";

/** What a command said. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Where messages go while a command runs. */
export interface Reporter {
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
  readonly log: (severity: "warning" | "error", line: string) => void;
}

/**
 * Runs one command on a connection of its own. It gets no terminal, and neither a time limit nor an interruption: the real provider
 * has none, so a command must bound its own time.
 */
export async function run(
  inputs: CommandInputs,
  command: string,
  previous: Output | undefined,
  reporter: Reporter,
): Promise<Output> {
  const connection = await dial(inputs.connection, {
    signal: reporter.signal,
    report: reporter.progress,
  });
  try {
    const own = inputs.environment ?? {};
    askForAnswers(connection.client, (name) => {
      // The program's own variables must arrive; Pulumi's about the previous output are a courtesy.
      reporter.log(name in own ? "error" : "warning", cannotSet(name));
      return name in own ? new VariableRefused(name) : undefined;
    });
    const env = { ...own, ...previousOutput(inputs, previous) };
    return await start(connection.client, command, env, (channel) =>
      finish(channel, inputs, command, reporter),
    );
  } finally {
    connection.close();
  }
}

function cannotSet(name: string): string {
  return (
    `Unable to set '${name}'. This only works if your SSH server is configured to accept ` +
    "these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, " +
    "prefix the command itself with the variables in the form 'VAR=value command'"
  );
}

function previousOutput(inputs: CommandInputs, previous: Output | undefined) {
  if (previous === undefined || inputs.addPreviousOutputInEnv === false) {
    return {};
  }
  return {
    ...(previous.stdout === "" ? {} : { PULUMI_COMMAND_STDOUT: previous.stdout }),
    ...(previous.stderr === "" ? {} : { PULUMI_COMMAND_STDERR: previous.stderr }),
  };
}

/** Starts the command and follows it from the very moment of the answer: a fast one's exit status comes with the same bytes. */
function start(
  client: Client,
  command: string,
  env: NodeJS.ProcessEnv,
  follow: (channel: ClientChannel) => Promise<Output>,
): Promise<Output> {
  return new Promise((resolve, reject) => {
    const lost = () => {
      reject(new Error("EOF"));
    };
    client.once("close", lost);
    client.exec(command, { env }, (error, channel) => {
      client.removeListener("close", lost);
      if (error === undefined) {
        resolve(follow(channel));
      } else {
        reject(error);
      }
    });
  });
}

function finish(
  channel: ClientChannel,
  inputs: CommandInputs,
  command: string,
  reporter: Reporter,
): Promise<Output> {
  const stdout = collector(logs(inputs, "stdout") ? reporter : undefined);
  const stderr = collector(logs(inputs, "stderr") ? reporter : undefined);
  // One text in the order of arrival, for the error message.
  const both: Buffer[] = [];
  let ending: string | undefined = "wait: remote command exited without exit status or exit signal";
  return new Promise((resolve, reject) => {
    channel.on("data", (chunk: Buffer) => {
      stdout.add(chunk);
      both.push(chunk);
    });
    channel.stderr.on("data", (chunk: Buffer) => {
      stderr.add(chunk);
      both.push(chunk);
    });
    channel.once("exit", (code: number | null, signal?: string) => {
      ending = endingOf(code, signal);
    });
    channel.once("close", () => {
      if (ending === undefined) {
        resolve({ stdout: stdout.trimmed(), stderr: stderr.trimmed() });
      } else {
        const said = Buffer.concat(both).toString();
        reject(new Error(`${ending}: running ${JSON.stringify(command)}:\n${said}`));
      }
    });
    channel.end(inputs.stdin ?? "");
  });
}

/** How a command ended badly, in the words of the real provider; undefined when it ended well. */
function endingOf(code: number | null, signal: string | undefined): string | undefined {
  if (code === 0) {
    return undefined;
  }
  return code === null
    ? `Process exited with status 1 from signal ${(signal ?? "").replace(/^SIG/, "")}`
    : `Process exited with status ${code}`;
}

function logs(inputs: CommandInputs, stream: "stdout" | "stderr"): boolean {
  const wanted = inputs.logging ?? "stdoutAndStderr";
  return wanted === stream || wanted === "stdoutAndStderr";
}

function collector(reporter: Reporter | undefined) {
  const chunks: Buffer[] = [];
  let line = "";
  return {
    add(chunk: Buffer): void {
      chunks.push(chunk);
      const lines = (line + chunk.toString()).split("\n");
      line = lines.pop() ?? "";
      lines.forEach((complete) => reporter?.progress(complete));
    },
    /** Everything, without the newline at the end (one, not all). */
    trimmed: () => Buffer.concat(chunks).toString().replace(/\n$/, ""),
  };
}
