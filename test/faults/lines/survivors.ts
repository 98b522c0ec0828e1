import assert from "node:assert/strict";
import { z } from "zod";
import { destroyVolumes } from "../../../lab/cli/fault/actions.ts";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { waitFor } from "../../lab/support.ts";
import { line, type Made, type Stage } from "../harness/line.ts";
import {
  backUp,
  dieAt,
  etcdctl,
  etcdRestarts,
  hasDied,
  listed,
  memberNow,
  on,
  startAgent,
  stopAgent,
  untilAnnounced,
} from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { destroyAllBut, nextGeneration, recoverySeconds } from "./recovery.ts";

/** Survivors on whose data etcd does not go on by itself, and data that carries an alarm. */
export function survivorLines(): void {
  learner();
  removed();
  foreignAlarm("survivor");
  foreignAlarm("backup");
}

/** How often systemd may start etcd again until the roll is called: it is no loop. */
const fewRestarts = 5;

/** The survivor's agent goes on, and says what it waits for, where a person looks. */
async function named({ cluster, note }: Stage, name: string): Promise<void> {
  const said = await untilAnnounced(
    cluster,
    name,
    "in a wait that has a name",
    60,
    ({ state, wait }) => state === "waiting" && (wait === "quorum" || wait === "rollCall"),
  );
  note(`${name} waits`, `${said.wait ?? ""}: ${said.reason ?? ""}`);
  const shown = await cluster.statusText();
  assert.match(shown, /waits for|roll call|quorum/, shown);
}

/** The next generation serves, and the survivor's etcd was not started again and again on the way. */
async function withoutLoop(stage: Stage, name: string, before: number): Promise<void> {
  await nextGeneration(stage);
  const restarts = (await etcdRestarts(await memberNow(stage.cluster, name))) - before;
  stage.note("restarts of the survivor's etcd by systemd", restarts);
  assert.ok(restarts <= fewRestarts, `${restarts} restarts: etcd ends again and again`);
}

/** What the survivor swore to hold in the roll call that ended in this generation. */
const holdingSchema = z.looseObject({
  id: z.string(),
  index: z.number(),
  votersAtLast: z.array(z.string()),
  removed: z.boolean().optional(),
});
const attestedSchema = z.looseObject({
  data: holdingSchema.optional(),
  setAside: z.array(holdingSchema.extend({ generation: z.number() })),
});

async function sworn({ cluster }: Stage, name: string): Promise<z.infer<typeof holdingSchema>> {
  const bucket = cluster.bucketView();
  const { generation } = await bucket.record();
  const epochs = (await bucket.keys("control/attestations/"))
    .filter((key) => key.endsWith(`/${name}.json`))
    .map((key) => Number(key.split("/")[2]))
    .sort((one, other) => other - one);
  for (const epoch of epochs) {
    const { data, setAside } = attestedSchema.parse(
      JSON.parse(await bucket.text(`control/attestations/${epoch}/${name}.json`)),
    );
    // What was set aside in the generation before this one is the survivor's copy as well.
    const held = data ?? setAside.filter((each) => each.generation === generation - 1).at(-1);
    if (held !== undefined) return held;
  }
  throw new Error(`${name} has sworn to nothing`);
}

/** A member that came back without its data has no vote yet, and is all that is left. */
function learner(): void {
  let restarts = 0;
  line({
    name: "survivor-learner",
    what: "a member is back without its data and still a learner; the two others and their volumes are destroyed",
    then: "the roll is called; the next generation begins with the learner's log",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [lost] = followers;
      assert.ok(lost);
      const old = machineOf(lost).instanceId;
      await destroyVolumes([lost], cluster.region);
      const { value: root } = await waitFor("another machine", 60, async () => {
        const { machine } = await memberNow(cluster, lost.name);
        return machine === undefined || machine.instanceId === old ? undefined : machine.root;
      });
      dieAt(root, "promote:ask:before");
      await waitFor("a learner that is about to ask for its vote", 180, () =>
        Promise.resolve(hasDied(root) ? true : undefined),
      );
      const survivor = await memberNow(cluster, lost.name);
      await stopAgent(survivor);
      assert.equal((await listed(leader, lost.name))?.isLearner, true, "it has its vote already");
      restarts = await etcdRestarts(survivor);
      const doomed = all.filter(({ name }) => name !== lost.name);
      const made = await destroyAllBut(stage, survivor, doomed);
      await startAgent(survivor);
      await named(stage, lost.name);
      return made;
    },
    check: async (stage, { result }) => {
      const name = String(result.notes["survivor"]);
      const { id, votersAtLast } = await sworn(stage, name);
      assert.ok(!votersAtLast.includes(id), "the survivor was a voter: this run shows nothing");
      await withoutLoop(stage, name, restarts);
    },
  });
}

/** Its removal is in the log of the only one that is left. */
function removed(): void {
  let restarts = 0;
  line({
    name: "survivor-removed",
    what: "a member is taken out of etcd's list by hand, and at once the two others and their volumes are destroyed",
    then: "the roll is called; the next generation begins with the removed member's log",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, writer, note } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [survivor] = followers;
      assert.ok(survivor);
      note("survivor", survivor.name);
      const id = (await listed(leader, survivor.name))?.id;
      assert.ok(id);
      // It would give up its data and come back as a learner while there still is a quorum.
      await stopAgent(survivor);
      restarts = await etcdRestarts(survivor);
      const floor = await writer.ownRevision(survivor.address);
      await etcdctl(leader, "member", "remove", id);
      const at = now();
      await destroyVolumes(
        all.filter((each) => each !== survivor),
        cluster.region,
      );
      const inEffectAt = now();
      const newest = (await cluster.bucketView().backups()).at(-1)?.revision ?? 0n;
      note("revision of the survivor before its removal", String(floor));
      const looping = (await etcdRestarts(survivor)) - restarts;
      note("restarts while nobody watched", looping);
      restarts += looping;
      await startAgent(survivor);
      await named(stage, survivor.name);
      return { at, inEffectAt, broken: true, survived: floor > newest ? floor : newest };
    },
    check: async (stage, { result }) => {
      const name = String(result.notes["survivor"]);
      const held = await sworn(stage, name);
      stage.note("the removal is committed there", held.removed === true ? "yes" : "no");
      assert.ok(!held.votersAtLast.includes(held.id), "its removal is not in its log");
      await withoutLoop(stage, name, restarts);
    },
  });
}

/** An id that no member has. */
const stranger = "c0ffee0000000001";

/**
 * Alarms travel in snapshots and logs. One that names nobody must not keep the next generation from serving: under a CORRUPT alarm
 * etcd refuses every write, whoever it names.
 */
function foreignAlarm(from: "survivor" | "backup"): void {
  const source = from === "survivor" ? "the survivor's log" : "the newest backup";
  line({
    name: `alarm-foreign-${from}`,
    what: `a CORRUPT alarm of an id that is no member's is in ${source}, and ${from === "survivor" ? "the two other machines and volumes" : "all machines and volumes"} are destroyed`,
    then: `the next generation begins with ${source}, alarm included; its leader takes the alarm back`,
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, writer } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [survivor] = followers;
      assert.ok(survivor);
      // The leader's would take it back within seconds.
      await Promise.all(all.map(stopAgent));
      await writer.raiseCorrupt(leader.address, stranger);
      await waitFor("the alarm on the survivor", 10, async () =>
        (await etcdctl(survivor, "alarm", "list")).includes("CORRUPT") ? true : undefined,
      );
      if (from === "backup") return loseEverything(stage, leader, all);
      const doomed = all.filter((each) => each !== survivor);
      const made = await destroyAllBut(stage, survivor, doomed);
      await startAgent(survivor);
      return made;
    },
    check: async (stage) => {
      await nextGeneration(stage);
      const said = await Promise.all(
        (await stage.cluster.members()).map(async (member) => {
          const { stdout } = await on(member, [
            ...["journalctl", "--unit=agent-boot.service", "--output=cat", "--no-pager"],
          ]);
          return stdout.split("\n").find((each) => each.includes(`of ${stranger}`));
        }),
      );
      const report = said.find((each) => each !== undefined);
      assert.ok(report, "nobody took the alarm back: it was not in the next generation");
      stage.note("said", report);
    },
  });
}

async function loseEverything(
  { cluster, note }: Stage,
  leader: Member,
  all: readonly Member[],
): Promise<Made> {
  note("backup", await backUp(leader));
  const newest = (await cluster.bucketView().backups()).at(-1);
  assert.ok(newest);
  const at = now();
  await destroyVolumes(all, cluster.region);
  return { at, inEffectAt: now(), broken: true, survived: newest.revision };
}
