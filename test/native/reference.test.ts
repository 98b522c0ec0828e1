import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { repository } from "../../lab/toolchain/engine.ts";

test("docs/reference and the README's settings are what the code says", () => {
  const outcome = spawnSync(process.execPath, ["scripts/build/reference.mjs", "--check"], {
    cwd: repository,
    encoding: "utf8",
  });
  assert.deepEqual([outcome.status, outcome.stderr], [0, ""]);
});
