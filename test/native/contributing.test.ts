import assert from "node:assert/strict";
import { test } from "node:test";
import { run, shellBlocks, source } from "../lab/support.ts";

/** CONTRIBUTING.md's shell blocks, each as a reader would paste it. They need no lab. */

const blocks = shellBlocks(source("CONTRIBUTING.md"));

test("CONTRIBUTING.md has commands that can be tried", () => {
  assert.ok(blocks.length >= 4, `${blocks.length} blocks found`);
});

for (const block of blocks) {
  test(block.trim(), async () => {
    // Without this a runner inside the runner reports to the outer one, and succeeds whatever happens.
    const env = { NODE_TEST_CONTEXT: "" };
    const { code, stdout, stderr } = await run("bash", ["-euc", block], {
      env,
      timeoutSeconds: 240,
    });
    assert.equal(code, 0, `${stdout}\n${stderr}`);
  });
}
