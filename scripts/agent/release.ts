import { spawn } from "node:child_process";
import { realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { z } from "zod";

import { fetchArtifact } from "./artifacts";
import { desiredText, type Machine } from "./machine";
import { paths } from "./paths";
import { say } from "./say";

/**
 * Which agent this is, and how a newer one takes its place. A desired state is brought about by the agent that it names: it may say
 * things that an older agent has never heard of.
 */

const named = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });

/** All that an agent must understand of another's desired state, for as long as there are agents. */
const releaseSchema = z.object({
  schema: z.literal(1),
  artifacts: z.object({ node: named, agent: named }),
});

/** Where the links to the agent and its runtime lead now; another answer than before means that another agent was installed. */
export async function installedRelease(): Promise<string> {
  const links = ["agent", "node"].map((name) => join(paths.base, name));
  const places = await Promise.all(
    links.map(async (link) => {
      try {
        return await realpath(link);
      } catch {
        return "";
      }
    }),
  );
  return places.join(" ");
}

/** Hash of the running agent, by the folder it lies in; undefined where it was not installed that way. */
async function ownSha256(): Promise<string | undefined> {
  const folder = basename(dirname(await realpath(process.argv[1] ?? "")));
  return /^[0-9a-f]{64}$/.test(folder) ? folder : undefined;
}

/**
 * Runs the same command with the agent that a desired state names, if that is another one. Returns its exit code, or undefined when
 * this is the one. Nothing is installed by it but two folders in the store.
 */
export async function withNamedAgent(
  machine: Machine,
  sha256: string,
): Promise<number | undefined> {
  const own = await ownSha256();
  if (own === undefined) {
    return undefined;
  }
  const text = await desiredText(machine, sha256);
  const { node, agent } = releaseSchema.parse(JSON.parse(text)).artifacts;
  if (agent.sha256 === own) {
    return undefined;
  }
  say(`goes on as the agent ${agent.sha256.slice(0, 12)}, which the desired state names`);
  await fetchArtifact(machine, node.sha256, ["--strip-components=1"]);
  await fetchArtifact(machine, agent.sha256, []);
  const child = spawn(
    join(paths.store, node.sha256, "bin", "node"),
    [...process.execArgv, join(paths.store, agent.sha256, "agent.js"), ...process.argv.slice(2)],
    { stdio: "inherit" },
  );
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      resolve(code ?? 1);
    });
  });
}
