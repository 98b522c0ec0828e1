import assert from "node:assert/strict";
import { example } from "./harness/example.ts";

/** Ten lines in an empty project: every member was verified when `up` ended, and the cluster keeps what it is given. */
example("minimal", async (stack) => {
  const outputs = await stack.outputs();
  const health = outputs["health"] as { name: string; role: string }[];
  assert.deepEqual(
    health.map(({ name }) => name),
    ["m1", "m2", "m3"],
  );
  assert.equal(health.filter(({ role }) => role === "leader").length, 1);
  assert.equal((outputs["clientEndpoints"] as string[]).length, 3);
  await stack.etcdctl("put", "greeting", "hello");
  assert.equal(await stack.etcdctl("get", "greeting", "--print-value-only"), "hello");
});
