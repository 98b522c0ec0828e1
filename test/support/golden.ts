import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Compares a rendered text with the file that shows how it should be. `UPDATE_GOLDEN=1 npx jest` writes the files anew; what changed
 * is then for the reviewer to read in the diff.
 */
export function expectGolden(folder: string, name: string, actual: string): void {
  const path = join(folder, "golden", name);
  if (process.env["UPDATE_GOLDEN"] === "1") {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, actual);
  }
  if (!existsSync(path)) {
    throw new Error(`${path} does not exist; UPDATE_GOLDEN=1 npx jest writes it`);
  }
  expect(actual).toBe(readFileSync(path, "utf8"));
}
