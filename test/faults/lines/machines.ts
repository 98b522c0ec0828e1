import assert from "node:assert/strict";
import { bastionId, cutZone, killMachines } from "../../../lab/cli/fault/actions.ts";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { inside } from "../../lab/support.ts";
import { bareBootSeconds, bootSteps, launchedAt, wallClock, zoneOf } from "../harness/boot.ts";
import type { Cluster } from "../harness/cluster.ts";
import { line } from "../harness/line.ts";
import { now } from "../writer/clock.ts";

/** What a replacement may need beyond the boot of a machine that does nothing. */
const allowanceSeconds = 15;

/** How long a zone stays cut off. */
const cutSeconds = 30;

async function memberOf(cluster: Cluster, name: string): Promise<Member> {
  const member = (await cluster.members()).find((each) => each.name === name);
  assert.ok(member);
  return member;
}

/** Machines that die with their volumes intact, and zones that are cut off. */
export function machineLines(): void {
  for (const name of ["m1", "m2", "m3"]) replacementLine(name);
  line({
    name: "machine-all",
    what: "every machine dies at once; the volumes stay",
    then: "three replacements take over addresses and volumes and go on with the same ids",
    withinSeconds: 180,
    act: async ({ cluster }) => {
      const members = await cluster.members();
      const at = now();
      await killMachines(members);
      return { at, inEffectAt: now() };
    },
    check: (_, { before, back }) => {
      assert.deepEqual(back.ids, before.ids, "members keep their ids with their volumes");
    },
  });
  line({
    name: "data-lost",
    what: "a machine dies and its volume comes back without etcd's data",
    then: "the member is taken out of the list, added as a learner with a new id, and promoted",
    withinSeconds: 180,
    act: async ({ cluster, note }) => {
      const { followers } = await cluster.roles();
      const [lost] = followers;
      assert.ok(lost);
      note("member", lost.name);
      const { pid } = machineOf(lost);
      assert.ok(pid);
      const at = now();
      const wiped = await inside(pid, [
        "sh",
        "-c",
        "systemctl stop agent-boot && systemctl kill -s KILL etcd && rm -rf /var/lib/etcd/data && sync",
      ]);
      assert.equal(wiped.code, 0, wiped.stderr);
      await killMachines([lost]);
      return { at, inEffectAt: now(), broken: true };
    },
    check: ({ context }, { before, back, result }) => {
      const member = String(result.notes["member"]);
      assert.notEqual(
        back.ids[member],
        before.ids[member],
        "an identity whose data is gone returned",
      );
      context.diagnostic(`${member}: ${before.ids[member]} -> ${back.ids[member]}`);
    },
  });
  zoneLine();
}

function replacementLine(name: string): void {
  line({
    name: `machine-${name}`,
    what: `the machine of ${name} dies`,
    then: "its group launches another, which takes over address, volume and certificates: the same member, the same id",
    withinSeconds: 120,
    act: async ({ cluster, note }) => {
      const doomed = await memberOf(cluster, name);
      note("bare boot, s", (await bareBootSeconds(cluster.region, doomed)).toFixed(1));
      const { leader } = await cluster.roles();
      note("led", leader.name === name ? "yes" : "no");
      const at = now();
      await killMachines([doomed]);
      return { at, inEffectAt: now(), broken: true };
    },
    check: async ({ cluster, context, note }, { before, back, result }) => {
      const replaced = await memberOf(cluster, name);
      const { instanceId } = machineOf(replaced);
      assert.deepEqual(back.ids, before.ids, "the member keeps its id with its volume");
      const seconds = (wallClock(back.at) - launchedAt(instanceId)) / 1000;
      const bare = Number(result.notes["bare boot, s"]);
      note("launch to healthy, s", seconds.toFixed(1));
      const steps = await bootSteps(replaced);
      note(
        "steps, s from launch",
        steps.map((each) => `${each.step} ${each.seconds.toFixed(1)}`).join("; "),
      );
      context.diagnostic(JSON.stringify(result.notes));
      assert.ok(
        seconds <= bare + allowanceSeconds,
        `${seconds.toFixed(1)} s from launch to healthy; a bare machine needs ${bare.toFixed(1)} s`,
      );
    },
  });
}

/** The zone is one that the writer is not in: it is a client that lives. */
function zoneLine(): void {
  line({
    name: "zone",
    what: `a zone is cut off for ${cutSeconds} s`,
    then: "the majority serves; the cut member changes nothing and follows again when the zone is back",
    withinSeconds: cutSeconds + 90,
    act: async ({ cluster, note }) => {
      const zoneOfWriter = await zoneOf(cluster.region, await bastionId());
      const { leader, all } = await cluster.roles();
      // The leader where that is possible: then writes have something to resume from.
      const outside = [leader, ...all].find(({ zone }) => zone !== zoneOfWriter);
      assert.ok(outside);
      note("member", outside.name);
      note("led", outside.name === leader.name ? "yes" : "no");
      const at = now();
      await cutZone(outside.zone, true);
      const inEffectAt = now();
      await new Promise((resolve) => setTimeout(resolve, cutSeconds * 1000));
      await cutZone(outside.zone, false);
      note("cut for, s", cutSeconds);
      return { at, inEffectAt, broken: true };
    },
    check: (_, { before, back }) => {
      assert.deepEqual(back.ids, before.ids);
    },
  });
}
