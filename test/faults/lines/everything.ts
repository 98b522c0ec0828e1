import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutPeers, destroyVolumes, drop } from "../../../lab/cli/fault/actions.ts";
import { line } from "../harness/line.ts";
import { backUp, on, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { acknowledgedSince, destroyAllBut, nextGeneration, recoverySeconds } from "./recovery.ts";

/** Nothing is left but what is in the bucket, or but a member that nobody hears. */
export function everythingLines(): void {
  everything();
  corruptBackup();
  silentMember();
}

function everything(): void {
  line({
    name: "everything",
    then: "the next generation begins with the newest backup; what came after it is gone, and watchers are told",
    what: "all machines and all volumes are destroyed; a backup is a few seconds old",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async ({ cluster, note }) => {
      const { leader, all } = await cluster.roles();
      note("backup", await backUp(leader));
      // The schedule may have made another one since.
      const newest = (await cluster.bucketView().backups()).at(-1);
      assert.ok(newest);
      await sleep(3000);
      const at = now();
      await destroyVolumes(all, cluster.region);
      return { at, inEffectAt: now(), broken: true, survived: newest.revision };
    },
    check: async (stage, { made }) => {
      await nextGeneration(stage);
      const anew = stage.writer.journal
        .read()
        .some((each) => each.kind === "watch" && each.what === "compacted" && each.at > made.at);
      assert.ok(anew, "the watcher was not told that its place in the history is gone");
    },
  });
}

/** The newest backup is not what its key says: it is told apart by its hash, and the one before it is used. */
function corruptBackup(): void {
  line({
    name: "everything-corrupt-backup",
    what: "all machines and all volumes are destroyed, and the newest backup is corrupt",
    then: "the corrupt backup is reported, and the next generation begins with the one before it",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async ({ cluster, note }) => {
      const { leader, all } = await cluster.roles();
      const bucket = cluster.bucketView();
      note("backup", await backUp(leader));
      await sleep(2000);
      note("corrupt backup", await backUp(leader));
      // The schedule may have made another one between or after them.
      const [before, newest] = (await bucket.backups()).slice(-2);
      assert.ok(before && newest);
      await bucket.corrupt(newest.key);
      const at = now();
      await destroyVolumes(all, cluster.region);
      return { at, inEffectAt: now(), broken: true, survived: before.revision };
    },
    check: async (stage, { verdict }) => {
      await nextGeneration(stage);
      assert.ok(verdict.onlyOnDestroyed.length > 0, "the corrupt backup was used");
      const said = await Promise.all(
        (await stage.cluster.members()).map(async (member) => {
          const { stdout } = await on(member, [
            ...["journalctl", "--unit=agent-boot.service", "--output=cat", "--no-pager"],
          ]);
          return stdout.split("\n").find((each) => /not to begin with|has the hash/.test(each));
        }),
      );
      const report = said.find((each) => each !== undefined);
      assert.ok(report, "nobody said that the newest backup is corrupt");
      stage.note("said", report);
    },
  });
}

/** Seconds for which nothing may happen while somebody is silent: well beyond every time-out of this stack. */
const quietSeconds = 90;

function silentMember(): void {
  line({
    name: "silent-member",
    then: "nothing happens but a wait that names the silent member; when it is back, the roll is called",
    what: `two machines and volumes are destroyed; the third is cut off from S3 and its peers for ${quietSeconds} s, but lives`,
    withinSeconds: quietSeconds + recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { followers, all } = await cluster.roles();
      const silent = followers[0];
      assert.ok(silent);
      const before = await cluster.bucketView().record();
      await cutPeers("peers", [silent], all, true);
      const doomed = all.filter((each) => each !== silent);
      const made = await destroyAllBut(stage, silent, doomed);
      for (const { name } of doomed) {
        const said = await untilAnnounced(
          cluster,
          name,
          `waiting for ${silent.name}`,
          quietSeconds,
          ({ state, reason }) => state === "waiting" && reason?.includes(silent.name) === true,
        );
        note(`${name} says`, `${said.wait ?? ""}: ${said.reason ?? ""}`);
      }
      const left = quietSeconds * 1000 - (now() - made.at);
      if (left > 0) await sleep(left);
      const during = await cluster.bucketView().record();
      assert.deepEqual(
        [during.generation, during.phase, during.epoch],
        [before.generation, before.phase, before.epoch],
        "something happened while a member was unaccounted for",
      );
      const lines = stage.writer.journal.read();
      assert.equal(acknowledgedSince(lines, made.inEffectAt ?? made.at), 0, "somebody serves");
      await drop("peers", []);
      note("cut off for, s", quietSeconds);
      return { ...made, inEffectAt: now() };
    },
    check: nextGeneration,
  });
}
