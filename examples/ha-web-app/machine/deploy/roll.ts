import { setTimeout as sleep } from "node:timers/promises";

import { plan, type Step, type Target } from "./plan.ts";

/** What a roll does things with. */
export interface Hands {
  /** This machine's address. */
  readonly self: string;
  readonly balancer: {
    targets(): Promise<readonly Target[]>;
    deregister(): Promise<void>;
    register(): Promise<void>;
  };
  readonly machine: {
    /** Digest of what was put in place completely. */
    installed(): string | undefined;
    /** Puts a release with its settings in the place of what is there, in one step, and starts it. */
    install(digest: string): Promise<void>;
    /** Why the app does not serve, or undefined. */
    fault(): Promise<string | undefined>;
    /** Notes that what is in place is complete. */
    complete(digest: string): void;
    /** How many connections clients have. */
    connections(): Promise<number>;
    /** Removes what does not run. */
    prune(): void;
  };
  /** Seconds. */
  readonly limits: { readonly drain: number; readonly start: number; readonly healthy: number };
  readonly say: (line: string) => void;
  /** Milliseconds between two looks at anything. */
  readonly look?: number;
}

/** Why a deployment ended without what was asked for. */
export class Failed extends Error {}

/** Brings one machine to a release and settings, without anybody noticing. Throws if it did not; the machine then serves what it did. */
export async function roll(wanted: string, hands: Hands): Promise<Step[]> {
  const { machine, balancer, self, say } = hands;
  const before = machine.installed();
  const decision = plan({
    ...{ self, wanted, installed: before, targets: await balancer.targets() },
    serves: (await machine.fault()) === undefined,
  });
  if ("refused" in decision) throw new Failed(decision.refused);
  for (const step of decision.steps) {
    say(step);
    if (step === "drain") await drain(hands);
    if (step === "install") await install(wanted, before, hands);
    if (step === "join") await join(hands);
  }
  machine.prune();
  return decision.steps;
}

async function drain(hands: Hands): Promise<void> {
  const { balancer, machine, limits } = hands;
  // A run that was interrupted may have begun it, and it may be over by now.
  if (!["draining", "unused"].includes(await stateOf(hands))) await balancer.deregister();
  let last = "";
  const drained = await patiently(hands, limits.drain, async () => {
    const state = await stateOf(hands);
    const connections = await machine.connections();
    last = `the target is ${state}, with ${connections} connections`;
    return state === "unused" && connections === 0;
  });
  if (!drained) {
    await balancer.register();
    throw new Failed(`not drained within ${limits.drain} s: ${last}; it is a target again`);
  }
}

/** A release that does not serve is taken back before anybody is sent to it. */
async function install(wanted: string, before: string | undefined, hands: Hands): Promise<void> {
  const fault = await attempt(wanted, hands);
  if (fault === undefined) return;
  if (before === undefined || before === wanted) throw new Failed(`it does not serve: ${fault}`);
  hands.say("back");
  const second = await attempt(before, hands);
  if (second !== undefined) {
    throw new Failed(`it does not serve: ${fault}; neither does what was there before: ${second}`);
  }
  await hands.balancer.register();
  throw new Failed(`it does not serve: ${fault}; what was there before is in place again`);
}

/** Why it does not serve. */
async function attempt(digest: string, hands: Hands): Promise<string | undefined> {
  const { machine, limits } = hands;
  let last: string | undefined;
  try {
    await machine.install(digest);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const serves = await patiently(hands, limits.start, async () => {
    last = await machine.fault();
    return last === undefined;
  });
  if (serves) machine.complete(digest);
  return last;
}

async function join(hands: Hands): Promise<void> {
  const { balancer, limits } = hands;
  await balancer.register();
  let last = "";
  const healthy = await patiently(hands, limits.healthy, async () => {
    last = await stateOf(hands);
    return last === "healthy";
  });
  if (!healthy) {
    throw new Failed(`the balancer does not find it healthy within ${limits.healthy} s: ${last}`);
  }
}

async function stateOf({ balancer, self }: Hands): Promise<string> {
  return (await balancer.targets()).find(({ address }) => address === self)?.state ?? "unused";
}

async function patiently(
  { look = 500 }: Hands,
  seconds: number,
  done: () => Promise<boolean>,
): Promise<boolean> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    if (await done()) return true;
    if (performance.now() >= end) return false;
    await sleep(look);
  }
}
