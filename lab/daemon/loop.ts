import { StopInstancesCommand } from "@aws-sdk/client-ec2";
import { setTimeout as sleep } from "node:timers/promises";
import type { Call } from "../front/call.ts";
import type { GroupEngine } from "../front/autoscaling/engine.ts";
import type { CredentialStore } from "../front/credentials.ts";
import type { Records } from "../front/records.ts";
import type { Observed, World } from "../world.ts";
import { finishTermination } from "./finish.ts";
import type { Reality } from "./reality.ts";
import { readEc2, readElb, readRoute53, type Snapshot } from "./snapshot.ts";
import { computeWorld } from "./world.ts";

/** What the loop works with. */
export interface LoopParts {
  readonly records: Records;
  readonly engine: GroupEngine;
  readonly credentials: CredentialStore;
  readonly reality: Reality;
  readonly region: string;
  readonly log: (line: string) => void;
}

/** How often reality is looked at when nobody calls the API. */
const periodMs = 2000;

/** The same while a machine is on its way up or down. */
const busyPeriodMs = 250;

/** Calls come in bursts; this long after the last of them the world is computed anew. */
const debounceMs = 50;

/** Longest wait of a burst. */
const maxDebounceMs = 500;

const nothing: Observed = { machines: {}, targets: {}, disks: {} };

/** Keeps reality at what the records say, and the records at what really happens. */
export class Loop {
  private readonly parts: LoopParts;
  private readonly cutZones = new Set<string>();
  private stale = { ec2: true, elb: true, route53: true };
  private known: Snapshot | undefined;
  private current: World | undefined;
  private seen: Observed = nothing;
  private wake: (() => void) | undefined;
  private changedAt = 0;
  private stopping = false;
  private finished: Promise<void> | undefined;
  private lastError = "";

  constructor(parts: LoopParts) {
    this.parts = parts;
  }

  /** The records as last read. */
  get snapshot(): Snapshot | undefined {
    return this.known;
  }

  /** The world as last computed. */
  get world(): World | undefined {
    return this.current;
  }

  /** What was real when last looked at. */
  get observed(): Observed {
    return this.seen;
  }

  /** Begins to work. */
  start(): void {
    this.finished = this.run();
  }

  /** Ends after the round under way. */
  async stop(): Promise<void> {
    this.stopping = true;
    this.wake?.();
    await this.finished;
  }

  /** Told by the front after every successful change. */
  changed(call: Call): void {
    if (call.service === "ec2") this.stale.ec2 = true;
    if (call.service === "elasticloadbalancing")
      this.stale = { ...this.stale, ec2: true, elb: true };
    if (call.service === "route53") this.stale.route53 = true;
    if (["ec2", "elasticloadbalancing", "route53", "autoscaling"].includes(call.service)) {
      this.changedAt = Date.now();
      this.wake?.();
    }
  }

  /** Cuts a zone off, or heals it. */
  setCut(zone: string, cut: boolean): void {
    if (cut) this.cutZones.add(zone);
    else this.cutZones.delete(zone);
    this.stale.ec2 = true;
    this.wake?.();
  }

  /** Looks again soon: something happened that is no call. */
  nudge(): void {
    this.stale.ec2 = true;
    this.wake?.();
  }

  private async run(): Promise<void> {
    while (!this.hasEnded()) {
      let failed = false;
      try {
        await this.settle();
        await this.round();
        this.lastError = "";
      } catch (error) {
        failed = true;
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        // The same fault every two seconds is one line, not a full log.
        if (text !== this.lastError) this.parts.log(`daemon: ${text}`);
        this.lastError = text;
      }
      if (!this.hasEnded() && (failed || !this.isStale())) await this.pause();
    }
  }

  /** A function, because `stop` is called while a round waits. */
  private hasEnded(): boolean {
    return this.stopping;
  }

  private isStale(): boolean {
    return this.stale.ec2 || this.stale.elb || this.stale.route53;
  }

  /** Whether a machine is not yet where it should be. */
  private isMoving(): boolean {
    return (this.current?.machines ?? []).some(({ id, desired }) => {
      const state = this.seen.machines[id]?.state;
      return desired === "running"
        ? state !== "running"
        : state !== undefined && state !== "exited";
    });
  }

  private async pause(): Promise<void> {
    const due = (this.parts.engine.nextDue() ?? Infinity) - Date.now();
    const period = this.isMoving() ? busyPeriodMs : periodMs;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(20, Math.min(period, due)));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = undefined;
  }

  /** Waits until a burst of calls is over. */
  private async settle(): Promise<void> {
    const until = Date.now() + maxDebounceMs;
    while (!this.stopping && Date.now() < until) {
      const rest = this.changedAt + debounceMs - Date.now();
      if (rest <= 0) return;
      await sleep(rest);
    }
  }

  private async round(): Promise<void> {
    const { reality, engine } = this.parts;
    const snapshot = await this.read();
    this.current = computeWorld(snapshot, { cutZones: this.cutZones });
    this.seen = await reality.apply(this.current);
    await this.feedBack(this.current);
    await engine.tick();
  }

  private async read(): Promise<Snapshot> {
    const { records, region } = this.parts;
    const { stale, known } = this;
    this.stale = { ec2: false, elb: false, route53: false };
    try {
      this.known = {
        region,
        ec2: stale.ec2 || known === undefined ? await readEc2(records, region) : known.ec2,
        elb: stale.elb || known === undefined ? await readElb(records, region) : known.elb,
        route53: stale.route53 || known === undefined ? await readRoute53(records) : known.route53,
      };
      return this.known;
    } catch (error) {
      this.stale = stale;
      throw error;
    }
  }

  /** Writes into the records what happened to machines without a call. */
  private async feedBack(world: World): Promise<void> {
    const { records, region, log, credentials } = this.parts;
    const ec2 = records.ec2(region);
    const gone = world.machines.filter(
      (machine) =>
        machine.desired === "terminated" &&
        (this.seen.machines[machine.id]?.state ?? "exited") === "exited",
    );
    if (gone.length > 0) {
      await finishTermination(
        ec2,
        gone.map(({ id }) => id),
      );
      for (const { id } of gone) {
        credentials.forget(id);
        log(`${id} is terminated`);
      }
      this.stale.ec2 = true;
    }
    const off = world.machines.filter(
      (machine) =>
        machine.desired === "running" && this.seen.machines[machine.id]?.state === "exited",
    );
    if (off.length > 0) {
      // A machine that powers itself off, or dies, is stopped: AWS's default for a shutdown from inside.
      await ec2.send(new StopInstancesCommand({ InstanceIds: off.map(({ id }) => id) }));
      for (const { id } of off) log(`${id} went off by itself`);
      this.stale.ec2 = true;
    }
  }
}
