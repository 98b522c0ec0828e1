import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "./frontSupport.ts";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const state = mkdtempSync(join(tmpdir(), "etcd-cluster-daemon-"));
let port = 0;
const endpoint = () => `http://127.0.0.1:${port}`;

async function isFree(candidate: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => {
      resolve(false);
    });
    server.listen(candidate, "127.0.0.1", () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

before(async () => {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  port = (server.address() as AddressInfo).port;
  await new Promise((resolve) => server.close(resolve));
});
const children: ChildProcess[] = [];
after(() => {
  // A failed assertion must not leave a daemon behind, which would keep this process alive.
  for (const child of children) child.kill("SIGKILL");
  rmSync(state, { recursive: true, force: true });
});

/** Written when the daemon is ready; a killed daemon leaves it. */
const labFile = join(state, "run", "lab.json");

/** Starts the daemon as a person would, and waits until it is ready. */
async function start(): Promise<{ child: ChildProcess; ended: Promise<number | null> }> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(repository, "lab", "daemon", "main.ts")],
    {
      env: {
        ...process.env,
        ETCD_LAB_STATE: state,
        ETCD_LAB_PORT: String(port),
        ETCD_LAB_RECORDS_ONLY: "1",
      },
      stdio: "ignore",
    },
  );
  children.push(child);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await eventually(() => (existsSync(labFile) ? true : undefined), 60);
  return { child, ended };
}

const get = async (path: string): Promise<unknown> => (await fetch(endpoint() + path)).json();
const post = (path: string) => fetch(endpoint() + path, { method: "POST" });

test("the daemon says when it is ready, answers the lab's own calls, and ends when asked", async () => {
  const { child, ended } = await start();
  const ready = JSON.parse(readFileSync(labFile, "utf8")) as Record<string, unknown>;
  assert.equal(ready["pid"], child.pid);
  assert.equal(ready["endpoint"], endpoint());
  assert.deepEqual(await get("/_lab/machines"), []);
  const cut = await post("/_lab/zones/eu-central-1a/cut");
  assert.deepEqual(await cut.json(), { zone: "eu-central-1a", cut: true });
  assert.equal((await post("/_lab/machines/i-0123/kill")).status, 404);
  assert.equal((await fetch(`${endpoint()}/_lab/nothing`)).status, 404);
  const unsigned = await fetch(`${endpoint()}/bucket/key`);
  assert.equal(unsigned.status, 403);
  const calls = (await get("/_lab/calls")) as { caller: string; allowed: boolean }[];
  assert.deepEqual(
    calls.map(({ caller, allowed }) => [caller, allowed]),
    [["unidentified", false]],
  );
  assert.equal((await post("/_lab/shutdown")).status, 200);
  assert.equal(await ended, 0);
  assert.equal(existsSync(labFile), false);
  assert.equal(await isFree(port), true);
  assert.equal(await isFree(port + 1), true, "moto is gone too");
});

test("SIGTERM ends it as well; two on the same port are refused", async () => {
  const { child, ended } = await start();
  const second = spawn(process.execPath, [join(repository, "lab", "daemon", "main.ts")], {
    env: {
      ...process.env,
      ETCD_LAB_STATE: join(state, "other"),
      ETCD_LAB_PORT: String(port),
      ETCD_LAB_RECORDS_ONLY: "1",
    },
    stdio: "ignore",
  });
  children.push(second);
  const code = await new Promise<number | null>((resolve) => second.once("exit", resolve));
  assert.notEqual(code, 0);
  assert.equal(existsSync(labFile), true);
  child.kill("SIGTERM");
  assert.equal(await ended, 0);
  assert.equal(await isFree(port + 1), true);
});

test("moto does not outlive a daemon that is killed", async () => {
  const { child, ended } = await start();
  child.kill("SIGKILL");
  await ended;
  await eventually(async () => ((await isFree(port + 1)) ? true : undefined));
});
