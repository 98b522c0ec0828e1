import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ensureLayer } from "../image/layer.ts";
import { ensureAuthority } from "../network/authority.ts";
import { applyHostRoutes, ip } from "../network/host.ts";
import type { Drop } from "../network/drops.ts";
import type { Plugged } from "../network/links.ts";
import { Router } from "../network/router.ts";
import type { Disk, Machine, Observed, ObservedMachine, Vpc, World } from "../world.ts";
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
  /** Socket of Debian's archive. */
  archiveSocket: string;
}

/**
 * Makes a world real and says what is. Calls are to be made one after the other; every call does only what is
 * missing, so it may be repeated at will, and by another process after this one has died.
 */
export class Reconciler {
  readonly #paths: ReconcilerPaths;
  readonly #log: (line: string) => void;
  readonly #routers = new Map<string, Router>();
  #parts: { machines: Machines; disks: Disks } | undefined;
  #region = "";
  #certificate = "";
  #routes = "";
  readonly #drops = new Map<string, readonly Drop[]>();
  readonly #attached = new Map<string, { machineId: string; device: string; leader: number }>();

  constructor(paths: ReconcilerPaths, log: (line: string) => void) {
    this.#paths = paths;
    this.#log = log;
  }

  /** Brings reality to the world, as far as that is possible at once, and tells what there is. */
  async apply(world: World): Promise<Observed> {
    const { machines, disks } = await this.#prepare(world.region);
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
    await this.#applyDisks(world, disks, observed);
    return {
      machines: observed,
      targets: await this.#targets(world),
      disks: Object.fromEntries(
        world.disks.map((disk) => [disk.id, disks.observe(disk, rootOf(disk, observed))]),
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
    const machines = this.#parts?.machines;
    if (!machines?.exists(machineId)) throw new Error(`there is no machine ${machineId}`);
    await machines.kill(machineId);
  }

  /** Sets the packets that a named fault loses, in every VPC; none ends that fault. In effect when it returns. */
  async drop(name: string, drops: readonly Drop[]): Promise<void> {
    const changed = new Map(this.#drops);
    if (drops.length === 0) changed.delete(name);
    else changed.set(name, drops);
    for (const router of this.#routers.values()) await router.drop(changed);
    // Remembered only when it could be done: what nft refuses once would otherwise be refused with every other fault.
    if (drops.length === 0) this.#drops.delete(name);
    else this.#drops.set(name, drops);
  }

  /** Ends and removes everything, the volumes' files included. The daemon itself lives on. */
  async destroyAll(): Promise<void> {
    await clean(this.#log, [daemonGroup]);
    removeFiles(this.#paths.state);
    this.#routers.clear();
    this.#drops.clear();
    this.#attached.clear();
    this.#parts = undefined;
    this.#routes = "";
  }

  /** What the first machine needs, and every later one shares. */
  async #prepare(region: string): Promise<{ machines: Machines; disks: Disks }> {
    if (this.#parts && this.#region === region) return this.#parts;
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
    this.#parts = {
      machines: new Machines(join(state, "machines"), [layer, image], this.#log),
      disks: new Disks(join(state, "disks")),
    };
    // Routers of a daemon before this one are known by their folders, so that they can be removed too.
    mkdirSync(join(state, "vpcs"), { recursive: true });
    for (const id of readdirSync(join(state, "vpcs"))) this.#router(id);
    return this.#parts;
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
    const wanted = new Set(world.vpcs.filter(isInUse).map(({ id }) => id));
    for (const [id, router] of this.#routers) {
      if (wanted.has(id)) continue;
      await router.remove();
      this.#routers.delete(id);
    }
    for (const vpc of world.vpcs.filter(isInUse)) {
      await this.#router(vpc.id).apply(vpc, world.region, plugged(vpc, world));
    }
    await this.#applyRoutes(world);
  }

  #router(id: string): Router {
    let router = this.#routers.get(id);
    if (!router) {
      const { state, frontSocket, imdsSocket, archiveSocket } = this.#paths;
      router = new Router(id, {
        folder: join(state, "vpcs", id),
        certificate: this.#certificate,
        front: frontSocket,
        metadata: imdsSocket,
        archive: archiveSocket,
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
    const ranges = world.vpcs.filter(isInUse).map(({ cidr }) => cidr);
    const wanted = JSON.stringify([ranges, publicAddresses]);
    if (this.#routes === wanted) return;
    await applyHostRoutes(ranges, publicAddresses, this.#log);
    this.#routes = wanted;
  }

  /** Volumes: files for all, loop devices and names inside for those that are attached to a running machine. */
  async #applyDisks(
    world: World,
    disks: Disks,
    observed: Record<string, ObservedMachine>,
  ): Promise<void> {
    for (const [id, was] of this.#attached) {
      const wanted = world.disks.find((disk) => disk.id === id)?.attachedTo;
      if (wanted?.machineId === was.machineId && wanted.device === was.device) continue;
      const holder = observed[was.machineId];
      if (holder?.rootFolder !== undefined) disks.detach(id, was.device, holder.rootFolder);
      await disks.release(id);
      this.#attached.delete(id);
    }
    for (const disk of world.disks) {
      await disks.ensure(disk);
      await this.#attach(disk, disks, observed);
    }
    const wanted = new Set(world.disks.map(({ id }) => id));
    for (const id of disks.list()) if (!wanted.has(id)) await disks.remove(id);
  }

  async #attach(
    disk: Disk,
    disks: Disks,
    observed: Record<string, ObservedMachine>,
  ): Promise<void> {
    const { attachedTo } = disk;
    const machine = attachedTo && observed[attachedTo.machineId];
    if (!attachedTo || machine?.leaderPid === undefined || machine.rootFolder === undefined) {
      return;
    }
    const was = this.#attached.get(disk.id);
    if (was?.leader === machine.leaderPid) return;
    if (await disks.attach(disk, attachedTo.device, machine.rootFolder)) {
      this.#attached.set(disk.id, { ...attachedTo, leader: machine.leaderPid });
    }
  }
}

/** A VPC without anything in it needs no router: every account has such a one by default. */
function isInUse(vpc: Vpc): boolean {
  return vpc.interfaces.length > 0 || vpc.balancers.length > 0;
}

/**
 * The interfaces that are in a machine. A machine that is to be gone keeps its own while it shuts down, unless
 * the next one has come for it.
 */
function plugged(vpc: Vpc, world: World): Plugged[] {
  const found = new Map<string, Plugged>();
  const ending = (machine: Machine) => Number(machine.desired === "terminated");
  const machines = world.machines.filter(({ vpcId }) => vpcId === vpc.id);
  for (const machine of machines.sort((a, b) => ending(a) - ending(b))) {
    const namespace = machineNamespace(machine.id);
    const incarnation = statSync(`/run/netns/${namespace}`, { throwIfNoEntry: false })?.ino;
    if (incarnation === undefined) continue;
    machine.interfaceIds.forEach((id, index) => {
      const each = vpc.interfaces.find((candidate) => candidate.id === id);
      if (!each || found.has(id)) return;
      const name = linkName(index);
      found.set(id, { interface: each, namespace, incarnation, name, first: index === 0 });
    });
  }
  return [...found.values()];
}

function rootOf(disk: Disk, observed: Record<string, ObservedMachine>): string | undefined {
  return disk.attachedTo && observed[disk.attachedTo.machineId]?.rootFolder;
}
