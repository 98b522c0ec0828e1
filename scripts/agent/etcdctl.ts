import type { IncomingMessage } from "node:http";
import { get } from "node:https";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { z } from "zod";

import { ports } from "../../components/plan/ports";
import { agentTls } from "./etcd";
import { paths } from "./paths";
import { must } from "./run";
import type { ClusterVersion, FirstStep } from "./turn";

/** What only etcd's own tool, or its page of versions, say: versions of the cluster; and going down to an older minor. */

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

/** What etcd's page of versions says; the cluster's is `not_decided` while there is none. */
const pageSchema = z.object({ etcdcluster: z.string() });

/** What etcd says of versions. etcd 3.5 knows nothing of its database's, nor of downgrades. */
export function parseClusterVersion(page: string, status: string): ClusterVersion {
  const { etcdcluster: version } = pageSchema.parse(JSON.parse(page));
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    throw new Error(`etcd does not say which version the cluster has, but ${version}`);
  }
  const [only] = statusSchema.parse(JSON.parse(status));
  const { storageVersion, downgradeInfo } = only?.Status ?? {};
  const { enabled, targetVersion } = downgradeInfo ?? {};
  return {
    version,
    storage: /^\d+\.\d+\.\d+$/.test(storageVersion ?? "") ? storageVersion : undefined,
    downgrade: enabled === true ? /^\d+\.\d+/.exec(targetVersion ?? "")?.[0] : undefined,
  };
}

/**
 * Asks this machine's etcd for versions. Not its metrics: there a member that has joined by a snapshot says nothing of the cluster's
 * version until it is started again.
 */
export async function clusterVersion(): Promise<ClusterVersion> {
  const page = await versionPage();
  return parseClusterVersion(page, await etcdctl(["endpoint", "status", "--write-out=json"]));
}

async function versionPage(): Promise<string> {
  const { ca, certificate: cert, key } = await agentTls();
  const options = { host: "127.0.0.1", port: ports.client, path: "/version", ca, cert, key };
  const signal = AbortSignal.timeout(5000);
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ ...options, agent: false, signal }, resolve).once("error", reject);
  });
  return text(response);
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
