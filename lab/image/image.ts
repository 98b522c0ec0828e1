import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cache } from "../paths.ts";
import { aptMirror } from "./mirror.ts";
import { architecture, files, imageKey, packages, sealScript, suite } from "./recipe.ts";

/** Debian's archive keys as Debian 12 and 13 ship them; both hold the keys of trixie. */
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** How to build the image, and whom to tell. */
export interface ImageOptions {
  log: (line: string) => void;
  /** Folder that holds all images; the cache's by default. */
  folder?: string;
}

/** The image's root folder for the current recipe, whether it has been built or not. */
export function imageFolder(folder = join(cache, "image")): string {
  return join(folder, imageKey());
}

/**
 * Builds the machine image unless the cache has it, and returns its root folder. The tree appears under its
 * final name only when complete; two builders at the same time both build, and the first one wins.
 */
export async function ensureImage(options: ImageOptions): Promise<string> {
  const parent = options.folder ?? join(cache, "image");
  const image = imageFolder(parent);
  if (existsSync(image)) return image;
  mkdirSync(parent, { recursive: true, mode: 0o755 });
  removeAbandoned(parent);
  const building = join(parent, `.building-${imageKey()}-${process.pid}`);
  const started = performance.now();
  options.log(`building the machine image (Debian ${suite}), a few minutes, 0.5 GB`);
  try {
    await bootstrap(building, options.log);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(building, path)), { recursive: true });
      writeFileSync(join(building, path), text);
    }
    await execa("chroot", [building, "/bin/sh", "-c", sealScript], {
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8" },
      extendEnv: false,
    });
    try {
      renameSync(building, image);
    } catch (error) {
      if (!existsSync(image)) throw error;
    }
  } finally {
    rmSync(building, { recursive: true, force: true });
  }
  options.log(`machine image ready after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  return image;
}

/**
 * debootstrap in a mount namespace of its own: what it mounts inside the tree goes away with it, so that a
 * killed build can be removed without reaching the host's /proc and /sys.
 */
async function bootstrap(target: string, log: (line: string) => void): Promise<void> {
  if (!existsSync(keyring)) {
    throw new Error(`${keyring} is missing: install the package debian-archive-keyring`);
  }
  const mirror = await aptMirror();
  const child = execa(
    "unshare",
    [
      "--mount",
      "--propagation",
      "private",
      "debootstrap",
      "--variant=minbase",
      `--arch=${architecture}`,
      `--keyring=${keyring}`,
      `--include=${packages.join(",")}`,
      suite,
      target,
      ...(mirror.url === undefined ? [] : [mirror.url]),
    ],
    {
      env: mirror.proxy === undefined ? {} : { http_proxy: mirror.proxy },
      stdin: "ignore",
      all: true,
      buffer: false,
      reject: false,
    },
  );
  const recent: string[] = [];
  let count = 0;
  for await (const line of child.iterable({ from: "all" })) {
    recent.push(line);
    if (recent.length > 20) recent.shift();
    // One line in forty is enough to see that it moves.
    if (/^I: (Retrieving|Extracting|Configuring)/.test(line) && count++ % 40 === 0)
      log(line.slice(3));
  }
  const { exitCode } = await child;
  if (exitCode === 0) return;
  throw new Error(
    `debootstrap of ${suite} from ${mirror.url ?? "its default mirror"} ended with ${exitCode ?? "a signal"}:\n${recent.join("\n")}\n` +
      `If a signature could not be verified, install a newer debian-archive-keyring.`,
  );
}

/** Removes trees whose builder no longer lives. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = /^\.building-[0-9a-f]+-(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) {
      rmSync(join(parent, name), { recursive: true, force: true });
    }
  }
}
