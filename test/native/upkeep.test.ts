import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { UpkeepCluster } from "./upkeepCluster.ts";

/** Upkeep from the delivered bundle, with three real etcds: backups, restore drills, metrics. */

const cluster = new UpkeepCluster("127.78.0", 3, 2 ** 28, { keepLast: 3 });
const { cloud } = cluster;

const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const hashIn = (key: string): string => /-([0-9a-f]{64})\.db$/.exec(key)?.[1] ?? "";

/** The last followers's name: the one that holds drills. */
async function driller(): Promise<string> {
  const leader = await cluster.leader();
  const names = cluster.members.map(({ name }) => name).filter((name) => name !== leader);
  return names.at(-1) ?? "";
}

interface DrillResult {
  readonly newest: string;
  readonly proven?: string;
  readonly against?: string;
  readonly provenAt?: number;
  readonly corrupt: readonly { key: string; reason: string }[];
}

async function lastDrill(): Promise<DrillResult> {
  const text = await cluster.etcdctl("m1", "get", "etcd-cluster/drill", "--print-value-only");
  return JSON.parse(text) as DrillResult;
}

/** A drill is due once a day. */
async function forgetDrill(): Promise<void> {
  await cluster.etcdctl("m1", "del", "etcd-cluster/drill");
}

/** Makes all backups look old enough for the next one. */
function letAgePass(): void {
  for (const key of cloud.backups()) {
    const object = cloud.objects.get(key);
    cloud.objects.delete(key);
    if (object !== undefined) cloud.objects.set(key.replace(/-\d{8}T/, "-20200101T"), object);
  }
}

function metric(name: string, member: string): number | undefined {
  const call = cloud.calls.findLast(({ MetricData }) =>
    MetricData.some(({ Dimensions }) => Dimensions.some(({ Value }) => Value === member)),
  );
  return call?.MetricData.find(
    ({ MetricName, Dimensions }) => MetricName === name && Dimensions.length === 2,
  )?.Value;
}

describe("upkeep", { timeout: 300_000 }, () => {
  before(async () => {
    await cluster.start();
    for (let at = 0; at < 20; at += 1) await cluster.etcdctl("m1", "put", `key${at}`, `value${at}`);
  });
  after(async () => cluster.stop());

  it("backs up right after formation, from the leader only, what the key says and nothing else", async () => {
    const leader = await cluster.leader();
    for (const { name } of cluster.members.filter((each) => each.name !== leader)) {
      assert.deepEqual((await cluster.upkeep(name)).problems, {});
    }
    assert.deepEqual(cloud.backups(), []);
    // A look says that one is due, to whom it falls alone, and takes none.
    for (const { name } of cluster.members) assert.equal(await cluster.look(name), name === leader);
    assert.deepEqual(cloud.backups(), []);
    const { done, problems } = await cluster.upkeep(leader);
    assert.deepEqual(problems, {});
    const [key = "", ...others] = cloud.backups();
    assert.deepEqual(others, []);
    assert.deepEqual(done, [`backup ${key}`]);
    assert.match(key, new RegExp(`^backups/${leader}/g000001-t\\d{10}-i\\d{16}-r\\d{16}-`));
    const stored = cloud.objects.get(key);
    assert.equal(hashIn(key), sha256(stored?.body ?? Buffer.alloc(0)));
    // Twenty puts after revision 1.
    assert.match(key, /-r0000000000000021-/);
    assert.equal(stored?.metadata["reason"], "formed");
    assert.equal(stored.metadata["etcd-version"], "3.6.14");
    assert.equal(stored.metadata["cluster-uid"], cluster.clusterUid);
    assert.equal(stored.metadata["keys"], "20");
    assert.deepEqual(stored.tags, {});
    const left = readdirSync(join(cluster.root(leader), "var/lib/etcd/upkeep"));
    assert.deepEqual(left, []);
  });

  it("does not back up again before it is time", async () => {
    const leader = await cluster.leader();
    assert.equal(await cluster.look(leader), false);
    assert.deepEqual((await cluster.upkeep(leader)).done, []);
    assert.equal(cloud.backups().length, 1);
  });

  it("restores the newest backup on the last follower, and finds it right by the live cluster", async () => {
    const name = await driller();
    assert.equal(await cluster.look(name), true);
    const { done, problems } = await cluster.upkeep(name);
    assert.deepEqual(problems, {});
    assert.equal(done.length, 1);
    const drill = await lastDrill();
    assert.deepEqual(drill.corrupt, []);
    assert.equal(drill.proven, cloud.backups()[0]);
    assert.equal(drill.newest, drill.proven);
    assert.equal(drill.against, "live");
    assert.deepEqual(drill.corrupt, []);
    // Once a day.
    assert.equal(await cluster.look(name), false);
    assert.deepEqual((await cluster.upkeep(name)).done, []);
  });

  it("leaves the look to upkeep while that runs", async () => {
    const lock = join(cluster.root("m1"), "run/etcd-cluster/upkeep-run.lock");
    const holder = spawn("flock", ["--no-fork", lock, "cat"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    holder.stdin.write("held\n");
    await once(holder.stdout, "data");
    const before = cloud.calls.length;
    const { exitCode, stderr } = await cluster.agent("m1", "look");
    holder.stdin.end();
    await once(holder, "exit");
    assert.equal(exitCode, 1);
    assert.match(stderr, /another agent process is busy/);
    assert.equal(cloud.calls.length, before);
  });

  it("tells CloudWatch, in one call, what there is to tell", async () => {
    const leader = await cluster.leader();
    const before = cloud.calls.length;
    await cluster.look(leader);
    assert.equal(cloud.calls.length, before + 1);
    const call = cloud.calls.at(-1);
    assert.equal(call?.Namespace, "EtcdCluster");
    const values = Object.fromEntries(
      call.MetricData.filter(({ Dimensions }) => Dimensions.length === 2).map(
        ({ MetricName, Value }) => [MetricName, Value],
      ),
    );
    const { backupAge = -1, drillAge = -1, dbSize = 0, dbInUse = 0 } = values;
    assert.ok(backupAge >= 0 && backupAge < 120, `backupAge ${backupAge}`);
    assert.ok(drillAge >= 0 && drillAge < 120, `drillAge ${drillAge}`);
    assert.ok(dbInUse > 0 && dbSize >= dbInUse, `${dbInUse} of ${dbSize}`);
    assert.partialDeepStrictEqual(values, {
      ...{ healthy: 1, hasLeader: 1, isLeader: 1, quota: 2 ** 28, noSpace: 0, corrupt: 0 },
      // The test's certificates are good for a day.
      ...{ drillOk: 1, certificateDaysLeft: 0, rosterSeen: 3, rosterExpected: 3 },
      ...{ generation: 1, phase: 0, waiting: 0, memberCount: 3, clusterIdMismatch: 0, unknown: 0 },
    });
    // Read from etcd's own listener, since the run before this one.
    const { fsyncP99 = -1, commitP99 = -1, leaderChanges = -1 } = values;
    assert.ok(fsyncP99 >= 0 && commitP99 >= 0 && leaderChanges === 0, JSON.stringify(values));
  });

  it("takes one when asked, on any member, with everything that was acknowledged before", async () => {
    const leader = await cluster.leader();
    const follower = cluster.members.find(({ name }) => name !== leader)?.name ?? "";
    await cluster.etcdctl(leader, "put", "last", "word");
    const { exitCode, stdout, stderr } = await cluster.agent(
      follower,
      ...["backup", "--reason", "asked"],
    );
    assert.equal(exitCode, 0, stderr);
    const { key, revision } = JSON.parse(stdout) as { key: string; revision: number };
    assert.ok(cloud.objects.has(key));
    assert.match(key, new RegExp(`^backups/${follower}/`));
    // The drill's result, the word, and whatever was before.
    assert.equal(revision, 23);
    assert.equal(cloud.objects.get(key)?.metadata["reason"], "asked");
  });

  it("finds a flipped byte in the newest backup, and proves the next older one", async () => {
    await forgetDrill();
    const keys = cloud.backups();
    const byRevision = (key: string): string => /-i(\d{16})/.exec(key)?.[1] ?? "";
    const [newest = "", older = ""] = keys.sort((a, b) => (byRevision(a) < byRevision(b) ? 1 : -1));
    const object = cloud.objects.get(newest);
    assert.ok(object !== undefined);
    const good = Buffer.from(object.body);
    object.body[20_000] = (object.body[20_000] ?? 0) ^ 1;
    const { done, problems } = await cluster.upkeep(await driller());
    object.body = good;
    assert.deepEqual(problems, {});
    const drill = await lastDrill();
    assert.equal(drill.newest, newest);
    assert.equal(drill.proven, older);
    assert.deepEqual(
      drill.corrupt.map(({ key }) => key),
      [newest],
    );
    assert.match(drill.corrupt[0]?.reason ?? "", /has the hash/);
    assert.match(done[0] ?? "", /is not good/);
    await cluster.upkeep("m1");
    assert.equal(metric("drillOk", "m1"), 0);
  });

  it("finds backups whose bytes and names agree, but whose content is another cluster's", async () => {
    const other = new UpkeepCluster("127.79.0", 1, 2 ** 28);
    await other.start();
    const tried = async (reason: RegExp): Promise<void> => {
      await other.agent("m1", "backup", "--reason", "asked");
      const theirs = other.cloud.backups().at(-1) ?? "";
      cloud.put(theirs, other.cloud.objects.get(theirs)?.body ?? "");
      await forgetDrill();
      const before = cloud.backups();
      await cluster.upkeep(await driller());
      const { corrupt, proven, newest } = await lastDrill();
      assert.equal(newest, theirs);
      assert.deepEqual(
        corrupt.map(({ key }) => key),
        [theirs],
      );
      assert.match(corrupt[0]?.reason ?? "", reason);
      assert.notEqual(proven, undefined);
      // Reported, and left where it is.
      assert.deepEqual(cloud.backups(), before);
      cloud.objects.delete(theirs);
    };
    try {
      // Further on than ours by its log, at a revision that ours has seen: as many keys, other values.
      for (let at = 0; at < 10; at += 1) await other.etcdctl("m1", "put", `key${at}`, "other");
      for (let at = 0; at < 50; at += 1) await other.etcdctl("m1", "lease", "grant", "1000");
      await tried(/restored, its keys have the hash \d+ instead of \d+ \(live\)/);
      // And at a revision that ours has not reached.
      for (let at = 0; at < 50; at += 1) await other.etcdctl("m1", "put", "more", String(at));
      await tried(/of this generation, which is at \d+ only/);
    } finally {
      await other.stop();
    }
  });

  it("goes on without S3, says so, and catches up", async () => {
    const leader = await cluster.leader();
    cluster.writeRecord({});
    const count = cloud.backups().length;
    letAgePass();
    cloud.storeIsDown = true;
    const before = cloud.calls.length;
    const failed = await cluster.upkeep(leader);
    assert.match(failed.problems["backup"] ?? "", /./);
    assert.deepEqual(failed.done, []);
    // CloudWatch is another service: the metrics still come.
    assert.equal(cloud.calls.length, before + 1);
    assert.equal(metric("healthy", leader), 1);
    // Nothing can be decided without the bucket: the look says so, and starts nobody.
    assert.equal(await cluster.look(leader), false);
    assert.match(cluster.remembered(leader).problems["backup"] ?? "", /./);
    await cluster.etcdctl(leader, "put", "while", "down");
    cloud.storeIsDown = false;
    const again = await cluster.upkeep(leader);
    assert.deepEqual(again.problems, {});
    assert.deepEqual(cluster.remembered(leader).problems, {});
    assert.equal(cloud.backups().length, count + 1);
  });

  it("marks its own oldest backups for expiry, and deletes nothing", async () => {
    const leader = await cluster.leader();
    for (let at = 0; at < 4; at += 1) {
      await cluster.etcdctl(leader, "put", "round", String(at));
      const { exitCode, stderr } = await cluster.agent(leader, "backup", "--reason", "asked");
      assert.equal(exitCode, 0, stderr);
    }
    const before = cloud.backups();
    letAgePass();
    assert.deepEqual((await cluster.upkeep(leader)).problems, {});
    const own = cloud.backups().filter((key) => key.startsWith(`backups/${leader}/`));
    const marked = own.filter(
      (key) => cloud.objects.get(key)?.tags["etcd-cluster:expire"] === "yes",
    );
    assert.deepEqual(marked, own.slice(0, -3));
    assert.equal(cloud.backups().length, before.length + 1);
    const others = cloud.backups().filter((key) => !own.includes(key));
    assert.ok(others.every((key) => Object.keys(cloud.objects.get(key)?.tags ?? {}).length === 0));
  });

  it("sends nothing while the roll is called, and nothing of an older generation", async () => {
    const leader = await cluster.leader();
    const before = cloud.backups();
    for (const changes of [
      { phase: "rollCall", epoch: 2 },
      { generation: 2, epoch: 3 },
    ]) {
      cluster.writeRecord(changes);
      const { exitCode, stderr } = await cluster.agent(leader, "backup", "--reason", "asked");
      assert.equal(exitCode, 1);
      assert.match(stderr, /roll is called|is of generation 1, and the record is at 2/);
      assert.deepEqual((await cluster.upkeep(leader)).done, []);
    }
    cluster.writeRecord({});
    assert.deepEqual(cloud.backups(), before);
  });

  it("looks at the record again, after the snapshot and right before it is sent", async () => {
    const before = cloud.backups();
    let looks = 0;
    cloud.asked = (key) => {
      if (key !== "control/cluster.json") return;
      looks += 1;
      if (looks === 2) cluster.writeRecord({ phase: "rollCall", epoch: 2 });
    };
    const { exitCode, stderr } = await cluster.agent("m1", "backup", "--reason", "asked");
    cloud.asked = undefined;
    cluster.writeRecord({});
    assert.equal(exitCode, 1);
    assert.match(stderr, /no backup while the roll is called/);
    assert.equal(looks, 2);
    assert.deepEqual(cloud.backups(), before);
  });

  it("holds the lock that an attestation needs for as long as it sends", async () => {
    const lock = join(cluster.root("m1"), "run/etcd-cluster/upload.lock");
    const free = (): boolean => spawnSync("flock", ["--nonblock", lock, "true"]).status === 0;
    const held: boolean[] = [];
    cloud.asked = (key) => {
      if (key === "control/cluster.json") held.push(!free());
    };
    cloud.stored = () => held.push(!free());
    const { exitCode, stderr } = await cluster.agent("m1", "backup", "--reason", "asked");
    cloud.asked = undefined;
    cloud.stored = undefined;
    assert.equal(exitCode, 0, stderr);
    // The first look, before the work; the second look; the put.
    assert.deepEqual(held, [false, true, true]);
    assert.equal(free(), true);
  });

  it("does not believe that the bucket has what it was sent", async () => {
    let spoilt = "";
    cloud.stored = (key) => {
      const object = cloud.objects.get(key);
      if (object === undefined) return;
      spoilt = key;
      object.body[1000] = (object.body[1000] ?? 0) ^ 1;
    };
    await cluster.etcdctl("m1", "put", "another", "one");
    const { exitCode, stderr } = await cluster.agent("m1", "backup", "--reason", "asked");
    cloud.stored = undefined;
    assert.equal(exitCode, 1);
    assert.match(stderr, /the bucket has other bytes under backups\/m1\//);
    cloud.objects.delete(spoilt);
  });

  it("leaves no file behind, and removes what a run left that was ended", async () => {
    const left = join(cluster.root("m2"), "var/lib/etcd/upkeep/drill/data");
    mkdirSync(left, { recursive: true });
    await cluster.upkeep("m2");
    assert.equal(existsSync(left), false);
    for (const { name } of cluster.members) {
      const folder = join(cluster.root(name), "var/lib/etcd/upkeep");
      assert.deepEqual(existsSync(folder) ? readdirSync(folder) : [], []);
    }
  });
});
