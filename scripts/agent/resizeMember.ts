import { setTimeout as sleep } from "node:timers/promises";

import { takeBackup } from "./backup";
import { Refusal } from "./deadline";
import { agentTls, throughEndpoint, type ClientTls } from "./etcd";
import { readIfThere } from "./files";
import { namedEntries } from "./listed";
import { withLock } from "./lock";
import { approvedState, thisMachine, type Machine } from "./machine";
import { markerSchema } from "./marker";
import { paths } from "./paths";
import { step } from "./point";
import { readRecord, writeRecord, type ClusterRecord, type RecordContent } from "./record";
import {
  resizeStep,
  type DesiredMember,
  type ResizeFacts,
  type ResizeStep,
  type View,
} from "./resize";
import { reasonOf, say } from "./say";
import { withDropped, withEntered, withLeaving } from "./transitions";

/** Milliseconds for one call. */
const callMs = 3000;

/** What `resize` prints. */
export interface Resized {
  readonly generation: number;
  readonly roster: readonly string[];
}

/** The facts of one step, and what it is to be done with. */
interface Gathered {
  readonly facts: ResizeFacts;
  readonly etag: string;
  readonly addresses: ReadonlyMap<string, string>;
}

/** How long a member that is not well is waited for before the change is refused: an election, an answer that was late. */
const patienceMs = 30_000;

/**
 * Brings the cluster to these members, one step after the other, from a member that stays. Before the first change a backup is taken.
 * Killed anywhere and started again, on whatever member, it goes on: everything that it knows is in the record and in etcd's member
 * list.
 *
 * Throws a Refusal when the cluster is in no state for it, for `unhealthy` only when that lasts; what goes wrong on the way, such as an
 * election, is tried again until the time is up.
 */
export async function resize(
  desired: readonly DesiredMember[],
  timeoutSeconds: number,
): Promise<Resized> {
  const machine = await thisMachine();
  if (!desired.some(({ name }) => name === machine.member)) {
    throw new Refusal(`${machine.member} is not to stay: run this on a member that is`);
  }
  const end = performance.now() + timeoutSeconds * 1000;
  const attempt = new Attempt(machine, desired);
  let said = "";
  for (;;) {
    const seen = await attempt.next(timeoutSeconds);
    if ("resized" in seen) {
      return seen.resized;
    }
    if (seen.words !== said) {
      said = seen.words;
      say(said);
    }
    if (performance.now() > end) {
      throw new Error(`the cluster is not resized within ${timeoutSeconds} s: ${seen.words}`);
    }
    await sleep(seen.changed ? 0 : 1000);
  }
}

/** One call of `resize`, step by step. */
class Attempt {
  readonly #machine: Machine;
  readonly #desired: readonly DesiredMember[];
  #backedUp = false;
  #unwellSince: number | undefined;

  constructor(machine: Machine, desired: readonly DesiredMember[]) {
    this.#machine = machine;
    this.#desired = desired;
  }

  /** Does what comes next, and says what that was, or what it waits for. */
  async next(
    lockSeconds: number,
  ): Promise<{ resized: Resized } | { words: string; changed: boolean }> {
    try {
      const { next, record } = await withLock(() => this.#step(), lockSeconds);
      if (next.kind === "done") {
        const roster = record.roster.map(({ name }) => name);
        return { resized: { generation: record.generation, roster } };
      }
      if (next.kind === "refuse") {
        return { words: this.#refused(next), changed: false };
      }
      this.#unwellSince = undefined;
      if (this.#needsBackup(next)) {
        // Outside of the lock: a large database takes its time, and the agent's rounds must go on.
        const { key } = await takeBackup(this.#machine, "planned");
        this.#backedUp = true;
        return { words: `took a backup before the change: ${key}`, changed: true };
      }
      const waits = next.kind === "wait";
      return { words: waits ? `waits for ${next.needs}` : `did: ${next.kind}`, changed: !waits };
    } catch (error) {
      if (error instanceof Refusal) {
        throw error;
      }
      return { words: `tries again: ${reasonOf(error)}`, changed: false };
    }
  }

  #needsBackup({ kind }: ResizeStep): boolean {
    return !this.#backedUp && (kind === "enter" || kind === "leave");
  }

  /** Decides upon fresh facts, and acts unless a backup has to come first. */
  async #step(): Promise<{ next: ResizeStep; record: ClusterRecord }> {
    const gathered = await gather(this.#machine, this.#desired);
    const next = resizeStep(gathered.facts);
    if (!this.#needsBackup(next)) {
      await act(this.#machine, gathered, next);
    }
    return { next, record: gathered.facts.record };
  }

  #refused({ name, reason }: Extract<ResizeStep, { kind: "refuse" }>): string {
    this.#unwellSince ??= performance.now();
    if (name !== "unhealthy" || performance.now() - this.#unwellSince > patienceMs) {
      throw new Refusal(`${name}: ${reason}`);
    }
    return `waits for ${reason}`;
  }
}

async function act(machine: Machine, gathered: Gathered, next: ResizeStep): Promise<void> {
  const { facts, etag, addresses } = gathered;
  const put = async (content: RecordContent): Promise<void> => {
    await writeRecord(machine.bucket, content, { ifMatch: etag });
  };
  switch (next.kind) {
    case "enter":
      return step("resize:enter", () => put(withEntered(facts.record, next.member)));
    case "leave":
      return step("resize:leave", () => put(withLeaving(facts.record, next.name)));
    case "drop":
      return step("resize:drop", () => put(withDropped(facts.record, next.name)));
    case "handOver": {
      const leader = facts.members.find(({ id }) => id === next.from)?.name ?? "";
      return step("resize:handOver", () =>
        throughEndpoint(addresses.get(leader) ?? "", callMs, (endpoint) =>
          endpoint.moveLeader(next.to),
        ),
      );
    }
    case "remove": {
      const { address } = await own(machine);
      return step("resize:remove", () =>
        throughEndpoint(address, callMs, (endpoint) => endpoint.remove(next.id)),
      );
    }
    case "done":
    case "wait":
    case "refuse":
      return;
  }
}

async function own(machine: Machine): Promise<{ address: string; member: string }> {
  const { config } = await approvedState(machine);
  return { address: config.address, member: config.member };
}

async function gather(machine: Machine, desired: readonly DesiredMember[]): Promise<Gathered> {
  const view = await readRecord(machine.bucket);
  if (view.kind !== "present") {
    throw new Error(view.kind === "absent" ? "there is no cluster record" : view.reason);
  }
  const { record, etag } = view;
  const marker = markerSchema.parse(JSON.parse((await readIfThere(paths.marker)) ?? "null"));
  const { address } = await own(machine);
  const tls = await agentTls();
  const [list, status] = await throughEndpoint(
    address,
    callMs,
    (endpoint) => Promise.all([endpoint.memberList(), endpoint.status()]),
    tls,
  );
  const addresses = new Map(
    [...desired, ...record.roster].map((member) => [member.name, member.address]),
  );
  const members = namedEntries(
    list.members,
    [...addresses].map(([name, own]) => ({ name, address: own })),
  );
  const voters = members.flatMap(({ name, isLearner }) =>
    name === undefined || isLearner ? [] : [name],
  );
  const asked = [...new Set([...voters, ...record.roster.map(({ name }) => name)])];
  const answers = await Promise.all(
    asked.map(async (name) => [name, await ask(addresses.get(name) ?? "", tls)] as const),
  );
  return {
    etag,
    addresses,
    facts: {
      record,
      generation: marker.generation,
      desired,
      clusterId: list.clusterId,
      ...(status.leader === undefined ? {} : { leader: status.leader }),
      members,
      views: new Map(answers.map(([name, { view: seen }]) => [name, seen])),
      unhealthy: new Map(
        answers.flatMap(([name, { trouble }]) => (trouble === undefined ? [] : [[name, trouble]])),
      ),
    },
  };
}

/** What one member itself shows, and why it is not healthy, if it is not. */
async function ask(
  address: string,
  tls: ClientTls,
): Promise<{ view: View; trouble: string | undefined }> {
  try {
    return await throughEndpoint(
      address,
      callMs,
      async (endpoint) => {
        const list = await endpoint.memberList();
        const [alarm] = await endpoint.alarms();
        return {
          view: { clusterId: list.clusterId, ids: list.members.map(({ id }) => id) },
          trouble: alarm === undefined ? undefined : `alarm ${alarm.kind} of ${alarm.memberId}`,
        };
      },
      tls,
    );
  } catch (error) {
    const failure = reasonOf(error);
    return { view: { failure }, trouble: `does not answer: ${failure}` };
  }
}
