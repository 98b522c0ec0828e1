import { rm } from "node:fs/promises";

import { writeDurably } from "./files";
import { paths } from "./paths";
import { must, run } from "./run";

/** etcd as systemd sees it. It starts only with the permit, which lives in memory: a reboot takes it away. */

/** What the unit is doing. */
export type ServiceState =
  "active" | "activating" | "deactivating" | "failed" | "inactive" | "unknown";

/** The unit, and its process. */
export interface Service {
  readonly state: ServiceState;
  /** How often systemd has started it again by itself since it was last asked to start. */
  readonly restarts: number;
  /** Process id, 0 without one. */
  readonly pid: number;
}

const states: readonly string[] = [
  "active",
  "activating",
  "deactivating",
  "failed",
  "inactive",
] satisfies ServiceState[];

/** What systemd says about etcd.service. */
export async function etcdService(): Promise<Service> {
  const { stdout } = await run("systemctl", [
    "show",
    "--property=ActiveState,NRestarts,MainPID",
    "etcd.service",
  ]);
  const value = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, "m").exec(stdout)?.[1]?.trim() ?? "";
  const state = value("ActiveState");
  return {
    state: states.includes(state) ? (state as ServiceState) : "unknown",
    restarts: Number(value("NRestarts")) || 0,
    pid: Number(value("MainPID")) || 0,
  };
}

/** How long a look at restarts goes back, in milliseconds. */
const recentMs = 45_000;

/** Tells an etcd that ends again and again from one that was ended now and then. */
export class Restarts {
  #looks: { readonly at: number; readonly restarts: number }[] = [];

  /** How often it was started again in the last while, as far as this process has looked. */
  recent({ restarts }: Service): number {
    const now = performance.now();
    // systemd counts from zero again when somebody starts it.
    const before = this.#looks.filter(
      (look) => look.restarts <= restarts && now - look.at < recentMs,
    );
    this.#looks = [...before, { at: now, restarts }].slice(-200);
    return restarts - (before[0]?.restarts ?? restarts);
  }
}

/** State of etcd.service. */
export async function etcdState(): Promise<ServiceState> {
  return (await etcdService()).state;
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

/** Takes the permit away and stops etcd; returns when the process is gone, and throws when that cannot be told. */
export async function stopEtcd(): Promise<void> {
  await rm(paths.permit, { force: true });
  await must("systemctl", ["stop", "etcd.service"], { timeoutSeconds: 60 });
  const { state, pid } = await etcdService();
  if ((state !== "inactive" && state !== "failed") || pid !== 0) {
    throw new Error(`etcd was stopped, and systemd says that it is ${state}, process ${pid}`);
  }
}
