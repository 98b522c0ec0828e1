import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ensureImage } from "../../lab/image/image.ts";
import { joinLab } from "../../lab/machines/clean.ts";
import { inventory } from "../../lab/machines/inventory.ts";
import { Reconciler } from "../../lab/machines/reconcile.ts";
import { smallWorld } from "./machinesWorld.ts";
import { repository, run, waitFor } from "./support.ts";

/** What a daemon leaves that is killed at the worst moment, and that cleaning takes all of it away. */
const name = "c";
process.env["ETCD_LAB_NAME"] = name;
const state = process.env["ETCD_LAB_CRASH_STATE"] ?? mkdtempSync(join(tmpdir(), "ecl-crash-"));
const isDaemon = process.env["ETCD_LAB_CRASH_STATE"] !== undefined;

/** The daemon to be killed: this same file, run by itself. */
async function daemon(): Promise<void> {
  joinLab();
  const places = {
    frontSocket: join(state, "front.sock"),
    imdsSocket: join(state, "imds.sock"),
    archiveSocket: join(state, "archive.sock"),
  };
  const image = await ensureImage({ log: () => undefined });
  const lab = new Reconciler({ state, image, ...places }, () => undefined);
  const world = smallWorld();
  world.disks.push({
    id: "vol-1",
    sizeGiB: 1,
    attachedTo: { machineId: "i-member", device: "/dev/sdf" },
  });
  for (;;) {
    await lab.apply(world);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Starts a daemon and kills it with SIGKILL as soon as a condition holds. */
async function killedWhen(what: string, holds: () => boolean): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename], {
    env: { ...process.env, ETCD_LAB_CRASH_STATE: state },
    stdio: "inherit",
  });
  const end = once(child, "exit");
  await waitFor(what, 30, () => Promise.resolve(holds() || undefined));
  child.kill("SIGKILL");
  await end;
}

async function cleanUp(): Promise<string> {
  const outcome = await run(process.execPath, ["lab/machines/clean.ts"], {
    cwd: repository,
    env: { ETCD_LAB_NAME: name, ETCD_LAB_STATE: state },
  });
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stdout;
}

function assertNothingLeft(): void {
  for (const [kind, things] of Object.entries(inventory())) assert.deepEqual(things, [], kind);
}

if (isDaemon) {
  await daemon();
} else {
  before(cleanUp);
  after(async () => {
    await cleanUp();
    rmSync(state, { recursive: true, force: true });
  });

  test("killed with machines mid-boot: the machines live on, cleaning removes all, a second finds nothing", async (t) => {
    await killedWhen("a machine's first process", () =>
      inventory().processes.some(({ command }) => command.includes("systemd-nspawn")),
    );
    const left = inventory();
    assert.ok(left.processes.length > 0 && left.namespaces.length === 3, JSON.stringify(left));
    const started = performance.now();
    assert.match(await cleanUp(), /the lab is gone/);
    t.diagnostic(`cleaned in ${(performance.now() - started).toFixed(0)} ms`);
    assertNothingLeft();
    assert.match(await cleanUp(), /no lab on this host/);
    assertNothingLeft();
  });

  test("killed with a volume attached: the loop device goes too", async () => {
    await killedWhen("the volume's loop device", () => inventory().loops.length > 0);
    assert.equal(inventory().loops.length, 1);
    await cleanUp();
    assertNothingLeft();
  });
}
