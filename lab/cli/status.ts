import { execa } from "execa";
import { join } from "node:path";
import { frontEndpoint } from "../paths.ts";
import { repository } from "../toolchain/engine.ts";

/** A failure whose reason is on the terminal already. */
export class AlreadySaid extends Error {}

/**
 * Runs one of the operator's scripts in the lab's environment and returns what it printed.
 *
 * @throws AlreadySaid when the script fails: it has said why
 */
export async function operator(
  name: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<string> {
  const { stdout, exitCode } = await execa(
    "node",
    [join(repository, "scripts", "operator", `${name}.ts`), ...args],
    {
      cwd: repository,
      env: { ...environment, NODE_NO_WARNINGS: "1" },
      stderr: "inherit",
      stdin: "ignore",
      reject: false,
    },
  );
  if (exitCode !== 0) throw new AlreadySaid(`${name}.ts failed`);
  return stdout;
}

/** The members' table for people. */
export function statusTable(environment: Record<string, string>): Promise<string> {
  return operator("status", [], environment);
}

/** What the lab knows of its machines and disks, by the ids that AWS would know them by. */
interface Observed {
  readonly machines: Readonly<
    Partial<Record<string, { readonly leaderPid?: number; readonly rootFolder?: string }>>
  >;
  readonly disks: Readonly<Partial<Record<string, { readonly file: string }>>>;
}

/**
 * The operator's status with what only the lab can know of each member added under `lab`: the container's
 * first process, its root folder, the file behind its disk.
 */
export async function statusJson(environment: Record<string, string>): Promise<string> {
  const status = JSON.parse(await operator("status", ["--json"], environment)) as {
    members: { instanceId: string; volumeId: string }[];
  };
  const response = await fetch(`${frontEndpoint}/_lab/world`);
  const { observed } = (await response.json()) as { observed: Observed };
  const members = status.members.map((member) => {
    const machine = observed.machines[member.instanceId];
    const lab = {
      pid: machine?.leaderPid,
      rootFolder: machine?.rootFolder,
      diskFile: observed.disks[member.volumeId]?.file,
    };
    return { ...member, lab };
  });
  return JSON.stringify({ ...status, members }, null, 2);
}
