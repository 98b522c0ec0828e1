import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { runApp } from "./run.ts";

/** Of the release that this bundle is part of. */
const version = readFileSync(join(dirname(process.argv[1] ?? ""), "../VERSION"), "utf8").trim();

const ending = new AbortController();
process.once("SIGTERM", () => {
  ending.abort();
});
runApp(
  // systemd's LoadCredential: a folder that nobody but this unit sees.
  process.env["CREDENTIALS_DIRECTORY"] ?? "",
  version,
  (line) => {
    console.error(line);
  },
  ending.signal,
).then(
  () => {
    process.exit(0);
  },
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
