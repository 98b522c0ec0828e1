import { rm } from "node:fs/promises";

import { writeDurably } from "./files";
import { paths } from "./paths";
import { must, run } from "./run";

/** etcd as systemd sees it. It starts only with the permit, which lives in memory: a reboot takes it away. */

/** What the unit is doing. */
export type ServiceState =
  "active" | "activating" | "deactivating" | "failed" | "inactive" | "unknown";

/** State of etcd.service. */
export async function etcdState(): Promise<ServiceState> {
  const { stdout } = await run("systemctl", [
    "show",
    "-p",
    "ActiveState",
    "--value",
    "etcd.service",
  ]);
  const state = stdout.trim();
  switch (state) {
    case "active":
    case "activating":
    case "deactivating":
    case "failed":
    case "inactive":
      return state;
    default:
      return "unknown";
  }
}

/**
 * Lets etcd start, or start anew with other settings. Does not wait: the first member of a cluster is ready only when a second one
 * is.
 */
export async function startEtcd(): Promise<void> {
  await writeDurably(paths.permit, "");
  await must("systemctl", ["restart", "--no-block", "etcd.service"]);
}

/** Stops etcd and starts it with other settings; returns when it is part of its cluster again, or throws when that takes too long. */
export async function restartEtcd(): Promise<void> {
  await must("systemctl", ["restart", "etcd.service"], { timeoutSeconds: 120 });
}

/** Takes the permit away and stops etcd; returns when the process is gone. */
export async function stopEtcd(): Promise<void> {
  await rm(paths.permit, { force: true });
  await must("systemctl", ["stop", "etcd.service"], { timeoutSeconds: 60 });
}
