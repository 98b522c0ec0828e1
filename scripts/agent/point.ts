import { readFileSync, rmSync } from "node:fs";

import { paths } from "./paths";

/**
 * Places where a test may end this process, before and after every effect: `<action>:<step>:before` or `…:after`. The file that names
 * one lies under /run, where only root writes, and is gone before the process is, so that it happens once. Without the file,
 * a point costs one failed open.
 */
export function point(name: string): void {
  let wanted: string;
  try {
    wanted = readFileSync(paths.dieAt, "utf8").trim();
  } catch {
    return;
  }
  if (wanted === name) {
    rmSync(paths.dieAt, { force: true });
    process.stderr.write(`ends here, as asked for: ${name}\n`);
    process.kill(process.pid, "SIGKILL");
  }
}

/** One effect between its two points. */
export async function step<T>(name: string, effect: () => Promise<T>): Promise<T> {
  point(`${name}:before`);
  const result = await effect();
  point(`${name}:after`);
  return result;
}
