import { spawn } from "node:child_process";

/** What a program did. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without a shell, bounded in time. Never throws for its exit code; a program that was killed has -1. */
export async function run(
  file: string,
  args: readonly string[],
  options: { readonly timeoutSeconds?: number } = {},
): Promise<Ran> {
  const child = spawn(file, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: (options.timeoutSeconds ?? 30) * 1000,
    killSignal: "SIGKILL",
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      });
    });
  });
}

/** As `run`, but anything else than exit code 0 is an error with what the program said. */
export async function must(
  file: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const ran = await run(file, args, options);
  if (ran.code !== 0) {
    const said = ran.stderr.trim().slice(0, 500);
    const what = `${file} ${args[0] ?? ""}`.trim();
    throw new Error(`${what} ended with ${ran.code}${said === "" ? "" : `: ${said}`}`);
  }
  return ran.stdout;
}
