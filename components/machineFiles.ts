import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

import { sha256, type Artifact, type ArtifactSource } from "./plan/artifacts";

/** Whether this is the compiled component, which has all that machines run beside it, or a checkout, which has everything where it is made. */
const compiled = basename(__dirname) === "dist";

/** Reads a script that machines run. */
export function machineScript(name: "boot.sh" | "bastion.sh"): string {
  return readFileSync(
    compiled ? join(__dirname, name) : join(__dirname, "..", "scripts", name),
    "utf8",
  );
}

/** The agent's bundle. In a checkout `npm ci` builds it. */
export function agentArtifact(): Artifact {
  const path = compiled ? join(__dirname, "agent.tar.gz") : join(__dirname, "dist", "agent.tar.gz");
  if (!existsSync(path)) {
    throw new Error(`${path} is missing: the agent was not built. Run \`npm ci\` again`);
  }
  return { kind: "file", path, sha256: sha256(readFileSync(path)) };
}

/** Makes a validated source complete: the hash of a local file is computed where it was not given. */
export function resolveArtifact(source: ArtifactSource): Artifact {
  if (source.path !== undefined) {
    const hash = source.sha256 ?? sha256(readFileSync(source.path));
    return { kind: "file", path: source.path, sha256: hash };
  }
  if (source.url === undefined || source.sha256 === undefined) {
    throw new Error("an artifact without a local file needs its address and its hash");
  }
  return { kind: "url", url: source.url, sha256: source.sha256 };
}
