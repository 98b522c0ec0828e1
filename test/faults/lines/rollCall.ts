import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { destroyVolumes, stopEtcd } from "../../../lab/cli/fault/actions.ts";
import { machineOf } from "../../../lab/cli/fault/members.ts";
import { waitFor } from "../../lab/support.ts";
import { aroundEach, Deaths } from "../harness/deaths.ts";
import { line } from "../harness/line.ts";
import { backUp, dieAt, hasDied } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { destroyAllBut, nextGeneration, ownRevision, recoverySeconds } from "./recovery.ts";

/** What is done until everybody has said what he has, in this order: by who has data, and by who has none. */
const early = {
  survivor: ["report:put", "callRoll:put", "hold:held", "hold:stop", "attest:put"],
  others: ["createVolume:create", "createVolume:note", "report:put", "callRoll:put", "attest:put"],
} as const;

/** What is done from there into the next generation. */
const late = {
  survivor: [
    ...["propose:recover", "propose:upload", "propose:verify", "propose:put"],
    ...["setAside:stop", "setAside:rename"],
  ],
  others: [
    ...["restore:format", "restore:fetch", "restore:restore", "restore:intent", "restore:join"],
    ...["restore:marker", "restore:rename", "start:settings", "start:etcd"],
  ],
} as const;

/** Longest way back with every agent dying again and again. */
const interruptedSeconds = 480;

/** Roll calls that are interrupted: one generation serves in the end, whatever was cut off where. */
export function rollCallLines(): void {
  for (const [half, effects] of Object.entries({ early, late })) {
    line({
      name: `rollcall-killed-${half}`,
      then: "one generation serves in the end",
      what: `two machines and volumes are destroyed, and agents die before and after steps of the ${half === "early" ? "roll call" : "way into the next generation"}`,
      withinSeconds: interruptedSeconds,
      clusters: 2,
      act: async ({ cluster, writer, note }) => {
        const { followers, all: members } = await cluster.roles();
        const [survivor] = followers;
        assert.ok(survivor);
        const own = machineOf(survivor).instanceId;
        const deaths = new Deaths((machine) =>
          aroundEach(machine === own ? effects.survivor : effects.others),
        );
        try {
          const at = now();
          await destroyVolumes(
            members.filter((each) => each !== survivor),
            cluster.region,
          );
          const inEffectAt = now();
          const survived = await ownRevision(writer, survivor.address);
          const newest = (await cluster.bucketView().backups()).at(-1)?.revision ?? 0n;
          await waitFor("writes in the next generation", interruptedSeconds, () => {
            const ids = writer.journal.read().filter((each) => each.kind === "ack");
            return Promise.resolve(
              new Set(ids.map(({ clusterId }) => clusterId)).size > 1 ? true : undefined,
            );
          });
          return {
            at,
            inEffectAt,
            broken: true,
            survived: survived > newest ? survived : newest,
          };
        } finally {
          const died = await deaths.stop();
          note("deaths", died.map(({ point }) => point).join(", "));
          assert.ok(died.length >= 6, `only ${died.length} agents died: nothing was shown`);
        }
      },
    });
  }
  survivorsDiskIsLost();
  quorumComesBack();
}

/** The last disk goes while its log is on its way into the bucket: what the bucket held before is all there is. */
function survivorsDiskIsLost(): void {
  line({
    name: "rollcall-disk-lost",
    then: "the roll is called anew, and the next generation begins with the newest backup",
    what: "two machines and volumes are destroyed, and in the roll call the survivor's too, just before it uploads its log",
    withinSeconds: 2 * recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [survivor] = followers;
      assert.ok(survivor);
      note("backup", await backUp(leader));
      const { root } = machineOf(survivor);
      assert.ok(root);
      dieAt(root, "propose:upload:before");
      const doomed = all.filter((each) => each !== survivor);
      const made = await destroyAllBut(stage, survivor, doomed);
      await waitFor("the survivor's log to be on its way", recoverySeconds, () =>
        Promise.resolve(hasDied(root) ? true : undefined),
      );
      await destroyVolumes([survivor], cluster.region);
      const inEffectAt = now();
      const record = await cluster.bucketView().record();
      assert.equal(record.phase, "rollCall", "the next generation had begun already");
      const newest = (await cluster.bucketView().backups()).at(-1);
      assert.ok(newest);
      return { ...made, inEffectAt, survived: newest.revision };
    },
    check: nextGeneration,
  });
}

/** The quorum is back while the roll is being called: nobody's data may be given up for that. */
function quorumComesBack(): void {
  line({
    name: "rollcall-quorum-returns",
    then: "the roll call is closed, and the same generation goes on",
    what: "two members stand still long enough for a roll call, and go on in the middle of it",
    withinSeconds: 180,
    act: async ({ cluster, note }) => {
      const { followers } = await cluster.roles();
      const before = await cluster.bucketView().record();
      const at = now();
      const goOn = stopEtcd(followers);
      try {
        const { value: during } = await waitFor("a roll call", 90, async () => {
          const record = await cluster.bucketView().record();
          return record.phase === "rollCall" || record.epoch > before.epoch ? record : undefined;
        });
        note("epoch", during.epoch);
        await sleep(1000);
      } finally {
        goOn();
      }
      return { at, inEffectAt: now() };
    },
    check: async ({ cluster, note }, { before, back }) => {
      assert.deepEqual(back.ids, before.ids, "somebody's data was given up");
      const record = await cluster.bucketView().record();
      assert.equal(record.phase, "open");
      note("generation", record.generation);
    },
  });
}
