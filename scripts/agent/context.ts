import type { MemberConfig } from "../../components/plan/memberConfig";
import type { MemberStatus } from "./etcd";
import type { Facts } from "./facts";
import type { Desired, Machine } from "./machine";
import type { Memory } from "./memory";
import type { ClusterRecord, PutCondition, RecordContent, Starting } from "./record";
import { writeRecord } from "./record";
import { say } from "./say";

/** What an effect is given: the facts that were decided on, and the ways to act. */
export interface Context {
  readonly machine: Machine;
  readonly desired: Desired;
  readonly facts: Facts;
  readonly memory: Memory;
  /** Of this machine's etcd, when it answered. */
  readonly status: MemberStatus | undefined;
}

/** This member, about to start on its volume. */
export function startingOf({ facts }: Context): Starting {
  return { name: facts.self.member, volumeId: facts.self.volumeId };
}

/** What a marker and an intent say of this member in a generation. */
export function identityIn(
  { facts }: Context,
  { clusterUid, generation }: ClusterRecord,
): { clusterUid: string; member: string; volumeId: string; generation: number } {
  const { member, volumeId } = facts.self;
  return { clusterUid, member, volumeId, generation };
}

/** The desired state's document. */
export function configOf({ desired }: Context): MemberConfig {
  return desired.config;
}

/** Puts the record on the condition of the very version that was decided on. */
export async function putRecord(
  { machine, facts }: Context,
  next: RecordContent,
): Promise<"done" | "lost"> {
  const { record } = facts;
  if (record.kind !== "present") {
    throw new Error("a record that was not read cannot be changed");
  }
  const condition: PutCondition = { ifMatch: record.etag };
  const outcome = await writeRecord(machine.bucket, next, condition);
  if (outcome === "lost") {
    say("another agent changed the cluster record first");
  }
  return outcome;
}
