import { chmod, mkdir, readdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";

import type { MemberConfig } from "../../components/plan/memberConfig";
import { storage } from "../../components/plan/storage";
import { writeDurably } from "./files";
import type { Machine } from "./machine";
import { paths } from "./paths";
import { must } from "./run";

/** Installs what a desired state names, as boot.sh did the first time: by hash into the store, then one link each. */
export async function installArtifacts(machine: Machine, config: MemberConfig): Promise<void> {
  await fetchArtifacts(machine, config);
  await installAgent(config);
  const { etcd } = config.artifacts;
  await mkdir(join(paths.base, "etcd"), { recursive: true });
  await point(join(paths.base, "etcd", etcd.version), join("..", "store", etcd.sha256));
  await point(join(paths.base, "etcd", "current"), etcd.version);
  await installUnits();
}

/** Fetches everything into the store, and uses nothing of it yet. */
export async function fetchArtifacts(machine: Machine, config: MemberConfig): Promise<void> {
  const { node, agent, etcd } = config.artifacts;
  await fetchArtifact(machine, node.sha256, ["--strip-components=1"]);
  await fetchArtifact(machine, agent.sha256, []);
  await fetchArtifact(machine, etcd.sha256, ["--strip-components=1"]);
}

/** The agent and its runtime alone. A newer agent knows the desired states of older ones; so it comes before its own. */
export async function installAgent({ artifacts }: MemberConfig): Promise<void> {
  await point(join(paths.base, "node"), join("store", artifacts.node.sha256));
  await point(join(paths.base, "agent"), join("store", artifacts.agent.sha256));
}

/** Fetches one artifact into the store, unless it is there; it gets its name only when it is complete. */
export async function fetchArtifact(
  machine: Machine,
  sha256: string,
  unpack: readonly string[],
): Promise<void> {
  const place = join(paths.store, sha256);
  if (existsSync(place)) {
    return;
  }
  const archive = `${place}.tar`;
  const partial = `${place}.partial`;
  await machine.bucket.download(storage.artifact(sha256), sha256, archive);
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  await must("tar", ["-x", "-f", archive, "-C", partial, "--no-same-owner", ...unpack], {
    timeoutSeconds: 120,
  });
  await chmod(partial, 0o755);
  await rename(partial, place);
  await rm(archive, { force: true });
}

async function point(link: string, target: string): Promise<void> {
  await rm(`${link}.new`, { force: true });
  await symlink(target, `${link}.new`);
  await rename(`${link}.new`, link);
}

async function installUnits(): Promise<void> {
  const folder = join(paths.base, "agent", "systemd");
  let changed = false;
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    const options = { mode: 0o644 };
    changed = (await writeDurably(join("/etc/systemd/system", name), text, options)) || changed;
  }
  if (changed) {
    await must("systemctl", ["daemon-reload"]);
  }
}
