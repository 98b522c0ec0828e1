import { rm } from "node:fs/promises";

import type { Marker } from "./marker";
import { markerSchema } from "./marker";
import { agentTls, EtcdEndpoint } from "./etcd";
import { readIfThere, syncFolder, writeDurably } from "./files";
import { approvedState, type Machine } from "./machine";
import { promote } from "./learner";
import { paths } from "./paths";
import { readRecord } from "./record";
import { say } from "./say";
import { stopEtcd } from "./service";
import { announce } from "./state";
import { hasWriteAheadLog } from "./disk";

/** Milliseconds between two looks at the cluster record. */
const recordMs = 10_000;

/**
 * What the agent does while etcd runs: keeps the highest commit index on the volume, reads the cluster record, and stops etcd when
 * the record has moved on to a generation that is not this one's. If S3 cannot be reached nothing changes.
 */
export class Watch {
  readonly #machine: Machine;
  #address: string | undefined;
  #endpoint: EtcdEndpoint | undefined;
  #commit = 0n;
  #recordReadAt = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** One round. Returns whether all is well; otherwise it is worth looking again soon. */
  async round(): Promise<boolean> {
    await this.#dropIntent();
    if (performance.now() - this.#recordReadAt > recordMs) {
      this.#recordReadAt = performance.now();
      if (!(await this.#stillOurs())) {
        return false;
      }
    }
    return this.#noteCommit();
  }

  /** The intent has done its duty when etcd's log exists. */
  async #dropIntent(): Promise<void> {
    if (
      (await readIfThere(paths.intent)) !== undefined &&
      (await hasWriteAheadLog(paths.writeAheadLog))
    ) {
      await rm(paths.intent, { force: true });
      await syncFolder(paths.data);
    }
  }

  async #stillOurs(): Promise<boolean> {
    const view = await readRecord(this.#machine.bucket);
    if (view.kind !== "present") {
      say(view.kind === "absent" ? "there is no cluster record; etcd goes on" : view.reason);
      return true;
    }
    const text = await readIfThere(paths.marker);
    const marker: Marker | undefined =
      text === undefined ? undefined : markerSchema.parse(JSON.parse(text));
    const { clusterUid, generation } = view.record;
    if (
      marker === undefined ||
      (marker.clusterUid === clusterUid && generation <= marker.generation)
    ) {
      return true;
    }
    await announce({
      state: "refused",
      reason: `the record is of ${clusterUid}, generation ${generation}; stopping etcd of generation ${marker.generation}`,
    });
    await stopEtcd();
    return false;
  }

  async #promote(id: string): Promise<void> {
    const { config } = await approvedState(this.#machine);
    const view = await readRecord(this.#machine.bucket);
    const roster = view.kind === "present" ? view.record.roster : config.initialMembers;
    const reason = await promote(config, roster, await agentTls(), id);
    await announce(
      reason === undefined
        ? { state: "running" }
        : { state: "waiting", wait: "caughtUp", reason: `is a learner; no vote yet: ${reason}` },
    );
  }

  async #noteCommit(): Promise<boolean> {
    try {
      this.#address ??= (await approvedState(this.#machine)).config.address;
      this.#endpoint ??= new EtcdEndpoint(this.#address, await agentTls(), 3000);
      const status = await this.#endpoint.status();
      if (status.raftIndex > this.#commit) {
        this.#commit = status.raftIndex;
        await writeDurably(paths.commit, `${status.raftIndex}\n`);
      }
      if (status.isLearner) {
        await this.#promote(status.id);
        return false;
      }
      await announce(
        status.leader === undefined
          ? { state: "waiting", wait: "quorum", reason: "etcd runs and sees no leader" }
          : { state: "running" },
      );
      return status.leader !== undefined;
    } catch (error) {
      // A new client next time: the certificate may have been exchanged.
      this.#endpoint?.close();
      this.#endpoint = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      await announce({
        state: "waiting",
        wait: "quorum",
        reason: `etcd was started and does not answer: ${reason}`,
      });
      return false;
    }
  }
}
