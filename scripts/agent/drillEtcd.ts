import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { z } from "zod";

import { gently } from "./backupSnapshot";
import { until } from "./deadline";
import { paths } from "./paths";
import { must } from "./run";

/**
 * An etcd for the restore drill: without a network, its sockets are files in its folder, nothing it writes is synced, and it stands behind
 * everything else of the machine. It ends with the process that started it.
 */

/** Seconds until a restored database of the largest size serves. */
const startSeconds = 300;

/** Seconds for one question; a hash of all keys takes its time. */
const askSeconds = 120;

/** Name of the scratch member. */
export const drillMember = "drill";

/**
 * Its socket. What is restored may have access control on, and then etcd must know who asks: this machine's agent, by its certificate. A
 * client takes the file's name for the server's, and members' certificates bear this one.
 */
const socket = "localhost";

const { clientCa, agentCertificate, agentKey, serverCertificate, serverKey } = paths.pkiFiles;

/** Where it says that its peers would find it. It must have a port; nobody listens there. */
export const drillPeerUrl = "http://127.0.0.1:2380";

/** What a restored etcd answers. */
export interface Restored {
  /** Number of keys at the backup's revision. */
  readonly keys: number;
  /** Hash of all keys at that revision, and up to where the history is compacted. */
  readonly hash: string;
  readonly compactRevision: string;
}

const hashes = z
  .array(
    z.object({
      HashKV: z.object({
        hash: z.int().min(0).default(0),
        compact_revision: z.int().default(0),
      }),
    }),
  )
  .length(1);

/** Starts etcd on a restored data directory, asks it about a revision, and stops it. */
export async function askRestored(
  folder: string,
  dataDirectory: string,
  etcdFolder: string,
  revision: number,
): Promise<Restored> {
  const said: Buffer[] = [];
  const child = start(folder, dataDirectory, etcdFolder);
  child.stderr?.on("data", (chunk: Buffer) => {
    said.push(chunk);
    // The last lines say why it ended.
    if (said.length > 50) said.shift();
  });
  const ended = new Promise<never>((_, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      const reason = Buffer.concat(said).toString().trim().split("\n").slice(-3).join("; ");
      reject(new Error(`etcd ended with ${code ?? signal ?? "?"}: ${reason.slice(-1000)}`));
    });
  });
  try {
    return await Promise.race([ask(folder, etcdFolder, revision), ended]);
  } finally {
    ended.catch(() => undefined);
    await stop(child);
  }
}

async function ask(folder: string, etcdFolder: string, revision: number): Promise<Restored> {
  const etcdctl = async (format: "json" | "fields", ...args: readonly string[]): Promise<string> =>
    must(
      join(etcdFolder, "etcdctl"),
      [
        ...["--endpoints", `unixs://${join(folder, socket)}`],
        ...["--cacert", clientCa, "--cert", agentCertificate, "--key", agentKey],
        ...["--command-timeout", `${askSeconds}s`, "--write-out", format],
        ...args,
      ],
      { timeoutSeconds: askSeconds + 10 },
    );
  await until(startSeconds, async () => etcdctl("json", "endpoint", "status"));
  // Alarms travel in snapshots, and a CORRUPT one would refuse every read.
  await etcdctl("json", "alarm", "disarm");
  const at = String(revision);
  // etcdctl prints a count in this form only.
  const counted = await etcdctl(
    "fields",
    ...["get", "", "--prefix", "--count-only", "--consistency=s", "--rev", at],
  );
  const keys = /^"Count" : (\d+)$/m.exec(counted)?.[1];
  const printed = await etcdctl("json", "endpoint", "hashkv", "--rev", at);
  const [found] = hashes.parse(JSON.parse(printed));
  if (found === undefined || keys === undefined) {
    throw new Error("etcdctl printed no count or no hash");
  }
  const { hash, compact_revision: compacted } = found.HashKV;
  return { keys: Number(keys), hash: String(hash), compactRevision: String(compacted) };
}

function start(folder: string, dataDirectory: string, etcdFolder: string): ChildProcess {
  const [first, ...rest] = gently;
  return spawn(
    first,
    [
      ...[...rest, "unshare", "--net", "--", "setpriv", "--pdeathsig", "KILL", "--"],
      ...[join(etcdFolder, "etcd"), "--name", drillMember, "--data-dir", dataDirectory],
      ...["--listen-client-urls", `unixs://${socket}`],
      ...["--client-cert-auth", "--trusted-ca-file", clientCa],
      ...["--cert-file", serverCertificate, "--key-file", serverKey],
      ...["--advertise-client-urls", "http://127.0.0.1:2379"],
      ...["--listen-peer-urls", "unix://peer.sock", "--initial-advertise-peer-urls", drillPeerUrl],
      ...["--initial-cluster", `${drillMember}=${drillPeerUrl}`],
      ...["--quota-backend-bytes", "-1", "--unsafe-no-fsync", "--log-level", "warn"],
    ],
    { cwd: folder, env: { PATH: process.env["PATH"] }, stdio: ["ignore", "ignore", "pipe"] },
  );
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
    return;
  }
  const exit = once(child, "exit");
  // There is nothing in it that anybody wants.
  child.kill("SIGKILL");
  await exit;
}
