import { join } from "node:path";
import { execa } from "execa";
import { cacheEntry, contentKey } from "./cacheEntry.ts";
import { repository } from "./engine.ts";
import type { Log } from "./progress.ts";

const requirements = join(repository, "tools", "moto", "requirements.txt");

/** A virtual environment with moto, exactly as tools/moto/requirements.txt pins it. Returns `moto_server`'s path. */
export async function ensureMoto(log: Log): Promise<string> {
  const { stdout } = await execa("python3", ["--version"]);
  const key = contentKey([{ file: requirements }, stdout]);
  const entry = await cacheEntry("moto", key, log, async (folder, logFile) => {
    const output = {
      stdout: { file: logFile, append: true },
      stderr: { file: logFile, append: true },
    };
    // Packages go into a plain folder rather than a virtual environment, whose scripts would name the build folder.
    await execa(
      "python3",
      [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        join(folder, "site"),
        "--requirement",
        requirements,
      ],
      output,
    );
    await execa("python3", ["-m", "compileall", "-q", join(folder, "site")], {
      ...output,
      reject: false,
    });
  });
  return join(entry, "site");
}
