import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { labEnvironment, make, repository, run, shellBlocks, source } from "../lab/support.ts";

/** docs/operations.md as it stands: every runbook's shell blocks, in the page's order, on one cluster. */

const config = join(repository, "Pulumi.dev.yaml");
const tracked = readFileSync(config, "utf8");

/** A heading of the page and the blocks below it. */
interface Runbook {
  readonly title: string;
  readonly blocks: readonly string[];
}

function runbooks(page: string): Runbook[] {
  return page
    .split(/^(?=#{2,3} )/m)
    .map((section) => ({
      title: /^#+ (.*)$/m.exec(section)?.[1] ?? "",
      blocks: shellBlocks(section),
    }))
    .filter(({ blocks }) => blocks.length > 0);
}

const scratch = mkdtempSync(join(tmpdir(), "etcd-runbooks-"));

before(async () => {
  await make("down");
});

after(async () => {
  await make("down");
  // `pulumi config set` writes into the tracked file, as it should for its user.
  writeFileSync(config, tracked);
  rmSync(scratch, { recursive: true });
});

const wanted = [
  "To watch one",
  "Changing a running cluster",
  "Upgrade",
  "Downgrade",
  "Change the instance type, the image, the boot script",
  "Replace a member's machine on purpose",
  "Larger or faster volumes",
  "Grow",
  "Shrink",
  "Restore to a point",
  "Renew certificates",
  "Exchange an authority",
  "Access control",
  "Alarms",
];

const all = runbooks(source("docs/operations.md"));

test("every operation has a runbook with commands", () => {
  assert.deepEqual(
    all.map(({ title }) => title),
    wanted,
  );
});

let broken: string | undefined;
for (const [at, { title, blocks }] of all.entries()) {
  test(title, async (t) => {
    if (broken !== undefined) {
      t.skip(`"${broken}" has left the cluster in another state`);
      return;
    }
    broken = title;
    const script = join(scratch, `${String(at)}.sh`);
    writeFileSync(script, ["set -euo pipefail", "set -x", ...blocks].join("\n"));
    // The first one brings the lab up, by the page's own words.
    const env = at === 0 ? {} : await labEnvironment("dev");
    const outcome = await run("bash", [script], { env, timeoutSeconds: 1200 });
    assert.equal(outcome.code, 0, `${outcome.stdout.slice(-8000)}\n${outcome.stderr.slice(-8000)}`);
    t.diagnostic(`${title}: ${outcome.seconds.toFixed(0)} s`);
    broken = undefined;
  });
}
