import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { make, run, shellBlocks, source } from "./support.ts";

/** The README's shell blocks, in one shell, as a reader would paste them. */

before(async () => {
  await make("down");
});

after(async () => {
  await make("down");
});

test("the README's commands work in the order in which they stand", async (t) => {
  const blocks = shellBlocks(source("README.md"));
  assert.ok(blocks.length >= 4, `${blocks.length} blocks found`);
  const folder = mkdtempSync(join(tmpdir(), "etcd-readme-"));
  const script = join(folder, "readme.sh");
  writeFileSync(script, ["set -euo pipefail", "set -x", ...blocks].join("\n"));
  try {
    const outcome = await run("bash", [script], { timeoutSeconds: 900 });
    assert.equal(outcome.code, 0, `${outcome.stdout.slice(-6000)}\n${outcome.stderr.slice(-6000)}`);
    t.diagnostic(`${blocks.length} blocks in ${outcome.seconds.toFixed(0)} s`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
