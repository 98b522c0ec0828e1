import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { shellBlocks, source } from "../lab/support.ts";
import { example } from "./harness/example.ts";

/** The README's lesson, word for word. */
example("single-node", async (stack) => {
  const blocks = shellBlocks(source("examples/single-node/README.md"));
  assert.equal(blocks.length, 2);
  const { stdout } = await stack.shell(blocks.join("\n"));
  assert.match(stdout, /^active$/m);
  assert.match(stdout, /\bstarted\b.*\bm1\b.*https:\/\//);
  assert.match(stdout, /^OK\ngreeting\nhello\nOK$/m);
  assert.match(stdout, /"Version" : 2/);
  assert.match(stdout, /granted with TTL\(60s\)/);
  assert.match(stdout, /^1\n?$/m);
  for (const name of ["key", "known_hosts", "config"]) {
    assert.equal(statSync(join(stack.folder, "access", name)).mode & 0o777, 0o600, name);
  }
  const { health } = await stack.outputs();
  assert.equal((health as unknown[]).length, 1);
});
