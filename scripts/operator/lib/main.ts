import { parseArgs, type ParseArgsConfig } from "node:util";

/** Runs a script: its return value is the exit code, and a failure is one line on stderr, without a stack trace. */
export async function main(name: string, script: () => Promise<number>): Promise<void> {
  // A reader that has seen enough (`make logs | head`) is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
  });
  try {
    process.exitCode = await script();
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** The script was called wrongly. */
export class UsageError extends Error {}

/** Parses the script's own options; what it does not know is an error that shows how to call it. */
export function options<T extends NonNullable<ParseArgsConfig["options"]>>(
  usage: string,
  definition: T,
  args: readonly string[] = process.argv.slice(2),
) {
  try {
    return parseArgs({ args: [...args], options: definition, strict: true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${reason}\nusage: ${usage}`, { cause: error });
  }
}

/** Reads `--timeout-seconds`: a whole number of seconds, from 1 to `most`. */
export function secondsOf(text: string, most = 9999): number {
  const seconds = Number(text);
  if (!/^[1-9]\d*$/.test(text) || seconds > most) {
    throw new UsageError(`--timeout-seconds ${text}: expected a whole number from 1 to ${most}`);
  }
  return seconds;
}

/**
 * Splits arguments into the script's own options, which come first, and what follows. `--` ends the options explicitly; else
 * the first word that is neither an option of the script nor an option's value does.
 */
export function splitOwn(
  args: readonly string[],
  withValue: readonly string[],
  flags: readonly string[] = [],
): { own: string[]; rest: string[] } {
  let at = 0;
  while (at < args.length) {
    const word = args[at] ?? "";
    if (word === "--") return { own: args.slice(0, at), rest: args.slice(at + 1) };
    if (withValue.includes(word)) at += 2;
    else if (flags.includes(word) || withValue.some((name) => word.startsWith(`${name}=`))) at += 1;
    else break;
  }
  return { own: args.slice(0, at), rest: args.slice(at) };
}
