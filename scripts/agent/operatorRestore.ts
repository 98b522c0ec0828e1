import { setTimeout as sleep } from "node:timers/promises";

import type { Attestation } from "./attestation";
import { readAttestations } from "./bulletin";
import { putRecord, type Context } from "./context";
import { Refusal } from "./deadline";
import { Gatherer } from "./gather";
import { withLock } from "./lock";
import { thisMachine, type Machine } from "./machine";
import { propose } from "./propose";
import type { ClusterRecord } from "./record";
import { candidates, type Candidate } from "./restoreCandidates";
import { say } from "./say";
import { withRollCalled } from "./transitions";

/** What the operator asks for. */
export interface RestoreWish {
  /** Name of the candidate to begin with; without it, the newest. */
  readonly copy: string | undefined;
  /** The cluster's name, typed; without it nothing is changed. */
  readonly confirm: string | undefined;
  /** Members that cannot speak, and were seen with the operator's credentials to be off: no machine, volume detached. */
  readonly fenced: readonly string[];
  readonly timeoutSeconds: number;
}

/** What `restore` prints. */
export interface RestoreAnswer {
  readonly cluster: string;
  readonly generation: number;
  readonly phase: ClusterRecord["phase"];
  readonly epoch: number;
  readonly attested: readonly Pick<Attestation, "member" | "data" | "setAside">[];
  /** Members of the roster that have not attested this epoch and are not fenced. */
  readonly unaccounted: readonly string[];
  /** Newest first. */
  readonly candidates: readonly Candidate[];
  readonly chosen: Candidate | undefined;
  /** The generation that was begun; absent in a dry run. */
  readonly begun?: number;
}

/**
 * The operator's restore. It is a roll call like any other: whoever is not known to be off must have stopped and said what he holds.
 * Without the cluster's name it only says what it would do.
 */
export async function operatorRestore(wish: RestoreWish): Promise<RestoreAnswer> {
  const machine = await thisMachine();
  const gatherer = new Gatherer(machine);
  if (wish.confirm !== undefined && wish.confirm !== machine.cluster) {
    throw new Refusal(`this is the cluster ${machine.cluster}, not ${wish.confirm}`);
  }
  const end = performance.now() + wish.timeoutSeconds * 1000;
  for (;;) {
    const answer = await withLock(() => attempt(machine, gatherer, wish), wish.timeoutSeconds);
    if (answer !== "waiting") {
      return answer;
    }
    if (performance.now() > end) {
      throw new Error(
        `not everybody has answered the roll call within ${wish.timeoutSeconds} s; fence who cannot, or try again`,
      );
    }
    await sleep(1000);
  }
}

async function attempt(
  machine: Machine,
  gatherer: Gatherer,
  wish: RestoreWish,
): Promise<RestoreAnswer | "waiting"> {
  const gathered = await gatherer.gather(await gatherer.basis());
  const { facts, desired, live } = gathered;
  const view = facts.record;
  if (view.kind !== "present") {
    throw new Refusal(
      view.kind === "absent" ? "there is no cluster record, and nothing to restore" : view.reason,
    );
  }
  const { record } = view;
  if (facts.live.quorum) {
    throw new Refusal("a quorum answers: there is nothing to restore while the cluster serves");
  }
  const context: Context = {
    ...{ machine, desired, facts, memory: gatherer.memory, status: live.status },
  };
  const answer = await describe(context, record, wish);
  if (wish.confirm === undefined) {
    return answer;
  }
  if (record.phase === "open") {
    say(`calls the roll: epoch ${record.epoch + 1}`);
    await putRecord(context, withRollCalled(record));
    return "waiting";
  }
  if (answer.unaccounted.length > 0) {
    say(`waits for ${answer.unaccounted.join(", ")} to attest epoch ${record.epoch}`);
    return "waiting";
  }
  return begin(context, record, answer, wish.copy !== undefined);
}

async function begin(
  context: Context,
  record: ClusterRecord,
  answer: RestoreAnswer,
  acceptDamage: boolean,
): Promise<RestoreAnswer> {
  const { chosen } = answer;
  const { member } = context.facts.self;
  if (chosen === undefined) {
    throw new Refusal("there is no copy of the data to begin with");
  }
  if (chosen.holder !== undefined && chosen.holder !== member) {
    throw new Refusal(
      `the newest copy is on ${chosen.holder}: run this there, or name another one with --copy`,
    );
  }
  const attestations = answer.attested as readonly Attestation[];
  const roll = { ...context.facts.roll, attestations };
  const before = context.memory.unreadable.size;
  const rolled = { ...context, facts: { ...context.facts, roll } };
  await propose(rolled, record, chosen.source, acceptDamage);
  const refusal = context.memory.notRecoverable.get(record.epoch);
  if (refusal !== undefined || context.memory.unreadable.size > before) {
    throw new Error(
      `${chosen.name} cannot be restored${refusal === undefined ? "" : `: ${refusal}`}`,
    );
  }
  return { ...answer, begun: record.generation + 1 };
}

async function describe(
  { machine, facts }: Context,
  record: ClusterRecord,
  wish: RestoreWish,
): Promise<RestoreAnswer> {
  const attestations =
    record.phase === "rollCall" ? await readAttestations(machine.bucket, record, record.epoch) : [];
  const all = await candidates(machine.bucket, record, attestations, facts.roll.unreadable);
  const chosen = wish.copy === undefined ? all[0] : all.find(({ name }) => name === wish.copy);
  if (wish.copy !== undefined && chosen === undefined) {
    throw new Refusal(`${wish.copy} is not among the copies that there are`);
  }
  return {
    cluster: machine.cluster,
    generation: record.generation,
    phase: record.phase,
    epoch: record.epoch,
    attested: attestations,
    unaccounted: record.roster
      .map(({ name }) => name)
      .filter(
        (name) =>
          !wish.fenced.includes(name) && !attestations.some(({ member }) => member === name),
      ),
    candidates: all,
    chosen,
  };
}
