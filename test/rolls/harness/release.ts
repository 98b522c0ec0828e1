import { appendFileSync, cpSync, mkdirSync, mkdtempSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must, repository } from "../../lab/support.ts";
import { rollsConfig } from "./stack.ts";

/** What is another in a release of the program. */
export interface Differences {
  /** The agent's bundle. */
  readonly agent?: boolean;
  /** What a machine runs when it boots first. */
  readonly bootScript?: boolean;
}

/** What Pulumi needs of a checkout. */
const copied = [
  ...["Pulumi.yaml", "package.json", "tsconfig.json", "tsconfig.base.json"],
  ...["index.ts", "config.ts", "components", "scripts/boot.sh", "scripts/bastion.sh"],
] as const;

/** Another release of the program, as if somebody had pulled it: a folder of its own. Its configuration is this checkout's. */
export async function anotherRelease({ agent, bootScript }: Differences): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-release-"));
  mkdirSync(join(folder, "scripts"));
  for (const name of copied) {
    cpSync(join(repository, name), join(folder, name), { recursive: true });
  }
  for (const path of [join(repository, "node_modules"), rollsConfig]) {
    symlinkSync(path, join(folder, path.slice(repository.length + 1)));
  }
  if (bootScript === true) {
    appendFileSync(join(folder, "scripts", "boot.sh"), "say 'of another release'\n");
  }
  if (agent === true) await changeAgent(folder);
  return folder;
}

/** The same agent with other bytes: only its hash tells it from the one before. */
async function changeAgent(folder: string): Promise<void> {
  const archive = join(folder, "components", "dist", "agent.tar.gz");
  const content = join(folder, "agent");
  mkdirSync(content);
  await must("tar", ["-x", "-f", archive, "-C", content]);
  appendFileSync(join(content, "agent.js"), "\n// Of another release.\n");
  await must("tar", ["-c", "-z", "-f", archive, "-C", content, "."]);
}
