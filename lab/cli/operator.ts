import { join } from "node:path";
import { execa } from "execa";
import { repository } from "../toolchain/engine.ts";

/**
 * Splits a line of arguments as a shell would, quotes included, without running one: `ARGS` is data.
 *
 * @throws when a quote is not closed
 */
export function splitArguments(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else if (character === "\\" && quote === '"') word = (word ?? "") + line.charAt((index += 1));
      else word = (word ?? "") + character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (character === "\\") {
      word = (word ?? "") + line.charAt((index += 1));
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (quote !== undefined) throw new Error(`ARGS: the quote ${quote} is not closed in: ${line}`);
  if (word !== undefined) words.push(word);
  return words;
}

/** Becomes one of the operator's scripts, with the terminal's own input and output. Returns its exit code. */
export async function runOperator(
  args: readonly string[],
  environment: Record<string, string>,
): Promise<number> {
  const [name = "", ...rest] = args;
  const given = splitArguments(process.env["ARGS"] ?? "");
  const result = await execa(
    "node",
    [join(repository, "scripts", "operator", `${name}.ts`), ...rest, ...given],
    {
      cwd: repository,
      env: { ...environment, NODE_NO_WARNINGS: "1" },
      stdio: "inherit",
      reject: false,
    },
  );
  return result.exitCode ?? 1;
}
