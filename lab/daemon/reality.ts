import type { Observed, World } from "../world.ts";

/** Makes a world real. `machines/reconcile.ts` does it with machines; the one here does it on paper. */
export interface Reality {
  apply(world: World): Promise<Observed>;
  destroyAll(): Promise<void>;
}

/**
 * For quick tests of everything that only talks to the API: every machine that should run runs, and every target is healthy. It needs
 * neither root nor an image.
 */
export class PaperReality implements Reality {
  apply(world: World): Promise<Observed> {
    const running = world.machines.filter((machine) => machine.desired === "running");
    const groups = world.vpcs
      .flatMap((vpc) => vpc.balancers)
      .flatMap((balancer) => balancer.listeners)
      .map((listener) => listener.targetGroup);
    return Promise.resolve({
      machines: Object.fromEntries(running.map(({ id }) => [id, { state: "running" as const }])),
      targets: Object.fromEntries(
        groups.map(({ arn, targets }) => [
          arn,
          Object.fromEntries(
            targets.map(({ address, port }) => [`${address}:${port}`, "healthy" as const]),
          ),
        ]),
      ),
      disks: Object.fromEntries(world.disks.map(({ id }) => [id, { file: "" }])),
    });
  }

  destroyAll(): Promise<void> {
    return Promise.resolve();
  }
}
