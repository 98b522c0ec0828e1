import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { UpkeepCluster } from "./upkeepCluster.ts";

/** The disk's budget with three real etcds whose quota is used up under load. */

const quotaBytes = 2 ** 26;
const cluster = new UpkeepCluster("127.80.0", 3, quotaBytes);

/** Writes until etcd takes no more. */
async function fill(bytes: number, keyOf: (at: number) => string): Promise<void> {
  const value = "v".repeat(bytes);
  for (let at = 0; at < quotaBytes / bytes + 1; at += 1) {
    try {
      await cluster.write("m1", keyOf(at), value);
    } catch (error) {
      assert.match(String(error), /database space exceeded/);
      return;
    }
  }
  assert.fail("etcd has no quota");
}

async function databaseBytes(): Promise<number[]> {
  return Promise.all(
    cluster.members.map(async ({ name }) => {
      const text = await cluster.etcdctl(name, "endpoint", "status", "-w", "json");
      const [answer] = JSON.parse(text) as [{ Status: { dbSize: number } }];
      return answer.Status.dbSize;
    }),
  );
}

describe("the disk's budget", { timeout: 300_000 }, () => {
  before(async () => cluster.start());
  after(async () => cluster.stop());

  it("cures NOSPACE without a person, under a writer that does not give up", async () => {
    // The same key again and again: nothing but history.
    await fill(1_000_000, () => "history");
    assert.match(await cluster.etcdctl("m1", "alarm", "list"), /NOSPACE/);
    let resumed = false;
    const writer = (async () => {
      while (!resumed) {
        resumed = await cluster.write("m1", "beat", "1").then(
          () => true,
          () => false,
        );
        await sleep(100);
      }
    })();
    const leader = await cluster.leader();
    for (const { name } of cluster.members.filter((each) => each.name !== leader)) {
      assert.deepEqual((await cluster.upkeep(name)).done, []);
    }
    assert.equal(resumed, false);
    const { done, problems } = await cluster.upkeep(leader);
    assert.equal(problems["budget"], undefined);
    assert.match(done.join("\n"), /compacted, defragmented m\d, m\d, m\d, and writes are taken/);
    await writer;
    assert.equal(await cluster.etcdctl("m1", "alarm", "list"), "");
    for (const bytes of await databaseBytes()) assert.ok(bytes < quotaBytes / 4, `${bytes}`);
    // Before it was cured it was reported.
    const told = cluster.cloud.calls.some(({ MetricData }) =>
      MetricData.some(({ MetricName, Value }) => MetricName === "noSpace" && Value === 1),
    );
    assert.equal(told, true);
  });

  it("says so when nothing can be given back, and does not wear the members down", async () => {
    // Every time another key: all of it is wanted. (Larger values leave more air in the file.)
    await fill(200_000, (at) => `kept-${at}`);
    const leader = await cluster.leader();
    assert.ok(Math.max(...(await databaseBytes())) > 0.95 * quotaBytes);
    // The last cure was a moment ago, as far as this machine knows.
    await cluster.upkeep(leader);
    assert.match(await cluster.etcdctl("m1", "alarm", "list"), /NOSPACE/);
    // A little can still be given back, as often as it is worth it; then it is said that nothing can.
    let said: string | undefined;
    for (let round = 0; round < 4 && said === undefined; round += 1) {
      cluster.forget(leader);
      said = (await cluster.upkeep(leader)).problems["budget"];
      if (said === undefined) await fill(200_000, (at) => `kept-${round}-${at}`);
    }
    assert.match(said ?? "", /is used up by what is not to be given back: m\d, m\d, m\d$/);
    assert.match(await cluster.etcdctl("m1", "alarm", "list"), /NOSPACE/);
    // Deleted by whoever wrote it, it is cured again.
    await cluster.etcdctl("m1", "del", "--prefix", "kept-");
    cluster.forget(leader);
    const again = await cluster.upkeep(leader);
    assert.equal(again.problems["budget"], undefined);
    assert.equal(await cluster.etcdctl("m1", "alarm", "list"), "");
  });
});
