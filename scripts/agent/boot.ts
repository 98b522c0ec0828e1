import { setTimeout as sleep } from "node:timers/promises";

import { act } from "./act";
import { CommitKeeper, dropIntent } from "./commit";
import type { Action } from "./facts";
import { readIfThere } from "./files";
import { Gatherer, type Gathered } from "./gather";
import { withLock } from "./lock";
import { leave, leaving } from "./leave";
import { approvedState, thisMachine, type Desired, type Machine } from "./machine";
import { paths } from "./paths";
import { plan } from "./plan";
import { ReachKeeper } from "./reached";
import { installedRelease } from "./release";
import { reasonOf, say } from "./say";
import { openSsh } from "./secrets";
import { announce } from "./state";
import { watch } from "./watch";

/** A bootstrap may hold the lock for as long as etcd takes to stop and start. */
const lockSeconds = 300;

/** Seconds between two looks at an etcd that runs and has a quorum. */
const calmSeconds = 5;

/** Seconds between two looks while a quorum is missing or a roll is called. */
const alertSeconds = 1.5;

/** Seconds after something was done, or while etcd writes its first log. */
const soonSeconds = 0.2;

/** Seconds between two looks at a machine that waits for something else: close ones at first, when a volume is on its way. */
const waitSeconds = (waited: number): number => (waited < 120 ? 0.5 : 5);

/**
 * What agent-boot.service runs for as long as the machine lives: brings the member up, whatever that takes, and keeps it so. Every round
 * takes the lock, gathers the facts anew, decides, acts, and lets the lock go. It ends, and systemd starts it again, when another agent is
 * installed, and when something was done and all is well again: what that took of memory (EC2's client, logs, databases) is not given back
 * otherwise, and the one that stays has to be small.
 */
export async function bootLoop(): Promise<string> {
  const release = await installedRelease();
  const agent = new Agent(await thisMachine());
  await announce({ state: "starting" });
  let waited = 0;
  for (;;) {
    let pace: Pace = "waiting";
    try {
      pace = await withLock(() => agent.round(), lockSeconds);
    } catch (error) {
      await announce({ state: "failing", reason: reasonOf(error) });
    }
    if ((await installedRelease()) !== release) {
      // Also after a failure: an older agent may not understand the desired state of a newer one.
      return "another agent was installed; systemd starts it";
    }
    if (pace === "calm" && agent.hasActed) {
      return "the member is up; systemd starts an agent that only watches";
    }
    waited = pace === "waiting" ? waited + 1 : 0;
    const seconds = { calm: calmSeconds, alert: alertSeconds, soon: soonSeconds };
    await sleep(1000 * (pace === "waiting" ? waitSeconds(waited) : seconds[pace]));
  }
}

/**
 * How soon to look again: `calm`, etcd runs and has a quorum; `alert`, a quorum is missing or the roll is called; `soon`, something was
 * done; `waiting`, for something that this member does not see coming.
 */
type Pace = "calm" | "alert" | "soon" | "waiting";

class Agent {
  readonly #machine: Machine;
  readonly #gatherer: Gatherer;
  readonly #commits = new CommitKeeper();
  readonly #reach: ReachKeeper;
  #sshIsOpen = false;
  #watches = false;
  #hasActed = false;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#gatherer = new Gatherer(machine);
    this.#reach = new ReachKeeper(machine.bucket, this.#gatherer.memory);
  }

  /** Whether this process has done more than to look. */
  get hasActed(): boolean {
    return this.#hasActed;
  }

  /** Gathers, decides, acts. */
  async round(): Promise<Pace> {
    const because = await leaving();
    if (because !== undefined) {
      const { config } = await approvedState(this.#machine);
      await leave(this.#machine, config, because);
      return "waiting";
    }
    const basis = await this.#gatherer.basis();
    await this.#watchOnce();
    await this.#openSshOnce(basis.desired);
    const gathered = await this.#gatherer.gather(basis);
    const { facts, live, desired } = gathered;
    const noted = await this.#keep(gathered);
    const action = plan(facts);
    if (action.kind === "idle") {
      await announceIdle(gathered);
      await this.#sayReached(gathered, noted);
    }
    await act(action, {
      machine: this.#machine,
      memory: this.#gatherer.memory,
      status: live.status,
      ...{ desired, facts },
    });
    return this.#after(action, gathered);
  }

  /** What is done while etcd runs, whatever is decided. Returns the commit index that is noted on the volume. */
  async #keep({ facts, live }: Gathered): Promise<bigint | undefined> {
    if (!facts.live.running || facts.disk.kind !== "data") {
      this.#commits.forget();
      return undefined;
    }
    await dropIntent();
    return live.status === undefined ? undefined : this.#commits.note(live.status);
  }

  /** Not before etcd was started once: of a machine that was never part of the cluster no alarm is to hear. */
  async #watchOnce(): Promise<void> {
    if (!this.#watches && (await readIfThere(paths.applied)) !== undefined) {
      this.#watches = true;
      void watch(this.#machine);
    }
  }

  /** What is noted on the volume goes with the volume; what is said in the bucket does not. */
  async #sayReached({ facts, live }: Gathered, noted: bigint | undefined): Promise<void> {
    const { self, record } = facts;
    if (facts.live.quorum && record.kind === "present" && live.status && noted !== undefined) {
      const reached = { id: live.status.id, index: Number(noted) };
      await this.#reach.note({ self, record: record.record, reached });
    }
  }

  #after(action: Action, { facts }: Gathered): Pace {
    switch (action.kind) {
      case "idle":
        return facts.live.quorum || facts.record.kind !== "present" ? "calm" : "alert";
      case "wait":
        return action.name === "starting"
          ? "soon"
          : alertWaits.includes(action.name)
            ? "alert"
            : "waiting";
      case "refuse":
      case "promote":
        return "waiting";
      default:
        this.#hasActed = true;
        this.#gatherer.forget();
        return "soon";
    }
  }

  /** The way in for people comes before everything that may take long or fail. */
  async #openSshOnce({ config }: Desired): Promise<void> {
    if (this.#sshIsOpen) {
      return;
    }
    try {
      await openSsh(this.#machine.clients, config.parameters.sshHostKey);
      this.#sshIsOpen = true;
    } catch (error) {
      // After a reboot the key is there and sshd runs; and etcd does not wait for people.
      say(`the SSH host key cannot be fetched: ${reasonOf(error)}`);
    }
  }
}

const alertWaits: readonly Extract<Action, { kind: "wait" }>["name"][] = [
  "rollCall",
  "quorum",
  "network",
  "damaged",
  "survivor",
  "noSource",
  "operator",
];

async function announceIdle({ facts, live }: Gathered): Promise<void> {
  if (facts.live.quorum && live.status !== undefined) {
    return announce({ state: "running" });
  }
  const reason =
    live.status === undefined
      ? "etcd was started and does not answer"
      : "etcd runs and sees no quorum";
  return announce({ state: "waiting", wait: "quorum", reason });
}
