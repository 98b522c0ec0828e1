// Puts the table of alarms into docs/operations.md, and makes docs/prometheus-rules.yml of it. Usage: node scripts/build/alarms.mjs.
// A unit test compares.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { format } from "prettier";

const repository = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
const page = join(repository, "docs", "operations.md");
const { outputFiles } = await build({
  absWorkingDir: repository,
  entryPoints: ["components/plan/alarmDocs.ts"],
  bundle: true,
  write: false,
  platform: "node",
  format: "esm",
});
const code = Buffer.from(outputFiles[0].contents).toString("base64");
const { exampleRules, withAlarmDocs } = await import(`data:text/javascript;base64,${code}`);
writeFileSync(join(repository, "docs", "prometheus-rules.yml"), exampleRules());
const text = withAlarmDocs(readFileSync(page, "utf8"));
writeFileSync(page, await format(text, { parser: "markdown", printWidth: 100 }));
