import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Pulumi's file backend (`file://…`) replaces a stack's state in one step, but writes a small `.attrs` file beside it in several. A
 * kill in between leaves half of one, and Pulumi then cannot read the state ("failed to load checkpoint: EOF"), which itself is whole.
 * The file only holds a content type and a checksum nobody compares; without it the state is read as it is.
 */

/** Folder of a file backend, or undefined for any other backend. */
export function backendFolder(url: string | undefined): string | undefined {
  if (url?.startsWith("file://") !== true) return undefined;
  const path = url.slice("file://".length).replace(/\?.*$/, "");
  // `file://~` and `file://./x` are Pulumi's own forms.
  if (path.startsWith("/")) return fileURLToPath(`file://${path}`);
  return path.startsWith("~") ? join(process.env["HOME"] ?? "", path.slice(1)) : path;
}

/** Side files below a backend's folder that are no JSON. */
export function brokenSideFiles(folder: string): string[] {
  return readdirSync(join(folder, ".pulumi"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".attrs"))
    .map((name) => join(folder, ".pulumi", name))
    .filter((path) => {
      try {
        JSON.parse(readFileSync(path, "utf8"));
        return false;
      } catch {
        return true;
      }
    });
}

/** Removes side files. */
export function removeSideFiles(paths: readonly string[]): void {
  for (const path of paths) rmSync(path, { force: true });
}
