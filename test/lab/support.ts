import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import { frontEndpoint } from "../../lab/paths.ts";

/** The checkout under test. */
export const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** What a command did. Output is kept whole, so that a failed assertion can show it. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/** Runs a program without a shell, bounded in time; never throws for a non-zero exit. */
export async function run(
  file: string,
  args: readonly string[],
  options: {
    env?: Record<string, string>;
    cwd?: string;
    input?: string;
    timeoutSeconds?: number;
  } = {},
): Promise<Outcome> {
  const started = performance.now();
  const settings: Options = {
    cwd: options.cwd ?? repository,
    reject: false,
    input: options.input ?? "",
    timeout: (options.timeoutSeconds ?? 60) * 1000,
    killSignal: "SIGKILL",
    maxBuffer: 256 * 1024 * 1024,
    ...(options.env === undefined ? {} : { env: options.env, extendEnv: true }),
  };
  const result = await execa(file, [...args], settings);
  return {
    code: result.exitCode ?? -1,
    stdout: String(result.stdout ?? ""),
    stderr: String(result.stderr ?? "") + (result.timedOut ? "\n(timed out)" : ""),
    seconds: (performance.now() - started) / 1000,
  };
}

/** As `run`, but a failure is an error that shows everything the command said. */
export async function must(
  file: string,
  args: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<Outcome> {
  const outcome = await run(file, args, options);
  if (outcome.code !== 0) {
    throw new Error(
      `${file} ${args.join(" ")} ended with ${outcome.code} after ${outcome.seconds.toFixed(1)} s\n` +
        `${outcome.stdout}\n${outcome.stderr}`,
    );
  }
  return outcome;
}

/** `make TARGET`, as a person types it. */
export async function make(
  target: string,
  variables: Record<string, string> = {},
  timeoutSeconds = 600,
): Promise<Outcome> {
  const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
  return run("make", ["-s", target, ...assignments], { timeoutSeconds });
}

/** The exports of `make env`, as the shell that evaluates them would see them. */
export async function labEnvironment(stack = "dev"): Promise<Record<string, string>> {
  const { stdout } = await must(
    "bash",
    ["-c", 'set -e; eval "$(make -s env STACK="$1")"; exec env -0', "bash", stack],
    { timeoutSeconds: 300 },
  );
  return Object.fromEntries(
    stdout
      .split("\0")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

/** One row of `make status JSON=1`. */
export interface MemberStatus {
  readonly name: string;
  readonly zone: string;
  readonly address: string;
  readonly instanceId: string;
  readonly volumeId: string;
  readonly memberId: string;
  readonly role: string;
  readonly version: string;
  readonly revision: number;
  readonly health: string;
  readonly lab: { readonly pid: number; readonly rootFolder: string; readonly diskFile: string };
}

/** `make status JSON=1`. */
export async function status(): Promise<MemberStatus[]> {
  const outcome = await make("status", { JSON: "1" }, 120);
  const parsed = JSON.parse(outcome.stdout) as { members: MemberStatus[] };
  return parsed.members;
}

/** The named member of a status; an error that lists what is there when it is not. */
export function memberNamed(members: readonly MemberStatus[], name: string): MemberStatus {
  const found = members.find((member) => member.name === name);
  if (!found) throw new Error(`no member ${name} in ${JSON.stringify(members)}`);
  return found;
}

/** Runs a program inside a machine, entered from outside (all its namespaces), as root. */
export async function inside(
  pid: number,
  argv: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<Outcome> {
  return run(
    "nsenter",
    ["-t", String(pid), "-m", "-u", "-i", "-n", "-p", "-r", "--", ...argv],
    options,
  );
}

/**
 * Polls until the probe returns a value. On time-out the error shows the last thing the probe said.
 * A probe that throws counts as "not yet".
 */
export async function waitFor<T>(
  what: string,
  deadlineSeconds: number,
  probe: () => Promise<T | undefined>,
): Promise<{ value: T; seconds: number }> {
  const started = performance.now();
  let last = "nothing yet";
  for (;;) {
    try {
      const value = await probe();
      const seconds = (performance.now() - started) / 1000;
      if (value !== undefined) return { value, seconds };
      last = "the condition does not hold";
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() - started > deadlineSeconds * 1000) {
      throw new Error(`waited ${deadlineSeconds} s for ${what}; last: ${last}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** A call to the lab's own control interface, which exists only on loopback. */
export async function control(method: "GET" | "POST", path: string): Promise<unknown> {
  const response = await fetch(`${frontEndpoint}/_lab/${path}`, { method });
  if (!response.ok)
    throw new Error(`${method} /_lab/${path}: ${response.status} ${await response.text()}`);
  const text = await response.text();
  return text === "" ? undefined : (JSON.parse(text) as unknown);
}

/**
 * A telling piece of every private key in the stack's decrypted state: base64 that lies inside the
 * secret scalar, so that neither a certificate nor the header that all keys of a curve share contains it.
 */
export function privateKeyPieces(exportedWithSecrets: string): string[] {
  const pieces = new Set<string>();
  for (const match of exportedWithSecrets.matchAll(
    /-----BEGIN (EC |RSA |OPENSSH |)PRIVATE KEY-----(.*?)-----END/gs,
  )) {
    const base64 = (match[2] ?? "").replaceAll(/\\+n|\s/g, "");
    // SEC 1 has the scalar at bytes 7 to 38, PKCS 8 at 36 to 67, OpenSSH in its last third.
    const [from, to] =
      match[1] === "EC "
        ? [12, 48]
        : match[1] === ""
          ? [52, 88]
          : [base64.length - 64, base64.length - 28];
    pieces.add(base64.slice(from, to));
  }
  return [...pieces].filter((piece) => piece.length >= 32);
}

/** The text of a file of the checkout. */
export function source(path: string): string {
  return readFileSync(join(repository, path), "utf8");
}

/**
 * The shell blocks of a page, those marked `sh`, in their order. Blocks marked `console` are for an AWS account and are not run.
 */
export function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
}
