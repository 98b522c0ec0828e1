import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { pretendVolume } from "./agentMachine.ts";
import { eventually, UpkeepCluster } from "./upkeepCluster.ts";

/** `etcd-agent boot` from the delivered bundle, beside an etcd that is well: what it asks, starts, tells and takes. */

const cluster = new UpkeepCluster("127.81.0", 1, 2 ** 28);
const unit = join(
  dirname(fileURLToPath(import.meta.url)),
  "../../scripts/systemd/agent-boot.service",
);

/** What its unit sets. */
function unitEnvironment(): Record<string, string> {
  const text = /^Environment=(.*)$/m.exec(readFileSync(unit, "utf8"))?.[1] ?? "";
  return Object.fromEntries(
    text.split(" ").map((each) => {
      const [name = "", value = ""] = each.split(/=(.*)/s);
      return [name, value] as const;
    }),
  );
}

describe("etcd-agent boot, once the member is up", { timeout: 240_000 }, () => {
  let agent: ChildProcess | undefined;
  const at = (path: string): string => join(cluster.root("m1"), path);
  const calls = (): string[] => {
    try {
      return readFileSync(at("calls.log"), "utf8").trim().split("\n");
    } catch {
      return [];
    }
  };
  const asked = (): number => calls().filter((line) => line.startsWith("systemctl show")).length;

  /** What systemd would say of etcd. */
  function say(state: string, pid: number): void {
    writeFileSync(at("systemd"), `ActiveState=${state}\nNRestarts=0\nMainPID=${pid}\n`);
  }

  before(async () => {
    await cluster.start();
    mkdirSync(at("bin"));
    writeFileSync(
      at("bin/systemctl"),
      `#!/bin/sh\necho "systemctl $*" >> ${at("calls.log")}\ncase $1 in show) cat ${at("systemd")};; esac\n`,
      { mode: 0o755 },
    );
    mkdirSync(at("run/etcd-cluster"), { recursive: true });
    writeFileSync(at("run/etcd-cluster/permit"), "");
    writeFileSync(at("etc/etcd-cluster/applied"), readFileSync(at("etc/etcd-cluster/approved")));
    pretendVolume(cluster.root("m1"), "vol-00000001");
    say("active", cluster.pidOf("m1"));
    agent = spawn(process.execPath, [cluster.agentProgram, "boot"], {
      env: {
        ...cluster.environment("m1"),
        ...unitEnvironment(),
        PATH: `${at("bin")}:${process.env["PATH"] ?? ""}`,
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    agent.stderr?.resume();
  });
  after(async () => {
    if (agent?.exitCode === null) {
      const exit = once(agent, "exit");
      agent.kill("SIGKILL");
      await exit;
    }
    await cluster.stop();
  });

  const state = (): string => readFileSync(at("run/etcd-cluster/state.json"), "utf8");

  it("says that the member runs, and tells CloudWatch by itself", async () => {
    await eventually(() => {
      assert.match(state(), /"running"/);
      const names = cluster.cloud.calls.at(-1)?.MetricData ?? [];
      assert.equal(names.find(({ MetricName }) => MetricName === "healthy")?.Value, 1);
      return Promise.resolve();
    });
  });

  it("has what is due done by a process of its own", async () => {
    await eventually(() => {
      assert.ok(calls().includes("systemctl start --no-block etcd-upkeep.service"));
      return Promise.resolve();
    });
    assert.deepEqual(cluster.cloud.backups(), []);
  });

  it("asks systemd once, and anew as soon as etcd's process is gone", async () => {
    let recordReads = 0;
    cluster.cloud.asked = (key) => {
      if (key === "control/cluster.json") recordReads += 1;
    };
    // Some rounds later: in every second one the record is read.
    await eventually(() => {
      assert.ok(recordReads >= 2);
      return Promise.resolve();
    });
    const before = asked();
    assert.ok(before <= 3, `${before} times`);
    say("failed", 0);
    await cluster.kill("m1");
    await eventually(() => {
      assert.ok(asked() > before);
      assert.doesNotMatch(state(), /"running"/);
      return Promise.resolve();
    });
  });

  it("is small", (context) => {
    const status = readFileSync(`/proc/${agent?.pid ?? 0}/status`, "utf8");
    const mebibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    context.diagnostic(`${mebibytes.toFixed(1)} MiB resident`);
    assert.ok(mebibytes <= 120, `${mebibytes} MiB`);
  });
});
