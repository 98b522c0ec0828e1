import assert from "node:assert/strict";
import { z } from "zod";
import { machineOf, type Member } from "../../../lab/cli/fault/members.ts";
import { inside, waitFor } from "../../lab/support.ts";
import { aroundEach } from "../harness/deaths.ts";
import { line, type Stage } from "../harness/line.ts";
import { dieAt, hasDied, memberNow, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";
import { destroyAllBut, nextGeneration, recoverySeconds } from "./recovery.ts";

/** The effects on the way to fewer members, and to more. */
const shrinking = ["resize:leave", "resize:handOver", "resize:remove", "resize:drop"] as const;
const growing = ["resize:enter"] as const;

/** Longest that one attempt may take. */
const attemptSeconds = 90;

/** Points at which a resize may end for good, with everything else but one member. */
const fatal = [
  "resize:leave:after",
  "resize:remove:after",
  "resize:drop:after",
  "resize:enter:after",
] as const;

/** A member leaves and comes back, and whoever does it is killed before and after every step. */
export function resizeLines(): void {
  killedAgainAndAgain();
  for (const point of fatal) thenEverythingElse(point);
}

function killedAgainAndAgain(): void {
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

/**
 * A resize ends in its middle, and at once everything but the member that it ran on is destroyed. The next generation begins with what
 * the record says at that point: who is leaving does not come along, and who left is not waited for. Then the resize is done again.
 */
function thenEverythingElse(point: (typeof fatal)[number]): void {
  const grows = point.startsWith("resize:enter");
  line({
    name: `resize-majority-${point.split(":").slice(1).join("-")}`,
    what: `the leader ${grows ? "joins the cluster again" : "leaves the cluster"}, the process that does it dies at \`${point}\`, and the machines and volumes of all but the member it ran on are destroyed`,
    then: "the roll is called among those of the record; the next generation serves, and the resize goes on in it",
    withinSeconds: recoverySeconds,
    clusters: 2,
    act: async (stage) => {
      const { cluster, writer } = stage;
      const { leader, followers, all } = await cluster.roles();
      const [runner] = followers;
      assert.ok(runner);
      stage.note("member", leader.name);
      const everybody = await desired(stage);
      const staying = everybody.filter((each) => !each.startsWith(`${leader.name}=`));
      if (grows) {
        await resizeAgainAndAgain(runner, staying, []);
        await untilAnnounced(cluster, leader.name, "out", 60, ({ wait }) => wait === "roster");
      }
      assert.ok(await diesAt(runner, grows ? everybody : staying, point), `${point}: not passed`);
      const doomed = await Promise.all(
        all.filter((each) => each !== runner).map(({ name }) => memberNow(cluster, name)),
      );
      const made = await destroyAllBut(stage, runner, doomed);
      const { generation } = await cluster.bucketView().record();
      await waitFor("writes in the next generation", recoverySeconds, () => {
        const acknowledged = writer.journal.read().filter((each) => each.kind === "ack");
        const clusters = new Set(acknowledged.map(({ clusterId }) => clusterId));
        return Promise.resolve(clusters.size > 1 ? true : undefined);
      });
      const record = await cluster.bucketView().record();
      assert.deepEqual([record.generation, record.phase], [generation + 1, "open"]);
      stage.note("roster of the next generation", rosterIn(record));
      await wholeAgain(stage, runner.name, everybody);
      return made;
    },
    check: nextGeneration,
  });
}

const rosterIn = (record: unknown): string =>
  z
    .object({ roster: z.array(z.object({ name: z.string() })) })
    .parse(record)
    .roster.map(({ name }) => name)
    .sort()
    .join(", ");

/** Brings everybody back in; refused for as long as not all who are there already are well. */
async function wholeAgain(stage: Stage, name: string, members: readonly string[]): Promise<void> {
  await waitFor("all members to be in the roster again", recoverySeconds, async () => {
    const { pid } = machineOf(await memberNow(stage.cluster, name));
    assert.ok(pid);
    const { code, stdout, stderr } = await inside(pid, resizeTo(members), {
      timeoutSeconds: attemptSeconds,
    });
    if (code !== 0) throw new Error(stdout + stderr);
    return true;
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
    const { code, stdout, stderr } = await inside(pid, resizeTo(members), {
      timeoutSeconds: attemptSeconds,
    });
    if (point !== "" && hasDied(root)) died.push(point);
    else assert.equal(code, 0, stdout + stderr);
  }
  return died;
}

const resizeTo = (members: readonly string[]): string[] => [
  ...["etcd-agent", "resize", "--members", members.join(","), "--timeout-seconds", "60"],
];

/** Runs a resize that ends at a point, and answers whether it did. */
async function diesAt(runner: Member, members: readonly string[], point: string): Promise<boolean> {
  const { pid, root } = machineOf(runner);
  assert.ok(pid !== undefined && root !== undefined);
  dieAt(root, point);
  await inside(pid, resizeTo(members), { timeoutSeconds: attemptSeconds });
  return hasDied(root);
}
