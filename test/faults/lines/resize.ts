import assert from "node:assert/strict";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { inside } from "../../lab/support.ts";
import { aroundEach } from "../harness/deaths.ts";
import { line, type Stage } from "../harness/line.ts";
import { dieAt, hasDied, memberNow, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";

/** The effects on the way to fewer members, and to more. */
const shrinking = ["resize:leave", "resize:handOver", "resize:remove", "resize:drop"] as const;
const growing = ["resize:enter"] as const;

/** Longest that one attempt may take. */
const attemptSeconds = 90;

/** A member leaves and comes back, and whoever does it is killed before and after every step. */
export function resizeLines(): void {
  line({
    name: "resize-killed",
    what: "the leader leaves the cluster and joins it again, and the process that does it dies around every step",
    then: "what was begun goes on where it stopped, on whatever member it is started again",
    withinSeconds: 240,
    act: async (stage) => {
      const { leader, followers } = await stage.cluster.roles();
      const [runner] = followers;
      assert.ok(runner);
      stage.note("member", leader.name);
      const everybody = await desired(stage);
      const staying = everybody.filter((each) => !each.startsWith(`${leader.name}=`));
      const at = now();
      const deaths = await resizeAgainAndAgain(runner, staying, aroundEach(shrinking));
      await untilAnnounced(stage.cluster, leader.name, "out", 60, ({ wait }) => wait === "roster");
      const inEffectAt = now();
      deaths.push(...(await resizeAgainAndAgain(runner, everybody, aroundEach(growing))));
      stage.note("deaths", deaths.join(", "));
      assert.ok(deaths.length >= 6, `only ${deaths.length} deaths: nothing was shown`);
      return { at, inEffectAt, broken: true };
    },
    check: async ({ cluster }, { before, back, result }) => {
      const member = String(result.notes["member"]);
      assert.notEqual(back.ids[member], before.ids[member], "an id that was removed returned");
      const record = await cluster.bucketView().record();
      assert.equal(record.phase, "open");
    },
  });
}

/** All members as `resize` wants them: name, address, volume. */
async function desired({ cluster }: Stage): Promise<string[]> {
  const members = await Promise.all(cluster.declared.map(({ name }) => memberNow(cluster, name)));
  return members.map((member) => {
    const { volumeId } = machineOf(member);
    assert.ok(volumeId, `${member.name} has no volume`);
    return `${member.name}=${member.address}=${volumeId}`;
  });
}

/** Runs a resize to its end, killed at one point after the other; answers the points at which it died. */
async function resizeAgainAndAgain(
  runner: Member,
  members: readonly string[],
  points: readonly string[],
): Promise<string[]> {
  const { pid, root } = machineOf(runner);
  assert.ok(pid !== undefined && root !== undefined);
  const died: string[] = [];
  for (const point of [...points, ""]) {
    if (point !== "") dieAt(root, point);
    const { code, stdout, stderr } = await inside(
      pid,
      ["etcd-agent", "resize", "--members", members.join(","), "--timeout-seconds", "60"],
      { timeoutSeconds: attemptSeconds },
    );
    if (point !== "" && hasDied(root)) died.push(point);
    else assert.equal(code, 0, stdout + stderr);
  }
  return died;
}
