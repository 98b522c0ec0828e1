import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutPeers, destroyVolumes, drop } from "../../../lab/cli/fault/actions.ts";
import type { Member } from "../../../lab/cli/fault/members.ts";
import { waitFor } from "../../lab/support.ts";
import { line, type Made, type Stage } from "../harness/line.ts";
import { backUp, on, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";

/** Longest way back from the loss of a majority: the silence before a report, the volume's, boots, a roll call, a restore. */
const recoverySeconds = 300;

/** Disks that are destroyed with their machines: of one member, of a majority, of all. */
export function volumeLines(): void {
  for (const role of ["follower", "leader"] as const) oneVolume(role);
  for (const role of ["leader", "follower"] as const) majority(role);
  laggingSurvivor();
  acknowledgementGate();
  everything();
  corruptBackup();
  silentMember();
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

/** Destroys members, and finds out what the survivor knows for certain: a floor of what must be kept. */
async function destroyAllBut(
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

/** After a recovery the record is open, in the generation after the one before. */
async function nextGeneration({ cluster, note }: Stage): Promise<void> {
  const record = await cluster.bucketView().record();
  assert.equal(record.phase, "open");
  note("generation", record.generation);
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

/**
 * An acknowledgement whose only surviving copy is on a follower that fsynced it and never heard that it counts. The leader reaches one
 * follower only; what that one answers is held back until both sides have written, then let through in the very moment in which
 * the other direction is shut: the leader hears of the fsync, commits and acknowledges, and cannot tell the follower. Then the leader
 * and the other follower are destroyed.
 */
function acknowledgementGate(): void {
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

type Lines = ReturnType<Stage["writer"]["journal"]["read"]>;

function acknowledgedSince(lines: Lines, moment: number): number {
  return lines.filter((each) => each.kind === "ack" && each.sentAt >= moment).length;
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
