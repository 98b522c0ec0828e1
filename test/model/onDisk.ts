import { Abandoned } from "./etcd";
import type { Folder, Volume } from "./disk";
import type { Agent } from "./gather";
import { Violation } from "./ledger";
import type { Steps } from "./store";
import type { Machine, World } from "./world";

/** What agents do to a volume, and to the process that uses it. */

/** The volume, if the machine has it. */
export function volumeOf({ world, machine }: Agent): Volume {
  const volume = world.volumeOf(machine.member);
  if (!volume.exists) {
    throw new Abandoned("the volume is gone");
  }
  return volume;
}

/** The data directory, made if there is none. */
export function folderOf(agent: Agent): Folder {
  const volume = volumeOf(agent);
  volume.data ??= {};
  return volume.data;
}

export function* format(agent: Agent): Steps<Volume> {
  yield "formats";
  const volume = volumeOf(agent);
  if (!volume.formatted) {
    volume.formatted = true;
  } else if (!agent.world.rules.order.formatOnlyBlank) {
    if (volume.data?.marker !== undefined || volume.aside.length > 0) {
      throw new Violation(4, `${volume.id} is formatted, and was marked`);
    }
    volume.data = undefined;
  }
  return volume;
}

export function* stop({ world, machine }: Agent): Steps<void> {
  yield "takes the permit away";
  machine.permit = false;
  yield "stops etcd";
  world.kill(machine, true);
  machine.service = "stopped";
}

/** What a running process does beside: the intent has done its duty once there is a log. */
export function dropIntent({ world, machine }: { world: World; machine: Machine }): void {
  const { data } = world.volumeOf(machine.member);
  if (data?.wal !== undefined && data.intent !== undefined && machine.etcd !== undefined) {
    delete data.intent;
  }
}
