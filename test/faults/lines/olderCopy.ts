import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { killMachines } from "../../../lab/cli/fault/actions.ts";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { labMarks } from "../../../lab/machines/marks.ts";
import { labState } from "../../../lab/paths.ts";
import { waitFor } from "../../lab/support.ts";
import { line, type Stage } from "../harness/line.ts";
import { etcdctl, listed, memberNow, on } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { setAside } from "./damage.ts";

const reportSchema = z.looseObject({
  reached: z.looseObject({ id: z.string(), index: z.number() }).optional(),
});

/** How far a member's log has come, as its report in the bucket says. */
async function reached({ cluster }: Stage, name: string): Promise<number> {
  const text = await cluster.bucketView().text(`control/reports/${name}.json`);
  return reportSchema.parse(JSON.parse(text)).reached?.index ?? 0;
}

/** The commit index of a member's etcd, from its metrics. */
async function committed(member: Member): Promise<number> {
  const { stdout } = await on(member, ["curl", "-s", `http://${member.address}:2381/metrics`]);
  const value = /^etcd_server_proposals_committed_total (\S+)$/m.exec(stdout)?.[1];
  assert.ok(value, "etcd's metrics do not tell the commit index");
  return Number(value);
}

/** Copies a volume's file as a snapshot is made of it: at one moment, under a file system that stands still for it. */
async function copyVolume(member: Member, file: string): Promise<void> {
  await on(member, ["fsfreeze", "--freeze", "/var/lib/etcd"]);
  try {
    await execa("cp", ["--sparse=always", "--reflink=auto", file, `${file}.older`]);
  } finally {
    await on(member, ["fsfreeze", "--unfreeze", "/var/lib/etcd"]);
  }
}

async function inUse(file: string): Promise<boolean> {
  const { stdout } = await execa("losetup", ["--noheadings", "--output", "NAME", "-j", file]);
  return stdout.trim() !== "";
}

/**
 * The content of a member's volume is what it was some thousand writes ago: a snapshot that somebody put back in place. Everything on it
 * goes well together. The leader is another one by then, so that etcd itself takes the short log without a word.
 */
export function olderCopy(): void {
  line({
    name: "older-copy",
    what: "a follower's machine dies, its volume's content is replaced by a copy of some thousand writes before, and another leader was elected meanwhile",
    then: "the copy is known by what the member had said in the bucket; it is set aside, never started, and the member re-joins as a learner with a new id",
    withinSeconds: 240,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { leader, followers } = await cluster.roles();
      const [hurt, other] = followers;
      assert.ok(hurt && other);
      note("member", hurt.name);
      const { volumeId } = machineOf(hurt);
      assert.ok(volumeId);
      const file = join(labState, "disks", `${labMarks().prefix}${volumeId}.img`);
      await copyVolume(hurt, file);
      const copied = await committed(hurt);
      await waitFor("the bucket to know of more", 180, async () =>
        (await reached(stage, hurt.name)) > copied + 1000 ? true : undefined,
      );
      note("entries that the copy lacks", (await committed(hurt)) - copied);
      const successor = (await listed(leader, other.name))?.id;
      assert.ok(successor);
      const at = now();
      await killMachines([hurt]);
      await waitFor("the dead machine to let go of its volume", 30, async () =>
        (await inUse(file)) ? undefined : true,
      );
      renameSync(`${file}.older`, file);
      assert.ok(!(await inUse(file)), "the next machine was faster: this run shows nothing");
      await etcdctl(leader, "move-leader", successor);
      return { at, inEffectAt: now(), broken: true };
    },
    check: async (stage, { made, before, back, result }) => {
      const name = String(result.notes["member"]);
      assert.notEqual(back.ids[name], before.ids[name], "forgotten entries serve and vote");
      const again = stage.writer.journal
        .read()
        .filter((each) => each.kind === "health")
        .filter(({ since, ids }) => since >= made.at + 5000 && ids[name] === before.ids[name]);
      assert.deepEqual(again.slice(0, 3), [], "forgotten entries were served for a while");
      const aside = await setAside(stage, name);
      assert.ok(aside.length > 0, "the older copy is gone");
      stage.note("set aside", aside.join(", "));
      const member = await memberNow(stage.cluster, name);
      const { stdout } = await on(member, [
        ...["journalctl", "--unit=agent-boot.service", "--output=cat", "--no-pager"],
      ]);
      const said = stdout.split("\n").find((each) => each.includes("an older copy of the volume"));
      assert.ok(said, "it was not known as an older copy");
      stage.note("said", said);
    },
  });
}
