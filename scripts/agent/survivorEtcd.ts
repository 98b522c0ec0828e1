import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import { join } from "node:path";

import { Refusal, until } from "./deadline";

/**
 * An etcd that applies what is in a copied log, and does nothing else: it has no network, its sockets are files in its folder, and it
 * waits so long before it would stand for election that it proposes nothing of its own (no lease expires, no version is raised).
 */

/** Time for reading the log and applying its entries; etcd applies tens of thousands a second. */
const replaySeconds = 900;

/** What the process needs. */
export interface ReplayOptions {
  /** Data directory of the copy. */
  readonly dataDirectory: string;
  /** Folder for the sockets; the process runs there. */
  readonly folder: string;
  /** Where the etcd program is. */
  readonly etcdFolder: string;
  /** The entry that must be applied. */
  readonly index: bigint;
}

/** Starts etcd on the copy with `--force-new-cluster`, waits until all of the log is in the database, and stops it. */
export async function replay(options: ReplayOptions): Promise<void> {
  const said: Buffer[] = [];
  const child = start(options);
  child.stderr?.on("data", (chunk: Buffer) => {
    said.push(chunk);
    // The last lines say why it failed; a long log of a long replay is of no use.
    if (said.length > 50) said.shift();
  });
  let ended: Error | undefined;
  child.on("error", (error) => {
    ended = error;
  });
  child.on("exit", (code, signal) => {
    ended = new Error(`etcd ended with ${code ?? signal ?? "?"}: ${lastWords(said)}`);
  });
  try {
    await until(replaySeconds, async () => {
      if (ended !== undefined) {
        throw new Refusal(ended.message);
      }
      const index = await appliedIndex(join(options.folder, "metrics.sock"));
      if (index < options.index) {
        throw new Error(`etcd has applied ${index} of ${options.index} entries`);
      }
    });
  } finally {
    await stop(child);
  }
}

/** Why etcd ended: what it says in its own format, or the head of a panic; the stack behind that explains nothing. */
function lastWords(said: readonly Buffer[]): string {
  const lines = Buffer.concat(said).toString().trim().split("\n");
  const telling = lines.filter((line) => /^panic: |"level":"(error|panic|fatal)"/.test(line));
  return (telling.length > 0 ? telling : lines).slice(-2).join("; ").slice(0, 1000);
}

function start(options: ReplayOptions): ChildProcess {
  const own = "unix://";
  return spawn(
    "unshare",
    [
      // Without this, an agent that is killed would leave it running on the copy.
      ...["--net", "--", "setpriv", "--pdeathsig", "KILL", "--"],
      ...[join(options.etcdFolder, "etcd"), "--name", "survivor"],
      ...["--data-dir", options.dataDirectory, "--force-new-cluster", "--log-level", "warn"],
      ...["--listen-client-urls", `${own}client.sock`],
      ...["--advertise-client-urls", "http://127.0.0.1:2379"],
      ...["--listen-peer-urls", `${own}peer.sock`],
      // These must have ports. Nobody listens there.
      ...["--initial-advertise-peer-urls", "http://127.0.0.1:2380"],
      ...["--listen-metrics-urls", `${own}metrics.sock`],
      ...["--initial-cluster", "survivor=http://127.0.0.1:2380"],
      ...["--election-timeout", "50000", "--heartbeat-interval", "5000"],
      "--initial-election-tick-advance=false",
      // Not the place to raise an alarm about a quota.
      ...["--quota-backend-bytes", "-1"],
    ],
    {
      cwd: options.folder,
      env: { PATH: process.env["PATH"] },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
  await exit;
  clearTimeout(late);
}

/** Index of the last entry that etcd has applied, as its metrics say. */
async function appliedIndex(socketPath: string): Promise<bigint> {
  const text = await new Promise<string>((resolve, reject) => {
    const call = request({ socketPath, path: "/metrics", timeout: 5000 }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => (body += chunk));
      answer.on("end", () => {
        resolve(body);
      });
    });
    call.on("timeout", () => call.destroy(new Error("etcd does not answer")));
    call.on("error", reject);
    call.end();
  });
  const value = /^etcd_server_proposals_applied_total (\S+)$/m.exec(text)?.[1];
  const index = Number(value);
  return Number.isFinite(index) ? BigInt(Math.trunc(index)) : 0n;
}
