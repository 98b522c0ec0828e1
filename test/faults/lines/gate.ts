import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutPeers, destroyVolumes, drop } from "../../../lab/cli/fault/actions.ts";
import { waitFor } from "../../lab/support.ts";
import { line, type Stage } from "../harness/line.ts";
import { now } from "../writer/clock.ts";
import {
  acknowledgedSince,
  nextGeneration,
  ownRevision,
  recoverySeconds,
  type Lines,
} from "./recovery.ts";

/**
 * An acknowledgement whose only surviving copy is on a follower that fsynced it and never heard that it counts. The leader reaches one
 * follower only; what that one answers is held back until both sides have written, then let through in the very moment in which
 * the other direction is shut: the leader hears of the fsync, commits and acknowledges, and cannot tell the follower. Then the leader
 * and the other follower are destroyed.
 */
export function acknowledgementGate(): void {
  line({
    name: "gate",
    then: "the roll is called; the survivor's log is taken to its last entry, and the write is kept",
    what: "the leader acknowledges and is destroyed; one follower has the write and does not know that it counts",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, writer, note } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [keeper, other] = followers;
      assert.ok(keeper && other);
      note("survivor", keeper.name);
      await cutPeers("lag", [other], all, false);
      const two = now();
      await waitFor("writes of the two that are left", 20, () =>
        Promise.resolve(
          acknowledgedSince(writer.journal.read(), two + 1000) > 20 ? true : undefined,
        ),
      );
      await drop("gate", [{ from: [keeper.address], to: [leader.address] }]);
      // Long enough for a put and its fsync, shorter than the leader's patience with a silent quorum.
      await sleep(250);
      const open = now();
      await drop("gate", [{ from: [leader.address], to: [keeper.address] }]);
      await waitForAcknowledgement(writer, open);
      const at = now();
      const doomed = destroyVolumes([leader, other], cluster.region);
      const known = await ownRevision(writer, keeper.address);
      await doomed;
      const inEffectAt = now();
      const highest = highestRevision(writer.journal.read());
      note("acknowledged up to", String(highest));
      note("known by the survivor to count", String(known));
      assert.ok(
        known < highest,
        "the follower knew: the gate did not hold, and this run shows nothing",
      );
      await drop("gate", []);
      await drop("lag", []);
      // Nothing survives but the follower's log, and yet nothing may be lost: hence no `survived`.
      return { at, inEffectAt, broken: true };
    },
    check: nextGeneration,
  });
}

function highestRevision(lines: Lines): bigint {
  return lines
    .filter((each) => each.kind === "ack")
    .map(({ revision }) => BigInt(revision))
    .reduce((one, other) => (one > other ? one : other), 0n);
}

/** Waits for the first acknowledgement after a moment before which there could be none for a while. */
async function waitForAcknowledgement(writer: Stage["writer"], since: number): Promise<void> {
  const deadline = now() + 1500;
  while (!writer.journal.read().some((each) => each.kind === "ack" && each.at > since)) {
    assert.ok(
      now() < deadline,
      "no put of the held ones was acknowledged; the leader gave up first",
    );
    await sleep(2);
  }
}
