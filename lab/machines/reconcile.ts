import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ensureLayer } from "../image/layer.ts";
import { ensureAuthority } from "../network/authority.ts";
import { applyHostRoutes, ip } from "../network/host.ts";
import type { Plugged } from "../network/links.ts";
import { Router } from "../network/router.ts";
import type { Disk, Observed, ObservedMachine, Vpc, World } from "../world.ts";
import { clean, daemonGroup, removeFiles } from "./clean.ts";
import { Disks } from "./disks.ts";
import { linkName, machineNamespace, Machines } from "./machines.ts";

/** Where the lab of a reconciler lives, and what its routers forward to. */
export interface ReconcilerPaths {
  /** Folder of everything the lab writes. */
  state: string;
  /** Root folder of the machine image, as `ensureImage` answers it. */
  image: string;
  /** Socket of the front. */
  frontSocket: string;
  /** Socket of the metadata service. */
  imdsSocket: string;
}

/**
 * Makes a world real and says what is. Calls are to be made one after the other; every call does only what is
 * missing, so it may be repeated at will, and by another process after this one has died.
 */
export class Reconciler {
  readonly #paths: ReconcilerPaths;
  readonly #log: (line: string) => void;
  readonly #disks: Disks;
  readonly #routers = new Map<string, Router>();
  #machines: Machines | undefined;
  #region = "";
  #certificate = "";
  #routes = "";
  readonly #attached = new Map<string, { machineId: string; device: string; leader: number }>();

  constructor(paths: ReconcilerPaths, log: (line: string) => void) {
    this.#paths = paths;
    this.#log = log;
    this.#disks = new Disks(join(paths.state, "disks"));
  }

  /** Brings reality to the world, as far as that is possible at once, and tells what there is. */
  async apply(world: World): Promise<Observed> {
    const machines = await this.#prepare(world.region);
    await this.#removeMachines(world, machines);
    const starting = await this.#prepareStarts(world, machines);
    await this.#applyVpcs(world);
    for (const machine of starting) {
      this.#log(`machine ${machine.id} starts`);
      machines.start(machine);
    }
    for (const machine of world.machines) {
      if (machine.desired === "stopped" && machines.exists(machine.id)) machines.stop(machine.id);
    }
    const observed: Record<string, ObservedMachine> = {};
    for (const { id } of world.machines) {
      if (machines.exists(id)) observed[id] = machines.observe(id);
    }
    await this.#applyDisks(world, observed);
    return {
      machines: observed,
      targets: await this.#targets(world),
      disks: Object.fromEntries(
        world.disks.map((disk) => [disk.id, this.#disks.observe(disk, rootOf(disk, observed))]),
      ),
    };
  }

  async #targets(world: World): Promise<Observed["targets"]> {
    const targets: Observed["targets"] = {};
    for (const vpc of world.vpcs) {
      Object.assign(targets, await this.#routers.get(vpc.id)?.targets(vpc));
    }
    return targets;
  }

  /** The container is gone from one moment to the next; its disk and addresses stay for whoever comes next. */
  async kill(machineId: string): Promise<void> {
    const machines = this.#machines;
    if (!machines?.exists(machineId)) throw new Error(`there is no machine ${machineId}`);
    await machines.kill(machineId);
  }

  /** Ends and removes everything, the volumes' files included. The daemon itself lives on. */
  async destroyAll(): Promise<void> {
    await clean(this.#log, [daemonGroup]);
    removeFiles(this.#paths.state);
    this.#routers.clear();
    this.#attached.clear();
    this.#machines = undefined;
    this.#routes = "";
  }

  /** What the first machine needs, and every later one shares. */
  async #prepare(region: string): Promise<Machines> {
    if (this.#machines && this.#region === region) return this.#machines;
    const { state, image } = this.#paths;
    const authority = await ensureAuthority(join(state, "ca"), region);
    const layer = await ensureLayer({
      image,
      folder: join(state, "layers"),
      region,
      certificate: authority.certificate,
    });
    this.#certificate = authority.serverFile;
    this.#region = region;
    this.#machines = new Machines(join(state, "machines"), [layer, image]);
    // Routers of a daemon before this one are known by their folders, so that they can be removed too.
    mkdirSync(join(state, "vpcs"), { recursive: true });
    for (const id of readdirSync(join(state, "vpcs"))) this.#router(id);
    return this.#machines;
  }

  /** Machines that are to be gone: shut down first, then forgotten. */
  async #removeMachines(world: World, machines: Machines): Promise<void> {
    const staying = new Set(
      world.machines.filter(({ desired }) => desired !== "terminated").map(({ id }) => id),
    );
    for (const id of machines.list()) {
      if (staying.has(id)) continue;
      if (machines.observe(id).state !== "exited" || !machines.isDead(id)) {
        machines.stop(id);
        continue;
      }
      const namespace = machineNamespace(id);
      if (existsSync(`/run/netns/${namespace}`)) await ip("netns", "del", namespace);
      machines.remove(id);
      this.#log(`machine ${id} is gone`);
    }
  }

  /** Machines to be started in this round, each with a fresh network namespace. */
  async #prepareStarts(world: World, machines: Machines): Promise<World["machines"]> {
    const starting = world.machines.filter(({ id, desired }) => {
      if (desired !== "running") return false;
      // One that went off by itself stays off: what becomes of it is for the API's records to say.
      return (
        !machines.exists(id) || (machines.stopped(id) && machines.observe(id).state === "exited")
      );
    });
    for (const { id } of starting) {
      const namespace = machineNamespace(id);
      // A former life has left its links down and without routes.
      if (existsSync(`/run/netns/${namespace}`)) await ip("netns", "del", namespace);
      await ip("netns", "add", namespace);
    }
    return starting;
  }

  async #applyVpcs(world: World): Promise<void> {
    const wanted = new Set(world.vpcs.map(({ id }) => id));
    for (const [id, router] of this.#routers) {
      if (wanted.has(id)) continue;
      await router.remove();
      this.#routers.delete(id);
    }
    for (const vpc of world.vpcs) {
      const router = this.#router(vpc.id);
      await router.apply(vpc, world.region, plugged(vpc, world));
    }
    await this.#applyRoutes(world);
  }

  #router(id: string): Router {
    let router = this.#routers.get(id);
    if (!router) {
      const { state, frontSocket, imdsSocket } = this.#paths;
      router = new Router(id, {
        folder: join(state, "vpcs", id),
        certificate: this.#certificate,
        front: frontSocket,
        metadata: imdsSocket,
      });
      this.#routers.set(id, router);
    }
    return router;
  }

  async #applyRoutes(world: World): Promise<void> {
    const publicAddresses = world.vpcs.flatMap((vpc) => {
      const link = this.#routers.get(vpc.id)?.link;
      if (!link) return [];
      return vpc.interfaces.flatMap(({ publicAddress }) =>
        publicAddress === undefined ? [] : [{ address: publicAddress, link }],
      );
    });
    const ranges = world.vpcs.map(({ cidr }) => cidr);
    const wanted = JSON.stringify([ranges, publicAddresses]);
    if (this.#routes === wanted) return;
    await applyHostRoutes(ranges, publicAddresses, this.#log);
    this.#routes = wanted;
  }

  /** Volumes: files for all, loop devices and names inside for those that are attached to a running machine. */
  async #applyDisks(world: World, observed: Record<string, ObservedMachine>): Promise<void> {
    for (const [id, was] of this.#attached) {
      const wanted = world.disks.find((disk) => disk.id === id)?.attachedTo;
      if (wanted?.machineId === was.machineId && wanted.device === was.device) continue;
      const holder = observed[was.machineId];
      if (holder?.rootFolder !== undefined) this.#disks.detach(id, was.device, holder.rootFolder);
      await this.#disks.release(id);
      this.#attached.delete(id);
    }
    for (const disk of world.disks) {
      this.#disks.ensure(disk);
      await this.#attach(disk, observed);
    }
    const wanted = new Set(world.disks.map(({ id }) => id));
    for (const id of this.#disks.list()) if (!wanted.has(id)) await this.#disks.remove(id);
  }

  async #attach(disk: Disk, observed: Record<string, ObservedMachine>): Promise<void> {
    const { attachedTo } = disk;
    const machine = attachedTo && observed[attachedTo.machineId];
    if (!attachedTo || machine?.leaderPid === undefined || machine.rootFolder === undefined) {
      return;
    }
    const was = this.#attached.get(disk.id);
    if (was?.leader === machine.leaderPid) return;
    if (await this.#disks.attach(disk, attachedTo.device, machine.rootFolder)) {
      this.#attached.set(disk.id, { ...attachedTo, leader: machine.leaderPid });
    }
  }
}

/** The interfaces whose machine shall run, as the router is to plug them in. */
function plugged(vpc: Vpc, world: World): Plugged[] {
  return world.machines
    .filter((machine) => machine.vpcId === vpc.id && machine.desired !== "terminated")
    .flatMap((machine) =>
      machine.interfaceIds.flatMap((interfaceId, index) => {
        const each = vpc.interfaces.find(({ id }) => id === interfaceId);
        const namespace = machineNamespace(machine.id);
        const incarnation = statSync(`/run/netns/${namespace}`, { throwIfNoEntry: false })?.ino;
        if (!each || incarnation === undefined) return [];
        return [
          { interface: each, namespace, incarnation, name: linkName(index), first: index === 0 },
        ];
      }),
    );
}

function rootOf(disk: Disk, observed: Record<string, ObservedMachine>): string | undefined {
  return disk.attachedTo && observed[disk.attachedTo.machineId]?.rootFolder;
}
