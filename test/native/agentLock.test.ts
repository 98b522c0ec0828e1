import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The agent's own lock, among real processes. */
describe("the lock of a machine's agent processes", () => {
  const scratch = mkdtempSync(join(tmpdir(), "etcd-agent-lock-"));
  const code = join(scratch, "process.cjs");
  const file = join(scratch, "run", "lock");
  const journal = join(scratch, "journal");
  const processes: ChildProcess[] = [];

  before(() => {
    buildSync({
      stdin: {
        contents: `
          import { appendFileSync } from "node:fs";
          import { setTimeout as sleep } from "node:timers/promises";
          import { withLock } from "./scripts/agent/lock";
          const [file = "", journal = "", seconds = "1"] = process.argv.slice(2);
          void withLock(async () => {
            appendFileSync(journal, process.pid + "\\n");
            process.stdout.write("held\\n");
            await new Promise((resolve) => process.stdin.once("data", resolve));
            // Long enough for all others to come in, if they could.
            await sleep(300);
            appendFileSync(journal, process.pid + "\\n");
          }, Number(seconds), file).then(
            () => process.exit(0),
            (error) => { process.stdout.write(error.message + "\\n"); process.exit(1); },
          );`,
        resolveDir: repository,
        loader: "ts",
      },
      bundle: true,
      platform: "node",
      format: "cjs",
      outfile: code,
    });
  });
  after(() => {
    for (const each of processes) each.kill("SIGKILL");
    rmSync(scratch, { recursive: true });
  });

  /** A process that takes the lock, says so, and keeps it until it is written to. */
  function taker(seconds: number): ChildProcess & { firstLine: Promise<string> } {
    const child = spawn(process.execPath, [code, file, journal, String(seconds)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    processes.push(child);
    const firstLine = once(child.stdout, "data").then(([text]) => String(text).trim());
    return Object.assign(child, { firstLine });
  }

  const free = (): boolean => spawnSync("flock", ["--nonblock", file, "true"]).status === 0;

  it("is held by one at a time, and everybody's turn comes", async () => {
    const all = [taker(30), taker(30), taker(30), taker(30)];
    for (const each of all) each.stdin?.write("go on\n");
    await Promise.all(all.map((each) => once(each, "exit")));
    assert.deepEqual(
      all.map(({ exitCode }) => exitCode),
      [0, 0, 0, 0],
    );
    const names = readFileSync(journal, "utf8").trim().split("\n");
    const turns = names.filter((_, at) => at % 2 === 0);
    assert.equal(new Set(turns).size, all.length);
    // Who came in went out before the next one came in.
    assert.deepEqual(
      names,
      turns.flatMap((name) => [name, name]),
    );
    assert.equal(free(), true);
  });

  it("is not waited for longer than was said", async () => {
    const first = taker(10);
    assert.equal(await first.firstLine, "held");
    const second = taker(1);
    assert.equal(await second.firstLine, `another agent process is busy; waited 1 s for ${file}`);
    assert.equal(free(), false);
    first.stdin?.write("go on\n");
    await once(first, "exit");
  });

  it("is free when its holder was killed", async () => {
    const first = taker(10);
    assert.equal(await first.firstLine, "held");
    first.kill("SIGKILL");
    const second = taker(10);
    assert.equal(await second.firstLine, "held");
    second.stdin?.write("go on\n");
    await once(second, "exit");
  });
});
