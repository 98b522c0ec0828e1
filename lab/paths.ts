import { homedir } from "node:os";
import { join } from "node:path";

/** Folder of everything a running lab writes: Pulumi's state, sockets, machines, volumes. `make down` empties it. */
export const labState =
  process.env["ETCD_LAB_STATE"] ??
  join(process.env["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "etcd-cluster-lab");

/** Folder of everything that is only expensive, never precious: toolchain, image, artifacts. `make clean` removes it. */
export const cache = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "etcd-cluster",
);

/** Folder of the lab's `pulumi`, first on PATH in the shell of `make env`. */
export const labBin = join(labState, "bin");

/** Sockets, pid files and logs of the running lab. */
export const runFolder = join(labState, "run");

/** Written by the daemon when it is ready to serve; its absence means that no lab runs. */
export const labFile = join(runFolder, "lab.json");

/** Unix socket on which the front serves the machines' AWS calls (behind the router's TLS). */
export const frontSocket = join(runFolder, "front.sock");

/** Unix socket on which the instance metadata service answers (behind the router's 169.254.169.254). */
export const imdsSocket = join(runFolder, "imds.sock");

/** Unix socket on which Debian's archive is served to machines (behind the router as well). */
export const archiveSocket = join(runFolder, "archive.sock");

/** What machines have fetched of Debian's archive; shared by all labs of this host. */
export const archiveFolder = join(cache, "debian-archive");

/** Loopback port on which the front serves the host: Pulumi's providers and the operator's scripts. */
export const frontPort = Number(process.env["ETCD_LAB_PORT"] ?? 4589);

/** Loopback port of moto, which nobody but the front calls. */
export const motoPort = frontPort + 1;

/** The AWS API as seen from the host. */
export const frontEndpoint = `http://127.0.0.1:${frontPort}`;

/** Credentials of the lab's administrator: a fixed pair, because it opens nothing but this lab. */
export const adminCredentials = {
  accessKeyId: "LABADMIN00000000000",
  secretAccessKey: "lab-admin",
} as const;

/** moto's account, therefore the lab's. */
export const accountId = "123456789012";

/** Addresses of the lab's own services inside every VPC (documentation ranges, so that they can clash with nothing). */
export const addresses = {
  metadata: "169.254.169.254",
  resolver: "169.254.169.253",
  awsApi: "198.51.100.10",
  s3: "198.51.100.11",
  debian: "198.51.100.12",
  // Not a documentation range: hosts may reach something of their own there, which this would cut off.
  elasticIpRange: "198.19.0.0/24",
} as const;
