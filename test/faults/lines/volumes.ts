import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutPeers, destroyVolumes, drop } from "../../../lab/cli/fault/actions.ts";
import { line } from "../harness/line.ts";
import { backUp } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { destroyAllBut, nextGeneration, recoverySeconds } from "./recovery.ts";

/** Disks that are destroyed with their machines: of one member, of a majority. */
export function volumeLines(): void {
  for (const role of ["follower", "leader"] as const) oneVolume(role);
  for (const role of ["leader", "follower"] as const) majority(role);
  laggingSurvivor();
}

function oneVolume(role: "leader" | "follower"): void {
  line({
    name: `volume-${role}`,
    what: `the machine of ${role === "leader" ? "the leader" : "a follower"} and its volume are destroyed`,
    then: "the replacement is certain after a while that there is no volume, makes one, and re-joins as a learner with a new id",
    withinSeconds: 240,
    act: async ({ cluster, note }) => {
      const { leader, followers } = await cluster.roles();
      const doomed = role === "leader" ? leader : followers[0];
      assert.ok(doomed);
      note("member", doomed.name);
      const at = now();
      await destroyVolumes([doomed], cluster.region);
      return { at, inEffectAt: now(), broken: true };
    },
    check: ({ note }, { before, back, result }) => {
      const member = String(result.notes["member"]);
      assert.notEqual(back.ids[member], before.ids[member], "an id whose data is gone returned");
      note("id", `${before.ids[member] ?? ""} -> ${back.ids[member] ?? ""}`);
    },
  });
}

function majority(survivorRole: "leader" | "follower"): void {
  line({
    name: `majority-survivor-${survivorRole}`,
    then: "the roll is called; the next generation begins with the survivor's log",
    what: `two machines and their volumes are destroyed; the survivor is ${survivorRole === "leader" ? "the leader" : "a follower"}`,
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { leader, followers, all } = await stage.cluster.roles();
      const survivor = survivorRole === "leader" ? leader : followers[0];
      assert.ok(survivor);
      return destroyAllBut(
        stage,
        survivor,
        all.filter((member) => member !== survivor),
      );
    },
    check: nextGeneration,
  });
}

function laggingSurvivor(): void {
  line({
    name: "majority-survivor-lagging",
    then: "the roll is called; the next generation begins with the backup, which is newer",
    what: "two machines and their volumes are destroyed; the survivor was cut off and lags behind the newest backup",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { leader, followers, all } = await cluster.roles();
      const survivor = followers[0];
      assert.ok(survivor);
      await cutPeers("lag", [survivor], all, false);
      await sleep(5000);
      note("backup", await backUp(leader));
      const made = await destroyAllBut(
        stage,
        survivor,
        all.filter((each) => each !== survivor),
      );
      await drop("lag", []);
      const newest = (await cluster.bucketView().backups()).at(-1);
      assert.ok(newest);
      assert.equal(made.survived, newest.revision, "the survivor does not lag behind the backup");
      return made;
    },
    check: nextGeneration,
  });
}
