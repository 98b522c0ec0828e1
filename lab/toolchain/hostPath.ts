import { cache, labBin } from "../paths.ts";

/** The folders of PATH without the lab's own, so that the shell of `make env` finds the same tools as any other. */
export function hostPath(path = process.env["PATH"] ?? ""): string[] {
  return path
    .split(":")
    .filter((folder) => folder !== "" && folder !== labBin && !folder.startsWith(`${cache}/`));
}
