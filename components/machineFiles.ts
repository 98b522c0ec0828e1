import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { sha256, type Artifact, type ArtifactSource } from "./plan/artifacts";

/** Files that machines run and that come with this package: built ones in dist/, scripts as they are in the repository. */

/** Reads a script. A checkout has it in scripts/; the packed package has the copy that was made when it was packed. */
export function machineScript(name: "boot.sh" | "bastion.sh"): string {
  const places = [join(__dirname, "..", "scripts", name), join(__dirname, "dist", name)];
  const found = places.find((place) => existsSync(place));
  if (found === undefined) {
    throw new Error(`${name} is missing; looked for ${places.join(" and ")}`);
  }
  return readFileSync(found, "utf8");
}

/** The agent's bundle, which `npm ci` builds. */
export function agentArtifact(): Artifact {
  const path = join(__dirname, "dist", "agent.tar.gz");
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
