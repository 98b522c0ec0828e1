import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inventory } from "../../lab/machines/inventory.ts";
import { labEnvironment, make, must, repository, run, status } from "../lab/support.ts";

/**
 * `pulumi up` is killed with SIGKILL again and again, each time when the engine has announced one more create and
 * its provider has been asked for it: every so many creates on the way through the event log, and at the first
 * remote commands. After each kill the operator's script releases the dead lock and deals with the orphans; the next
 * `up` goes on. What stands at the end must be one cluster with nothing twice.
 */
const createsBetweenKills = 12;

/** How often a remote command, while it waits for machines or bootstraps them, is where the kill falls. */
const killsInCommands = 3;

/** The engine's events that this test reads. */
interface EngineEvent {
  readonly resourcePreEvent?: { readonly metadata: { readonly op: string; readonly type: string } };
}

/** Follows an event log that is being written: complete lines since the last call. */
function follow(path: string): () => EngineEvent[] {
  let offset = 0;
  let rest = "";
  return () => {
    let file: number;
    try {
      file = openSync(path, "r");
    } catch {
      return [];
    }
    try {
      const chunk = Buffer.alloc(1 << 20);
      const length = readSync(file, chunk, 0, chunk.length, offset);
      offset += length;
      rest += chunk.toString("utf8", 0, length);
    } finally {
      closeSync(file);
    }
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as EngineEvent);
  };
}

/** The type of the resource inside whose create `pulumi up` was killed, or how it ended when it was not. */
type Ending =
  { readonly killedIn: string } | { readonly code: number | null; readonly output: string };

/** The process of the lab's aws provider under a running engine. */
function awsProviderOf(pulumi: number): number {
  const children = readFileSync(`/proc/${pulumi}/task/${pulumi}/children`, "utf8").trim();
  const pid = children
    .split(" ")
    .map(Number)
    .find((child) =>
      readFileSync(`/proc/${child}/cmdline`, "utf8").includes("/lab/providers/aws/main.ts"),
    );
  assert.ok(pid !== undefined, `the engine ${pulumi} has no aws provider among ${children}`);
  return pid;
}

/** Starts `pulumi up` and kills it, or only its aws provider, inside the first create that the caller picks. */
async function upKilledWhen(
  environment: Record<string, string>,
  isTheMoment: (type: string, createsSoFar: number) => boolean,
  victim: "engine" | "provider" = "engine",
): Promise<Ending> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-crash-"));
  const log = join(folder, "events.json");
  const child = spawn("pulumi", ["up", "--yes", "--skip-preview", "--event-log", log], {
    cwd: repository,
    env: { ...process.env, ...environment, PULUMI_DEBUG_COMMANDS: "true" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  let ended = false;
  const exited = new Promise<number | null>((resolve) => {
    child.once("exit", (code) => {
      ended = true;
      resolve(code);
    });
  });
  const running = () => !ended;
  const read = follow(log);
  let creates = 0;
  try {
    while (running()) {
      for (const event of read()) {
        const metadata = event.resourcePreEvent?.metadata;
        // Components are the engine's own; only a provider can be caught in the middle of something.
        if (metadata?.op !== "create" || !/^(aws|tls|command):/.test(metadata.type)) continue;
        creates += 1;
        if (!isTheMoment(metadata.type, creates)) continue;
        if (victim === "provider") {
          assert.ok(child.pid !== undefined);
          process.kill(awsProviderOf(child.pid), "SIGKILL");
          return { code: await exited, output };
        }
        child.kill("SIGKILL");
        await exited;
        return { killedIn: metadata.type };
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return { code: await exited, output };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let environment: Record<string, string> = {};

before(async () => {
  await make("down");
  await make("up", {}, 1800);
  // Everything installed and running; now only the stack goes, so that each up below starts from records.
  environment = await labEnvironment();
  await must("pulumi", ["destroy", "--yes"], { env: environment, timeoutSeconds: 120 });
});

after(async () => {
  await make("down");
});

test("up killed inside creates all along its event log converges to one cluster with nothing twice", async (t) => {
  const kills: string[] = [];
  let inCommands = 0;
  for (;;) {
    const ending = await upKilledWhen(environment, (type, creates) => {
      if (type.startsWith("command:")) return inCommands < killsInCommands;
      return creates >= createsBetweenKills;
    });
    if (!("killedIn" in ending)) {
      assert.equal(
        ending.code,
        0,
        `the up after ${kills.length} kills failed:\n${ending.output.slice(-4000)}`,
      );
      break;
    }
    kills.push(ending.killedIn);
    if (ending.killedIn.startsWith("command:")) inCommands += 1;
    const recovered = await must("node", ["scripts/operator/recover-state.ts", "--apply"], {
      env: environment,
      timeoutSeconds: 120,
    });
    t.diagnostic(
      `killed in ${ending.killedIn}: ${recovered.stdout.trim().split("\n").at(-1) ?? ""}`,
    );
    assert.ok(kills.length < 40, "no end in sight");
  }
  assert.ok(kills.length >= 12, `only ${kills.length} kills: ${kills.join(" ")}`);
  assert.equal(inCommands, killsInCommands);
  const preview = await run("pulumi", ["preview", "--expect-no-changes"], {
    env: environment,
    timeoutSeconds: 120,
  });
  assert.equal(preview.code, 0, preview.stdout);
  const members = await status();
  assert.deepEqual(
    members.map(({ name, health }) => [name, health]),
    [
      ["m1", "healthy"],
      ["m2", "healthy"],
      ["m3", "healthy"],
    ],
  );
});

test("there is one of everything: what AWS holds is what the state names", async () => {
  const orphans = await must("node", ["scripts/operator/recover-state.ts"], {
    env: environment,
    timeoutSeconds: 120,
  });
  assert.match(orphans.stdout, /no orphans/i);
  const record = await run("make", [
    "-s",
    "etcdctl",
    "ARGS=endpoint status --cluster --write-out=json",
  ]);
  const endpoints = JSON.parse(record.stdout) as { Status: { header: { cluster_id: number } } }[];
  assert.equal(endpoints.length, 3);
  // Ids are 64-bit numbers: compared as text, because a double cannot tell neighbours apart.
  const ids = new Set([...record.stdout.matchAll(/"cluster_id":(\d+)/g)].map(([, id]) => id));
  assert.equal(ids.size, 1);
});

test("down after killed ups leaves nothing", async () => {
  const killed = await make("down", {}, 120);
  assert.equal(killed.code, 0, killed.stdout + killed.stderr);
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
});

test("down after an up killed half-way, with machines booting, leaves nothing", async () => {
  await make("up", {}, 600);
  await must("pulumi", ["destroy", "--yes"], { env: environment, timeoutSeconds: 120 });
  let groups = 0;
  const ending = await upKilledWhen(environment, (type) => {
    if (type === "aws:autoscaling/group:Group") groups += 1;
    return groups === 3;
  });
  assert.deepEqual(ending, { killedIn: "aws:autoscaling/group:Group" });
  const down = await make("down", {}, 120);
  assert.equal(down.code, 0, down.stdout + down.stderr);
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
});

test("down after an up that failed half-way leaves nothing", async () => {
  await make("up", {}, 600);
  await must("pulumi", ["destroy", "--yes"], { env: environment, timeoutSeconds: 120 });
  let groups = 0;
  const failed = await upKilledWhen(
    environment,
    (type) => {
      if (type === "aws:autoscaling/group:Group") groups += 1;
      return groups === 2;
    },
    "provider",
  );
  assert.ok("code" in failed && failed.code !== null && failed.code > 0, JSON.stringify(failed));
  const down = await make("down", {}, 120);
  assert.equal(down.code, 0, down.stdout + down.stderr);
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
});
