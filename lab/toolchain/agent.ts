import { join } from "node:path";
import { execa } from "execa";
import { repository } from "./engine.ts";

/**
 * The agent's bundle as its sources are now: `npm ci` has built it once, and whoever edits the agent expects
 * the next `pulumi up` to deliver the edit. Takes a fraction of a second, and writes only what differs.
 */
export async function ensureAgent(): Promise<void> {
  await execa(process.execPath, [join(repository, "scripts", "build", "agent.mjs")], {
    stdout: 2,
    stderr: "inherit",
  });
}
