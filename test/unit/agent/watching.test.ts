import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { MemberStatus } from "../../../scripts/agent/etcd";
import { Restarts, ServiceWatch, type Service } from "../../../scripts/agent/service";
import { untilNext } from "../../../scripts/agent/watch";

/** What the agent keeps and notices while etcd runs. */

jest.mock("etcd3", () => ({}));

let root: string;
let now: number;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "etcd-watching-"));
  for (const folder of ["var/lib/etcd/data", "run/etcd-cluster"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  now = 0;
  jest.spyOn(performance, "now").mockImplementation(() => now);
});
afterEach(() => {
  jest.restoreAllMocks();
  rmSync(root, { recursive: true });
});

/** Loads a module with the places under a folder of the test's own. */
function load(name: "commit"): typeof import("../../../scripts/agent/commit");
function load(name: "point"): typeof import("../../../scripts/agent/point");
function load(name: string): unknown {
  let loaded: unknown;
  process.env["ETCD_AGENT_ROOT"] = root;
  jest.isolateModules(() => {
    loaded = jest.requireActual(`../../../scripts/agent/${name}`);
  });
  delete process.env["ETCD_AGENT_ROOT"];
  return loaded;
}

describe("the highest commit index", () => {
  const at = (raftIndex: number): MemberStatus =>
    ({ raftIndex: BigInt(raftIndex) }) as unknown as MemberStatus;
  const noted = (): string | undefined => {
    try {
      return readFileSync(join(root, "var/lib/etcd/data/etcd-cluster.commit"), "utf8");
    } catch {
      return undefined;
    }
  };

  it("is what an earlier look saw: what was only just committed may not be on this disk yet", async () => {
    const keeper = new (load("commit").CommitKeeper)();
    await keeper.note(at(10));
    expect(noted()).toBeUndefined();
    now = 3000;
    await keeper.note(at(20));
    expect(noted()).toBeUndefined();
    now = 5000;
    await keeper.note(at(30));
    expect(noted()).toBe("10\n");
    now = 10_000;
    await keeper.note(at(40));
    expect(noted()).toBe("30\n");
  });

  it("never goes down for the same data, and begins anew with other data", async () => {
    const keeper = new (load("commit").CommitKeeper)();
    writeFileSync(join(root, "var/lib/etcd/data/etcd-cluster.commit"), "50\n");
    await keeper.note(at(10));
    now = 5000;
    await keeper.note(at(60));
    expect(noted()).toBe("50\n");
    keeper.forget();
    rmSync(join(root, "var/lib/etcd/data/etcd-cluster.commit"));
    now = 10_000;
    await keeper.note(at(3));
    now = 15_000;
    await keeper.note(at(4));
    expect(noted()).toBe("3\n");
  });
});

it("the intent goes when etcd's log is there, and not before", async () => {
  const drop = load("commit").dropIntent;
  const intent = join(root, "var/lib/etcd/data/etcd-cluster.intent");
  writeFileSync(intent, "{}");
  await drop();
  expect(readFileSync(intent, "utf8")).toBe("{}");
  mkdirSync(join(root, "var/lib/etcd/data/member/wal"), { recursive: true });
  writeFileSync(join(root, "var/lib/etcd/data/member/wal/0.wal"), "");
  await drop();
  expect(() => readFileSync(intent)).toThrow("ENOENT");
});

it("an etcd that ends again and again is told from one that was ended now and then", () => {
  const service = (restarts: number): Service => ({ state: "activating", restarts, pid: 0 });
  const restarts = new Restarts();
  // How often it was before this process began to look is not known.
  expect(restarts.recent(service(7))).toBe(0);
  now = 1000;
  expect(restarts.recent(service(9))).toBe(2);
  now = 2000;
  expect(restarts.recent(service(10))).toBe(3);
  now = 60_000;
  expect(restarts.recent(service(10))).toBe(0);
  // Somebody started it: systemd counts from zero again.
  now = 61_000;
  expect(restarts.recent(service(0))).toBe(0);
  now = 62_000;
  expect(restarts.recent(service(2))).toBe(2);
});

describe("a point at which a test ends the agent", () => {
  let kill: jest.SpyInstance;
  beforeEach(() => {
    kill = jest.spyOn(process, "kill").mockReturnValue(true);
    jest.spyOn(process.stderr, "write").mockReturnValue(true);
  });

  it("does nothing unless it is named, and happens once", () => {
    const here = load("point").point;
    const file = join(root, "run/etcd-cluster/die-at");
    here("attest:put:before");
    writeFileSync(file, "attest:put:after\n");
    here("attest:put:before");
    expect(kill).not.toHaveBeenCalled();
    here("attest:put:after");
    expect(kill).toHaveBeenCalledWith(process.pid, "SIGKILL");
    expect(() => readFileSync(file)).toThrow("ENOENT");
    here("attest:put:after");
    expect(kill).toHaveBeenCalledTimes(1);
  });
});

describe("the next look at the member", () => {
  const minute = 60_000;

  it("comes in every whole minute of the clock, whenever the last one ended", () => {
    const offset = 7000;
    for (const ended of [
      minute,
      minute + 6999,
      minute + 7000,
      minute + 50_000,
      1_700_000_012_345,
    ]) {
      const next = ended + untilNext(ended, offset);
      expect(next % minute).toBe(offset);
      expect(next).toBeGreaterThan(ended);
      expect(next - ended).toBeLessThanOrEqual(minute);
    }
  });
});

describe("what systemd says of etcd", () => {
  let child: ChildProcess;
  beforeEach(() => {
    child = spawn("sleep", ["60"]);
  });
  afterEach(() => {
    child.kill("SIGKILL");
  });

  function watched(service: Partial<Service> = {}): { watch: ServiceWatch; asked: () => number } {
    let asked = 0;
    const watch = new ServiceWatch(() => {
      asked += 1;
      return Promise.resolve({ state: "active", restarts: 0, pid: child.pid ?? 0, ...service });
    });
    return { watch, asked: () => asked };
  }

  it("is not asked for again while the same process lives", async () => {
    const { watch, asked } = watched();
    const first = await watch.look();
    expect(await watch.look()).toEqual(first);
    expect(asked()).toBe(1);
  });

  it("is asked for at once when the process has ended", async () => {
    const { watch, asked } = watched();
    await watch.look();
    child.kill("SIGKILL");
    await once(child, "exit");
    await watch.look();
    expect(asked()).toBe(2);
  });

  it("is asked for again after half a minute", async () => {
    const { watch, asked } = watched();
    await watch.look();
    now = 29_999;
    await watch.look();
    expect(asked()).toBe(1);
    now = 30_000;
    await watch.look();
    expect(asked()).toBe(2);
  });

  it("is asked for every time while etcd is not active", async () => {
    for (const state of ["activating", "deactivating", "failed", "inactive", "unknown"] as const) {
      const { watch, asked } = watched({ state });
      await watch.look();
      await watch.look();
      expect(asked()).toBe(2);
    }
  });

  it("is asked for anew with every process", async () => {
    const services: Service[] = [
      { state: "active", restarts: 0, pid: child.pid ?? 0 },
      { state: "active", restarts: 0, pid: 1 },
    ];
    const watch = new ServiceWatch(() => Promise.resolve(services.shift() as Service));
    expect((await watch.look()).pid).toBe(child.pid);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect((await watch.look()).pid).toBe(1);
  });
});
