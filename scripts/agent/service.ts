import { readFile, rm } from "node:fs/promises";

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

/** Milliseconds for which what systemd said of a process counts, as long as that process is there. */
const trustMs = 30_000;

/**
 * What systemd says about etcd.service, for somebody who asks every few seconds: while the very process that was active lives, there is
 * no news, and asking systemd is the dearest part of a look. Whether it may run (the permit) is nothing that systemd is asked for.
 */
export class ServiceWatch {
  readonly #ask: () => Promise<Service>;
  #last: { readonly service: Service; readonly started: string; readonly at: number } | undefined;

  constructor(ask: () => Promise<Service> = etcdService) {
    this.#ask = ask;
  }

  /** One look. */
  async look(): Promise<Service> {
    const last = this.#last;
    if (
      last !== undefined &&
      performance.now() - last.at < trustMs &&
      (await startOf(last.service.pid)) === last.started
    ) {
      return last.service;
    }
    const service = await this.#ask();
    const started = service.state === "active" ? await startOf(service.pid) : undefined;
    this.#last = started === undefined ? undefined : { service, started, at: performance.now() };
    return service;
  }
}

/** When a process was started, in ticks since the machine's start: with the id, no two are the same. Undefined when it is gone. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  // Behind the name, which may hold anything: state, and 18 numbers later the start. A zombie has ended.
  const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
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
