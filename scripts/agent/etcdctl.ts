import { join } from "node:path";

import { z } from "zod";

import { ports } from "../../components/plan/ports";
import { paths } from "./paths";
import { must } from "./run";
import type { ClusterVersion, FirstStep } from "./turn";

/** What only etcd's own tool, or its metrics, say: versions of the cluster; and going down to an older minor. */

const statusSchema = z
  .array(
    z.object({
      Status: z.object({
        storageVersion: z.string().optional(),
        downgradeInfo: z
          .object({ enabled: z.boolean().optional(), targetVersion: z.string().optional() })
          .optional(),
      }),
    }),
  )
  .length(1);

/** etcdctl and its options to ask the etcd at an address as the agent. Keys are named by their files. */
export function etcdctlAt(address: string): {
  readonly program: string;
  readonly options: string[];
} {
  const { clientCa, agentCertificate, agentKey } = paths.pkiFiles;
  return {
    program: join(paths.etcdFolder, "etcdctl"),
    options: [
      ...["--endpoints", `https://${address}:${ports.client}`],
      ...["--cacert", clientCa, "--cert", agentCertificate, "--key", agentKey],
    ],
  };
}

/** Runs etcdctl against this machine's etcd. */
async function etcdctl(args: readonly string[]): Promise<string> {
  const { program, options } = etcdctlAt("127.0.0.1");
  return must(program, [...options, "--command-timeout=10s", ...args], { timeoutSeconds: 20 });
}

/** The cluster's version in etcd's metrics, for instance `3.6`; undefined when they have none. */
export function versionInMetrics(text: string): string | undefined {
  return /^etcd_cluster_version\{cluster_version="(\d+\.\d+)"\} 1$/m.exec(text)?.[1];
}

/** What etcd says of versions. etcd 3.5 knows nothing of its database's, nor of downgrades. */
export function parseClusterVersion(metrics: string, status: string): ClusterVersion {
  const version = versionInMetrics(metrics);
  if (version === undefined) {
    throw new Error("etcd's metrics do not say which version the cluster has");
  }
  const [only] = statusSchema.parse(JSON.parse(status));
  const { storageVersion, downgradeInfo } = only?.Status ?? {};
  const { enabled, targetVersion } = downgradeInfo ?? {};
  return {
    version: `${version}.0`,
    storage: /^\d+\.\d+\.\d+$/.test(storageVersion ?? "") ? storageVersion : undefined,
    downgrade: enabled === true ? /^\d+\.\d+/.exec(targetVersion ?? "")?.[0] : undefined,
  };
}

/** Asks this machine's etcd for versions. */
export async function clusterVersion(address: string): Promise<ClusterVersion> {
  const response = await fetch(`http://${address}:${ports.metrics}/metrics`, {
    signal: AbortSignal.timeout(5000),
  });
  const metrics = await response.text();
  return parseClusterVersion(metrics, await etcdctl(["endpoint", "status", "--write-out=json"]));
}

/** Tells etcd what it must know before its version changes. It validates a downgrade itself, and refuses what it does not support. */
export async function prepareVersion(first: FirstStep): Promise<void> {
  if (first.kind === "cancelDowngrade") {
    await etcdctl(["downgrade", "cancel"]);
    return;
  }
  await etcdctl(["downgrade", "validate", first.to]);
  await etcdctl(["downgrade", "enable", first.to]);
}
