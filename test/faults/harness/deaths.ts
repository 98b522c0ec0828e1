import { setTimeout as sleep } from "node:timers/promises";
import { labMachines } from "../../../lab/cli/fault/members.ts";
import { now } from "../writer/clock.ts";
import { dieAt, hasDied } from "./machine.ts";

/**
 * How long a point is waited for before the next one is tried: not every agent passes every point. The first one is waited for as
 * long as it takes.
 */
const patienceMs = 8000;

interface Progress {
  /** Which of the points is asked for at the moment. */
  at: number;
  since: number;
}

/**
 * Lets every member's agent end itself at one point after the other, on whatever machine it is at that time. systemd starts it again
 * each time, and it must find its way from what is on the disk and in the bucket.
 */
export class Deaths {
  readonly #points: (machine: string) => readonly string[];
  readonly #progress = new Map<string, Progress>();
  readonly #died: { machine: string; point: string }[] = [];
  #stopped = false;
  readonly #watching: Promise<void>;

  /** `points`: those of a machine, by its id, in the order in which they are passed. */
  constructor(points: (machine: string) => readonly string[]) {
    this.#points = points;
    this.#watching = this.#watch();
  }

  /** Asks for no further death, and tells which there were. */
  async stop(): Promise<readonly { machine: string; point: string }[]> {
    this.#stopped = true;
    await this.#watching;
    return this.#died;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      for (const { id, rootFolder, publicAddress } of await labMachines().catch(() => [])) {
        if (rootFolder === undefined || publicAddress !== undefined) continue;
        try {
          this.#step(id, rootFolder);
        } catch {
          // The machine went away between two looks, or is not that far yet.
        }
      }
      await sleep(100);
    }
  }

  #step(machine: string, root: string): void {
    const progress = this.#progress.get(machine);
    const points = this.#points(machine);
    const point = points[progress?.at ?? 0];
    if (point === undefined) return;
    if (progress === undefined) {
      dieAt(root, point);
      this.#progress.set(machine, { at: 0, since: now() });
      return;
    }
    const died = hasDied(root);
    if (!died && (progress.at === 0 || now() - progress.since < patienceMs)) return;
    if (died) this.#died.push({ machine, point });
    progress.at += 1;
    progress.since = now();
    const next = points[progress.at];
    if (next !== undefined) dieAt(root, next);
  }
}

/** Every effect of a list, before and after it. */
export function aroundEach(effects: readonly string[]): string[] {
  return effects.flatMap((effect) => [`${effect}:before`, `${effect}:after`]);
}
