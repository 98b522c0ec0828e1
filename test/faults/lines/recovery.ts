import assert from "node:assert/strict";
import { destroyVolumes } from "../../../lab/cli/fault/actions.ts";
import type { Member } from "../../../lab/cli/fault/members.ts";
import { waitFor } from "../../lab/support.ts";
import type { Made, Stage } from "../harness/line.ts";
import { now } from "../writer/clock.ts";

/** What the lines have in common that end in a next generation. */

/** Longest way back from the loss of a majority: the silence before a report, the volume's, boots, a roll call, a restore. */
export const recoverySeconds = 300;

/** Destroys members, and finds out what the survivor knows for certain: a floor of what must be kept. */
export async function destroyAllBut(
  { cluster, writer, note }: Stage,
  survivor: Member,
  doomed: readonly Member[],
): Promise<Made> {
  note("survivor", survivor.name);
  const at = now();
  await destroyVolumes(doomed, cluster.region);
  const inEffectAt = now();
  const own = await ownRevision(writer, survivor.address);
  const newest = (await cluster.bucketView().backups()).at(-1)?.revision ?? 0n;
  note("revision of the survivor", String(own));
  note("revision of the newest backup", String(newest));
  return { at, inEffectAt, broken: true, survived: own > newest ? own : newest };
}

/** It may need a moment: a client that was connected to somebody else must find its way first. */
export async function ownRevision(writer: Stage["writer"], address: string): Promise<bigint> {
  const { value } = await waitFor("the survivor's own revision", 15, () =>
    writer.ownRevision(address),
  );
  return value;
}

/** After a recovery the record is open, in the generation after the one before. */
export async function nextGeneration({ cluster, note }: Stage): Promise<void> {
  const record = await cluster.bucketView().record();
  assert.equal(record.phase, "open");
  note("generation", record.generation);
}

/** A journal so far. */
export type Lines = ReturnType<Stage["writer"]["journal"]["read"]>;

/** How many writes were acknowledged that were sent from a moment on. */
export function acknowledgedSince(lines: Lines, moment: number): number {
  return lines.filter((each) => each.kind === "ack" && each.sentAt >= moment).length;
}
