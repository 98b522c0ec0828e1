import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutS3, killMachines, refuseS3 } from "../../../lab/cli/fault/actions.ts";
import { labMachines } from "../../../lab/cli/fault/members.ts";
import { fill } from "../../../lab/cli/fault/nospace.ts";
import { waitFor } from "../../lab/support.ts";
import { line, type Line } from "../harness/line.ts";
import { announced, memberNow, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";

/** How long S3 stays away. The whole figure of the promise is 600; two minutes show the same. */
const s3Seconds = Number(process.env["FAULT_S3_SECONDS"] ?? 120);

/** S3 that is away, a record that somebody deleted, a database that is full. */
export function storageLines(): void {
  line(s3Line("s3-unreachable", "packets to S3 are lost, for every member", "cut"));
  line(s3Line("s3-refuses", "S3 answers 503 to every machine", "refuse"));
  recordDeleted();
  line({
    name: "nospace",
    what: "the database is filled up to its quota under load",
    then: "etcd refuses writes; the agents compact, defragment one after the other and disarm",
    withinSeconds: 420,
    act: async ({ cluster, note }) => {
      const { followers } = await cluster.roles();
      const [through] = followers;
      assert.ok(through);
      const started = now();
      await fill(through, () => undefined);
      note("filled in, s", ((now() - started) / 1000).toFixed(0));
      return { at: now(), inEffectAt: now(), broken: true };
    },
    check: (_, { result }) => {
      assert.ok(result.resumedSeconds !== null, "nobody could write any more");
    },
  });
}

/** etcd does not notice that S3 is away; and when it is back, the backups are made up for. */
function s3Line(name: string, what: string, how: "cut" | "refuse"): Line {
  return {
    name,
    what: `${what}, for ${s3Seconds} s`,
    then: "etcd does not notice; backups grow older, and the next one follows when S3 is back",
    withinSeconds: 60,
    act: async ({ cluster, writer, note }) => {
      const members = await cluster.members();
      const before = (await cluster.bucketView().backups()).at(-1);
      const at = now();
      await (how === "cut" ? cutS3("s3", members) : refuseS3("all"));
      await sleep(s3Seconds * 1000);
      const during = (await cluster.bucketView().backups()).at(-1);
      assert.equal(during?.key, before?.key, "a backup got through: S3 was not away");
      await (how === "cut" ? cutS3("s3", []) : refuseS3([]));
      const healedAt = now();
      const looks = writer.journal.read().filter((each) => each.kind === "health");
      const unwell = looks.filter(({ since, healthy }) => since >= at && !healthy);
      assert.deepEqual(
        unwell.slice(0, 3).map(({ why }) => why),
        [],
        "etcd noticed",
      );
      note("away for, s", s3Seconds);
      if (before !== undefined) {
        const { value: next } = await waitFor("a backup after S3 came back", 300, async () => {
          const newest = (await cluster.bucketView().backups()).at(-1);
          return newest !== undefined && newest.key !== before.key ? newest : undefined;
        });
        note("next backup after, s", ((now() - healedAt) / 1000).toFixed(0));
        note("backup", next.key);
      }
      return { at, inEffectAt: at };
    },
    check: (_, { result }) => {
      assert.ok(result.silenceSeconds < 2, `nobody could write for ${result.silenceSeconds} s`);
    },
  };
}

/** Data on every disk and no record: nobody forms anything, and nobody starts on a machine that has not read the record. */
function recordDeleted(): void {
  line({
    name: "record-deleted",
    what: "the cluster record is deleted by force, then every machine dies; later the record is brought back",
    then: "the replacements wait, by name, and form nothing; with the record they go on as they were",
    withinSeconds: 240,
    act: async ({ cluster, note }) => {
      const members = await cluster.members();
      const bringBack = await cluster.bucketView().deleteRecord();
      const at = now();
      try {
        await killMachines(members);
        const old = new Set(members.map(({ machine }) => machine?.instanceId));
        for (const { name } of members) {
          await waitFor(`${name} to have another machine`, 60, async () => {
            const { machine } = await memberNow(cluster, name);
            return machine !== undefined && !old.has(machine.instanceId) ? true : undefined;
          });
          const said = await untilAnnounced(
            cluster,
            name,
            "waiting for the record",
            60,
            ({ wait }) => wait === "record",
          );
          note(`${name} says`, said.reason ?? "");
        }
        // Long enough for whoever would form something to do so.
        await sleep(15_000);
        for (const member of await cluster.members()) {
          assert.equal(announced(member)?.wait, "record", member.name);
        }
        assert.equal((await labMachines()).length, members.length + 1);
      } finally {
        await bringBack();
      }
      const record = await cluster.bucketView().record();
      note("generation", record.generation);
      return { at, inEffectAt: now() };
    },
    check: (_, { before, back }) => {
      assert.deepEqual(back.ids, before.ids);
    },
  });
}
