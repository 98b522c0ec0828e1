import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { UpkeepCluster, type Access } from "./upkeepCluster.ts";

/** Access control from the delivered bundle, with three real etcds: who may do what, and that all the agent does goes on. */

const cluster = new UpkeepCluster("127.84.0", 3, 2 ** 28);

const wish: Access = {
  enabled: true,
  users: [
    { name: "patroni", permissions: [{ prefix: "/service/", access: "readwrite" }] },
    { name: "reader", permissions: [{ prefix: "", access: "read" }] },
  ],
};

/** Runs upkeep on the leader, which must not complain. */
async function leaderDoes(): Promise<readonly string[]> {
  const leader = await cluster.leader();
  const due = await cluster.look(leader);
  const { done, problems } = await cluster.upkeep(leader);
  assert.deepEqual(problems, {});
  assert.equal(due, done.length > 0, `the look said ${due}, and upkeep did ${done.join("; ")}`);
  return done.filter((line) => !/^(backup|drill)/.test(line));
}

async function denied(user: string, ...args: readonly string[]): Promise<void> {
  await assert.rejects(cluster.etcdctlAs(user, ...args), /permission denied/, `${user} ${args[0]}`);
}

async function verifyAll(): Promise<void> {
  for (const { name } of cluster.members) {
    const { exitCode, stderr } = await cluster.agent(name, "verify", "--timeout-seconds", "30");
    assert.equal(exitCode, 0, stderr);
  }
}

void describe("access control", { timeout: 300_000 }, () => {
  before(async () => {
    await cluster.start();
  });
  after(async () => {
    await cluster.stop();
  });

  void it("off: every certificate may do everything, and nothing is touched", async () => {
    assert.deepEqual(await leaderDoes(), []);
    assert.equal(await cluster.etcdctlAs("stranger", "put", "/other", "1"), "OK");
  });

  void it("turned on while it runs, by the leader, once", async () => {
    cluster.desire(wish);
    const leader = await cluster.leader();
    const follower = cluster.members.find(({ name }) => name !== leader)?.name ?? "";
    assert.deepEqual((await cluster.upkeep(follower)).problems, {});
    assert.equal(await cluster.etcdctlAs("stranger", "put", "/other", "1"), "OK");
    const { exitCode, stderr } = await cluster.agent(leader, "verify", "--timeout-seconds", "2");
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /access control is off; the leader's upkeep turns it on/);
    const [done = ""] = await leaderDoes();
    assert.match(done, /addUser agent-m7;.*; access control: enabled$/);
    assert.deepEqual(await leaderDoes(), []);
    await verifyAll();
  });

  void it("the certificate's name is the user, and has the rights that were given", async () => {
    assert.equal(await cluster.etcdctlAs("patroni", "put", "/service/a", "1"), "OK");
    assert.equal(await cluster.etcdctlAs("operator", "put", "/other", "2"), "OK");
    assert.equal(await cluster.etcdctlAs("reader", "get", "/other", "--print-value-only"), "2");
    await denied("patroni", "put", "/other", "3");
    await denied("patroni", "get", "/service", "--prefix");
    await denied("reader", "put", "/service/a", "3");
    await denied("stranger", "get", "/service/a");
    await denied("patroni", "user", "list");
    await denied("reader", "snapshot", "save", join(cluster.root("m1"), "refused.db"));
  });

  void it("backups and restore drills go on, and access control travels in them", async () => {
    const { exitCode, stderr } = await cluster.agent("m1", "backup", "--reason", "planned");
    assert.equal(exitCode, 0, stderr);
    await cluster.etcdctl("m1", "del", "etcd-cluster/drill");
    const leader = await cluster.leader();
    const driller = cluster.members.findLast(({ name }) => name !== leader)?.name ?? "";
    const { done, problems } = await cluster.upkeep(driller);
    assert.deepEqual(problems, {});
    assert.match(done.join("\n"), /drill: backups\/m1\/\S+ was restored, and is right by/);
  });

  void it("other rights: only what differs is done, and what others made is left alone", async () => {
    await cluster.etcdctl("m1", "role", "add", "theirs");
    await cluster.etcdctl("m1", "user", "add", "somebody", "--no-password");
    await cluster.etcdctl("m1", "user", "grant-role", "somebody", "theirs");
    cluster.desire({
      enabled: true,
      users: [{ name: "patroni", permissions: [{ prefix: "/service/", access: "read" }] }],
    });
    const [done = ""] = await leaderDoes();
    assert.deepEqual(done.split("; "), [
      `grant etcd-cluster:patroni read from ${Buffer.from("/service/").toString("hex")}`,
      "deleteUser reader",
      "deleteRole etcd-cluster:reader",
    ]);
    assert.equal(
      await cluster.etcdctlAs("patroni", "get", "/service/a", "--print-value-only"),
      "1",
    );
    await denied("patroni", "put", "/service/a", "2");
    await denied("reader", "get", "/other");
    assert.match(await cluster.etcdctl("m1", "user", "get", "somebody"), /theirs/);
  });

  void it("somebody else's hand is undone", async () => {
    const leader = await cluster.leader();
    // The leader's own user is for a person to bring back: without it its agent may do nothing.
    const other = cluster.members.find(({ name }) => name !== leader)?.name ?? "";
    await cluster.etcdctl("m1", "user", "delete", `agent-${other}`);
    const [done = ""] = await leaderDoes();
    assert.equal(done, `addUser agent-${other}; agent-${other} has the role root`);
    await cluster.etcdctl("m1", "auth", "disable");
    assert.deepEqual(await leaderDoes(), ["access control: enabled"]);
    await verifyAll();
  });

  void it("turned off again", async () => {
    cluster.desire({ enabled: false, users: [] });
    assert.deepEqual(await leaderDoes(), ["access control: disabled"]);
    assert.deepEqual(await leaderDoes(), []);
    assert.equal(await cluster.etcdctlAs("stranger", "put", "/other", "9"), "OK");
    await verifyAll();
  });
});
