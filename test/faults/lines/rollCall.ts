import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { destroyVolumes, stopEtcd } from "../../../lab/cli/fault/actions.ts";
import { waitFor } from "../../lab/support.ts";
import { aroundEach, Deaths } from "../harness/deaths.ts";
import { line } from "../harness/line.ts";
import { now } from "../writer/clock.ts";
import { ownRevision } from "./recovery.ts";

/** What a member does on its way through a roll call into the next generation (scripts/agent), in this order. */
const effects = [
  "createVolume:create",
  "createVolume:note",
  "report:put",
  "callRoll:put",
  "hold:held",
  "hold:stop",
  "attest:put",
  "propose:recover",
  "propose:upload",
  "propose:verify",
  "propose:put",
  "setAside:stop",
  "setAside:rename",
  "restore:format",
  "restore:fetch",
  "restore:restore",
  "restore:intent",
  "restore:join",
  "restore:marker",
  "restore:rename",
  "start:settings",
  "start:etcd",
] as const;

/** Longest way back with every agent dying again and again. */
const interruptedSeconds = 480;

/** Roll calls that are interrupted: one generation serves in the end, whatever was cut off where. */
export function rollCallLines(): void {
  for (const half of ["early", "late"] as const) {
    const middle = effects.indexOf("propose:recover");
    const some = half === "early" ? effects.slice(0, middle) : effects.slice(middle);
    line({
      name: `rollcall-killed-${half}`,
      then: "one generation serves in the end",
      what: `two machines and volumes are destroyed, and every agent dies before and after: ${some.join(", ")}`,
      withinSeconds: interruptedSeconds,
      clusters: 2,
      act: async ({ cluster, writer, note }) => {
        const { followers, all } = await cluster.roles();
        const [survivor] = followers;
        assert.ok(survivor);
        const deaths = new Deaths(aroundEach(some));
        try {
          const at = now();
          await destroyVolumes(
            all.filter((each) => each !== survivor),
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
  quorumComesBack();
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
