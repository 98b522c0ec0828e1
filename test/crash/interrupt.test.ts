import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { inventory } from "../../lab/machines/inventory.ts";
import { labEnvironment, make, must, repository, run, status } from "../lab/support.ts";

/**
 * `pulumi up` is killed with SIGKILL again and again, further along each time, and inside a create each time:
 * the kill falls when the engine has announced the create and its provider has been asked. After each kill
 * the operator's script releases the dead lock and deals with the orphans; the next `up` goes on. What
 * stands at the end must be one cluster with nothing twice.
 */
const points: readonly { readonly type: string; readonly occurrence: number }[] = [
  { type: "aws:ec2/vpc:Vpc", occurrence: 1 },
  { type: "aws:kms/key:Key", occurrence: 1 },
  { type: "aws:s3/bucket:Bucket", occurrence: 1 },
  { type: "aws:ec2/subnet:Subnet", occurrence: 2 },
  { type: "aws:ebs/volume:Volume", occurrence: 1 },
  { type: "aws:ec2/networkInterface:NetworkInterface", occurrence: 2 },
  { type: "aws:iam/role:Role", occurrence: 1 },
  { type: "aws:ec2/natGateway:NatGateway", occurrence: 1 },
  { type: "aws:lb/loadBalancer:LoadBalancer", occurrence: 1 },
  { type: "aws:ec2/instance:Instance", occurrence: 1 },
  { type: "aws:ec2/launchTemplate:LaunchTemplate", occurrence: 1 },
  { type: "aws:autoscaling/group:Group", occurrence: 1 },
  { type: "aws:autoscaling/group:Group", occurrence: 2 },
  { type: "command:remote:Command", occurrence: 2 },
  { type: "command:remote:Command", occurrence: 4 },
];

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

/** Starts `pulumi up` and kills it inside the given create. False when it ended before that. */
async function upKilledAt(
  environment: Record<string, string>,
  point: (typeof points)[number],
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "etcd-crash-"));
  const log = join(folder, "events.json");
  const child = spawn("pulumi", ["up", "--yes", "--skip-preview", "--event-log", log], {
    cwd: repository,
    env: { ...process.env, ...environment, PULUMI_DEBUG_COMMANDS: "true" },
    stdio: "ignore",
  });
  const exited = new Promise<void>((resolve) =>
    child.once("exit", () => {
      resolve();
    }),
  );
  const read = follow(log);
  let seen = 0;
  try {
    while (child.exitCode === null && child.signalCode === null) {
      for (const event of read()) {
        const metadata = event.resourcePreEvent?.metadata;
        if (metadata?.type === point.type && metadata.op === "create") seen += 1;
      }
      if (seen >= point.occurrence) {
        child.kill("SIGKILL");
        await exited;
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
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

test("up killed inside a create, at fifteen points, converges to one cluster with nothing twice", async (t) => {
  let kills = 0;
  for (const point of points) {
    const killed = await upKilledAt(environment, point);
    if (!killed) {
      // The create of an earlier, killed run survived as an adopted resource, so this one never came.
      t.diagnostic(`${point.type} ${point.occurrence}: up ended before it`);
      continue;
    }
    kills += 1;
    const recovered = await must("node", ["scripts/operator/recover-state.ts", "--apply"], {
      env: environment,
      timeoutSeconds: 120,
    });
    t.diagnostic(
      `${point.type} ${point.occurrence}: ${recovered.stdout.trim().split("\n").at(-1) ?? ""}`,
    );
  }
  assert.ok(kills >= 12, `only ${kills} kills happened`);
  const final = await run("pulumi", ["up", "--yes", "--skip-preview"], {
    env: environment,
    timeoutSeconds: 600,
  });
  assert.equal(final.code, 0, final.stdout + final.stderr);
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
  assert.equal(
    await upKilledAt(environment, { type: "aws:autoscaling/group:Group", occurrence: 3 }),
    true,
  );
  const down = await make("down", {}, 120);
  assert.equal(down.code, 0, down.stdout + down.stderr);
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
});
