import assert from "node:assert/strict";
import { killMachines } from "../../../lab/cli/fault/actions.ts";
import { Damage, damage } from "../../../lab/cli/fault/damage.ts";
import { machineOf } from "../../../lab/cli/fault/members.ts";
import { line, type Stage } from "../harness/line.ts";
import { memberNow, on, untilAnnounced } from "../harness/machine.ts";
import { now } from "../writer/clock.ts";

const data = "/var/lib/etcd/data";
const marker = `${data}/etcd-cluster.json`;

/** Files that a disk has hurt, and disks that are not what they should be. */
export function damageLines(): void {
  for (const how of Object.values(Damage)) oneDamaged(how);
  twoDamaged();
  for (const role of ["clusterUid", "member", "volumeId"] as const) wrongDisk(role);
  olderGeneration();
}

/** What of a member's data was put out of the way; nothing of it is ever deleted. */
export async function setAside({ cluster }: Stage, name: string): Promise<string[]> {
  const member = await memberNow(cluster, name);
  const { stdout } = await on(member, ["sh", "-c", "ls -1 /var/lib/etcd"]);
  return stdout
    .split("\n")
    .filter((each) => each !== "" && each !== "data" && each !== "lost+found");
}

function oneDamaged(how: Damage): void {
  line({
    name: `damaged-${how}`,
    then: "the data is set aside, never deleted, and the member re-joins as a learner with a new id",
    what: `a follower's ${how.startsWith("wal") ? "log" : "database"} is damaged (${how})`,
    withinSeconds: 240,
    act: async ({ cluster, note }) => {
      const { followers } = await cluster.roles();
      const [hurt] = followers;
      assert.ok(hurt);
      note("member", hurt.name);
      const at = now();
      note("damage", damage(hurt, how));
      return { at, inEffectAt: now(), broken: true };
    },
    check: async (stage, { before, back, result }) => {
      const member = String(result.notes["member"]);
      assert.notEqual(back.ids[member], before.ids[member], "damaged data serves again");
      const aside = await setAside(stage, member);
      assert.ok(aside.length > 0, "the damaged data is gone");
      stage.note("set aside", aside.join(", "));
    },
  });
}

/** With a second one damaged there is no quorum to compare with: both are held, and what they hold takes part in the roll call. */
function twoDamaged(): void {
  line({
    name: "damaged-two",
    then: "both are held; the roll is called, and the next generation begins with the intact copy",
    what: "the logs of both followers are damaged at once (wal-flipped)",
    withinSeconds: 300,
    clusters: 2,
    act: async ({ cluster, note }) => {
      const { followers } = await cluster.roles();
      const at = now();
      for (const hurt of followers) note(hurt.name, damage(hurt, Damage.WalFlipped));
      return { at, inEffectAt: now(), broken: true };
    },
    check: async (stage, { result }) => {
      for (const name of Object.keys(result.notes).filter((each) => /^m\d$/.test(each))) {
        const aside = await setAside(stage, name);
        assert.ok(aside.length > 0, `the damaged data of ${name} is gone`);
      }
    },
  });
}

/** Changes a field of the marker of a member that is down; answers what it was. */
async function editMarker(
  stage: Stage,
  name: string,
  field: string,
  value: unknown,
): Promise<string> {
  const member = await memberNow(stage.cluster, name);
  const { stdout } = await on(member, ["cat", marker]);
  const changed = JSON.stringify({ ...(JSON.parse(stdout) as object), [field]: value });
  await on(member, ["sh", "-c", 'printf "%s\\n" "$1" > "$2" && sync', "sh", changed, marker]);
  return stdout;
}

/**
 * A disk that says of itself that it is another cluster's, another member's, or another volume's copy. The machine is exchanged, as
 * that is when a disk is looked at; what is on the disk stays, and when the marker is put right the member goes on with it.
 */
function wrongDisk(field: "clusterUid" | "member" | "volumeId"): void {
  const foreign = {
    clusterUid: "00000000-0000-4000-8000-000000000000",
    member: "m9",
    volumeId: "vol-0badbadbadbadbad0",
  }[field];
  const kind = { clusterUid: "cluster", member: "member", volumeId: "copy" }[field];
  line({
    name: `wrong-disk-${kind}`,
    then: "refused, and left alone",
    what: `a disk whose marker names another ${field}`,
    withinSeconds: 240,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { followers } = await cluster.roles();
      const [hurt] = followers;
      assert.ok(hurt);
      const at = now();
      await on(hurt, ["sh", "-c", "systemctl stop agent-boot && systemctl kill -s KILL etcd"]);
      const right = await editMarker(stage, hurt.name, field, foreign);
      const old = machineOf(hurt).instanceId;
      await killMachines([hurt]);
      const said = await untilAnnounced(
        cluster,
        hurt.name,
        "refused",
        120,
        ({ state }) => state === "refused",
      );
      note("member", hurt.name);
      note("it says", said.reason ?? "");
      const now_ = await memberNow(cluster, hurt.name);
      assert.notEqual(machineOf(now_).instanceId, old);
      const untouched = await on(now_, ["ls", `${data}/member/wal`]);
      assert.match(untouched.stdout, /\.wal/);
      await on(now_, ["sh", "-c", 'printf "%s" "$1" > "$2" && sync', "sh", right, marker]);
      return { at, inEffectAt: now(), broken: true };
    },
    check: (_, { before, back }) => {
      assert.deepEqual(back.ids, before.ids, "the data was right all along");
    },
  });
}

/** Data of a generation before this one comes back, as from a machine that slept through a recovery. */
function olderGeneration(): void {
  line({
    name: "older-generation",
    then: "the data is set aside, and the member re-joins as a learner with a new id",
    what: "a disk with data of an older generation",
    unless: async (lab) =>
      (await lab.bucketView().record()).generation > 1
        ? undefined
        : "this lab is in its first generation; run it after a recovery",
    withinSeconds: 240,
    act: async (stage) => {
      const { cluster, note } = stage;
      const { followers } = await cluster.roles();
      const [hurt] = followers;
      assert.ok(hurt);
      note("member", hurt.name);
      const at = now();
      await on(hurt, ["sh", "-c", "systemctl stop agent-boot && systemctl kill -s KILL etcd"]);
      const { generation } = await cluster.bucketView().record();
      await editMarker(stage, hurt.name, "generation", generation - 1);
      await killMachines([hurt]);
      return { at, inEffectAt: now(), broken: true };
    },
    check: async (stage, { before, back, result }) => {
      const member = String(result.notes["member"]);
      assert.notEqual(back.ids[member], before.ids[member]);
      assert.ok((await setAside(stage, member)).length > 0, "the old data is gone");
    },
  });
}
