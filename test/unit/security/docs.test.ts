import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { withParts } from "#security/controls/table";

const page = join(__dirname, "../../../docs/security.md");

/** Without what prettier does to tables. */
const plain = (text: string): string => text.replace(/ {2,}/g, " ").replace(/-{3,}/g, "---");

it("docs/security.md lists the controls and answers as they are (UPDATE_GOLDEN=1 rewrites it; then prettier)", () => {
  const text = readFileSync(page, "utf8");
  const wanted = withParts(text);
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(page, wanted);
  else expect(plain(text)).toBe(plain(wanted));
});
