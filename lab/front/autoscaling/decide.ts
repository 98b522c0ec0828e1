import type { Group } from "./model.ts";

/** What EC2 says of a group's machine; a machine that EC2 no longer knows is `gone`. */
export type InstanceState =
  "pending" | "running" | "stopping" | "stopped" | "shutting-down" | "terminated" | "gone";

/** One step a group takes. */
export type Step =
  | { readonly kind: "forget"; readonly instanceId: string }
  | { readonly kind: "terminate"; readonly instanceId: string; readonly cause: string }
  | { readonly kind: "launch"; readonly cause: string }
  | { readonly kind: "remove" };

const over: ReadonlySet<InstanceState> = new Set(["terminated", "gone"]);
const failed: ReadonlySet<InstanceState> = new Set([
  "stopping",
  "stopped",
  "shutting-down",
  "terminated",
]);

/**
 * What a group does next. A machine that fails is terminated before another is launched (instance maintenance 0/100), and a launch
 * is tried as soon as termination has been asked for: if the old machine still holds the interface it fails and is tried again.
 */
export function decide(
  group: Group,
  states: ReadonlyMap<string, InstanceState>,
  now: number,
): readonly Step[] {
  const steps: Step[] = [];
  const state = (instanceId: string): InstanceState => states.get(instanceId) ?? "gone";
  const present = group.instances.filter((instance) => {
    const gone = over.has(state(instance.instanceId));
    const forgotten = gone && instance.lifecycleState === "Terminating";
    if (forgotten) steps.push({ kind: "forget", instanceId: instance.instanceId });
    return !forgotten;
  });
  if (group.deleting) {
    for (const { instanceId, lifecycleState } of present) {
      if (lifecycleState === "InService") {
        steps.push({ kind: "terminate", instanceId, cause: "the group is being deleted" });
      }
    }
    if (present.length === 0) steps.push({ kind: "remove" });
    return steps;
  }
  let inService = present.filter((instance) => instance.lifecycleState === "InService");
  inService = inService.filter(({ instanceId, healthStatus }) => {
    const current = state(instanceId);
    const cause =
      current === "gone" || failed.has(current)
        ? `an instance was taken out of service in response to an EC2 health check indicating it has been ${current === "gone" ? "terminated" : current}`
        : healthStatus === "Unhealthy"
          ? "an instance was taken out of service in response to a user health-check"
          : undefined;
    if (cause !== undefined) steps.push({ kind: "terminate", instanceId, cause });
    return cause === undefined;
  });
  const surplus = inService.length - group.desiredCapacity;
  const oldestFirst = [...inService].sort((a, b) => (a.launchedAt < b.launchedAt ? -1 : 1));
  for (const { instanceId } of oldestFirst.slice(0, Math.max(0, surplus))) {
    steps.push({
      kind: "terminate",
      instanceId,
      cause: `an instance was taken out of service to shrink the capacity to ${group.desiredCapacity}`,
    });
  }
  if (surplus < 0 && now >= group.nextLaunchAt) {
    for (let missing = surplus; missing < 0; missing += 1) {
      steps.push({
        kind: "launch",
        cause: `an instance was started in response to a difference between desired and actual capacity, increasing the capacity from ${inService.length} to ${group.desiredCapacity}`,
      });
    }
  }
  return steps;
}

/** Milliseconds to wait after the nth failed launch in a row: 1, 2, 4 … 30 s. AWS waits longer; a lab's day is shorter. */
export function backoffMs(failures: number): number {
  return Math.min(30_000, 1000 * 2 ** Math.max(0, failures - 1));
}
