import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { execa } from "execa";
import { ensureEtcd, etcdPrograms } from "../../lab/toolchain/artifacts.ts";
import { AgentMachine, installStubs, type ClusterRecord } from "./agentMachine.ts";
import { EtcdProcesses } from "./etcdProcesses.ts";
import { FakeS3 } from "./fakeS3.ts";

/**
 * A roll call from its beginning to the next generation's data: the agents' real decisions and effects, the data of a real etcd, and a
 * bucket on loopback. Two of three volumes are blank; what the third one's log holds must be in the next generation.
 */

const base = mkdtempSync(join(tmpdir(), "etcd-recovery-"));
const clusterUid = "3f6f2f0e-6d7c-4d55-9a55-0d3c3a1f7b11";
const bump = 1_000_000_000;
let takeStubsAway: () => void;
let etcdFolder: string;
/** Data directory of a member that was killed with its cluster. */
let survivor: string;

/** The record of a cluster whose roll is called. */
function called(changes: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    ...{ clusterUid, generation: 1, token: "test-1", epoch: 2, phase: "rollCall" },
    initial: ["m1", "m2", "m3"],
    roster: [1, 2, 3].map((number) => ({
      name: `m${number}`,
      address: `127.78.0.${number + 10}`,
      volumeId: `vol-0000000${number}`,
    })),
    ...{ joined: ["m1", "m2", "m3"], formed: true, source: { kind: "new" }, earlierSources: [] },
    nonce: "11111111-2222-4333-8444-555555555555",
    ...changes,
  };
}

describe("from a roll call to the next generation", { timeout: 180_000 }, () => {
  let s3: FakeS3;
  let machines: AgentMachine[];

  const machine = (name: string): AgentMachine => {
    const found = machines.find((each) => each.name === name);
    assert.ok(found);
    return found;
  };
  const put = (record: ClusterRecord): void => {
    s3.objects.set("control/cluster.json", Buffer.from(JSON.stringify(record)));
  };
  const record = (): ClusterRecord => s3.json("control/cluster.json") as ClusterRecord;

  /** Gives a machine the survivor's data, as its agent would have marked it. */
  const give = (to: AgentMachine): void => {
    cpSync(survivor, to.at("var/lib/etcd/data"), { recursive: true });
    const marker = {
      ...{ clusterUid, member: to.name, volumeId: to.volumeId, generation: 1 },
      instanceId: "i-00000009",
    };
    writeFileSync(to.at("var/lib/etcd/data/etcd-cluster.json"), JSON.stringify(marker));
  };

  /** Rounds of one machine until it decides something else than these. */
  const rounds = async (name: string, kinds: readonly string[]): Promise<void> => {
    for (const kind of kinds) {
      const action = await machine(name).round();
      assert.equal(action.kind, kind, JSON.stringify(action));
    }
  };

  before(async () => {
    etcdFolder = etcdPrograms(await ensureEtcd("3.6.14", () => undefined), "3.6.14");
    const etcds = new EtcdProcesses(join(base, "cluster"), etcdFolder, "127.78.0.1");
    try {
      const members = await etcds.form(["a", "b", "c"]);
      const [first, , last] = members;
      assert.ok(first && last);
      for (let count = 0; count < 50; count += 1)
        await etcds.put(first, `key-${count % 7}`, `${count}`);
      await etcds.put(first, "last", "acknowledged");
      await etcds.etcdctl(last, "get", "last");
      survivor = last.data;
    } finally {
      await etcds.end();
    }
    takeStubsAway = installStubs(base);
  });

  after(() => {
    takeStubsAway();
    rmSync(base, { recursive: true, force: true });
  });

  beforeEach(async () => {
    s3 = new FakeS3();
    await s3.start();
    machines = ["m1", "m2", "m3"].map(
      (name) => new AgentMachine(base, name, s3.client, etcdFolder),
    );
  });

  afterEach(async () => s3.stop());

  it("holds, attests what the log says, hands it over, and restores it everywhere", async () => {
    give(machine("m3"));
    put(called());
    await rounds("m3", ["hold", "attest", "wait"]);
    await rounds("m1", ["attest", "wait"]);
    assert.equal(
      readFileSync(machine("m3").at("var/lib/etcd/data/etcd-cluster.held"), "utf8"),
      "2\n",
    );
    const log = await machine("m3").agent.readLog(survivor);
    assert.deepEqual(s3.json("control/attestations/2/m3.json"), {
      ...{ schema: 1, clusterUid, member: "m3", epoch: 2 },
      ...{ instanceId: "i-00000003", volumeId: "vol-00000003", setAside: [] },
      data: {
        commit: Number(log.commit),
        ...{ generation: 1, term: Number(log.term), index: Number(log.index), id: log.memberId },
        ...{ votersAtCommit: log.votersAtCommit, votersAtLast: log.votersAtLast },
      },
    });
    assert.equal(log.votersAtLast.length, 3);
    await rounds("m2", ["attest", "wait"]);
    const untouched = readdirSync(machine("m3").at("var/lib/etcd/data/member/wal"));
    await rounds("m3", ["propose"]);
    const next = record();
    assert.equal(next.generation, 2);
    assert.equal(next.phase, "open");
    assert.equal(next.epoch, 3);
    assert.deepEqual(next.joined, []);
    const source = next["source"] as { key: string; sha256: string; bump: number; rank: object };
    assert.equal(source.bump, bump);
    assert.deepEqual(source.rank, {
      generation: 1,
      term: Number(log.term),
      index: Number(log.index),
    });
    const bytes = s3.objects.get(source.key);
    assert.ok(bytes);
    assert.equal(createHash("sha256").update(bytes).digest("hex"), source.sha256);
    assert.deepEqual(readdirSync(machine("m3").at("var/lib/etcd/data/member/wal")), untouched);
    assert.equal(existsSync(machine("m3").at("var/lib/etcd/scratch")), false);

    await rounds("m3", ["setAside", "restore"]);
    await rounds("m1", ["restore"]);
    assert.deepEqual(record().joined, ["m1", "m3"]);
    assert.equal(record()["formed"], true);
    const aside = readdirSync(machine("m3").at("var/lib/etcd")).find((name) =>
      name.startsWith("set-aside-1-"),
    );
    assert.ok(aside !== undefined);
    const ids = [];
    for (const name of ["m1", "m3"]) {
      const data = machine(name).at("var/lib/etcd/data");
      const restored = await machine(name).agent.readDatabase(join(data, "member", "snap", "db"));
      assert.ok((restored.revision ?? 0n) > BigInt(bump));
      const { votersAtLast, memberId } = await machine(name).agent.readLog(data);
      assert.equal(votersAtLast.length, 3);
      ids.push(memberId);
      const marker = JSON.parse(readFileSync(join(data, "etcd-cluster.json"), "utf8")) as object;
      assert.deepEqual(marker, {
        ...{ clusterUid, member: name, volumeId: machine(name).volumeId, generation: 2 },
        instanceId: `i-0000000${name.slice(1)}`,
      });
      assert.match(
        readFileSync(machine(name).at("etc/etcd/etcd.env"), "utf8"),
        /^ETCD_INITIAL_CLUSTER_STATE=existing$/m,
      );
    }
    assert.notEqual(ids[0], ids[1]);
    const held = await execa(join(etcdFolder, "etcdutl"), [
      ...["snapshot", "status", "--write-out=json"],
      join(machine("m1").at("var/lib/etcd/data"), "member", "snap", "db"),
    ]);
    assert.equal((JSON.parse(held.stdout) as { totalKey: number }).totalKey > 8, true, held.stdout);
  });

  it("a restore that ended half-way goes on where it may, and begins again where it must", async () => {
    give(machine("m3"));
    put(called());
    await rounds("m3", ["hold", "attest"]);
    await rounds("m1", ["attest"]);
    await rounds("m2", ["attest"]);
    await rounds("m3", ["propose"]);
    // What an attempt that was killed left is no data, and is not taken for any.
    const partial = machine("m2").at("var/lib/etcd/data.restoring");
    cpSync(survivor, partial, { recursive: true });
    assert.equal((await machine("m2").agent.inspectFolder()).kind, "blank");
    // The name cannot be put into `joined`, and this ends before the data is in its place.
    let named = 0;
    s3.refuse = (key) => key === "control/cluster.json" && (named += 1) > 1;
    await assert.rejects(machine("m2").round(), /SlowDown|cannot be read/);
    assert.equal(existsSync(machine("m2").at("var/lib/etcd/data")), false);
    assert.equal(existsSync(join(partial, "etcd-cluster.intent")), true);
    assert.deepEqual(record().joined, []);
    // Its put went through all the same, and the answer was lost: the intent says that etcd never ran here.
    put({ ...record(), joined: ["m2"] });
    // From here on the source is not needed any more.
    s3.refuse = (key) => key.startsWith("control/sources/");
    await rounds("m2", ["restore"]);
    assert.equal(existsSync(partial), false);
    assert.deepEqual(record().joined, ["m2"]);
    assert.equal((await machine("m2").agent.inspectFolder()).kind, "data");
    await rounds("m2", ["start"]);
  });

  it("a source that is not what the record says is never restored, and is said to be unreadable", async () => {
    const sha256 = "a".repeat(64);
    const source = {
      ...{ kind: "snapshot", key: `control/sources/${sha256}`, sha256, bump },
      rank: { generation: 1, term: 2, index: 3 },
    };
    put(called({ phase: "open", generation: 2, epoch: 3, joined: [], formed: false, source }));
    // A sound database, but another one.
    const other = join(survivor, "member", "snap", "db");
    s3.objects.set(`control/sources/${sha256}`, readFileSync(other));
    await rounds("m1", ["restore", "report"]);
    assert.deepEqual([...machine("m1").memory.unreadable], [sha256]);
    assert.deepEqual(s3.json("control/reports/m1.json"), {
      ...{ schema: 1, clusterUid, member: "m1", epoch: 3, holds: "blank", unreadable: sha256 },
      ...{ instanceId: "i-00000001", volumeId: "vol-00000001" },
    });
    assert.deepEqual(record().joined, []);
    assert.equal((await machine("m1").agent.inspectFolder()).kind, "blank");
  });

  it("a source that cannot be fetched now is not unreadable", async () => {
    const sha256 = "a".repeat(64);
    const source = {
      ...{ kind: "snapshot", key: `control/sources/${sha256}`, sha256, bump },
      rank: { generation: 1, term: 2, index: 3 },
    };
    put(called({ phase: "open", generation: 2, epoch: 3, joined: [], formed: false, source }));
    s3.refuse = (key) => key.startsWith("control/sources/");
    await assert.rejects(machine("m1").round(), /SlowDown/);
    assert.deepEqual([...machine("m1").memory.unreadable], []);
  });

  it("whoever loses against a change of the record begins nothing", async () => {
    give(machine("m3"));
    put(called());
    await rounds("m3", ["hold", "attest"]);
    await rounds("m1", ["attest"]);
    await rounds("m2", ["attest"]);
    const other = called({
      phase: "open",
      epoch: 3,
      nonce: "22222222-2222-4333-8444-555555555555",
    });
    s3.refuse = (key) => {
      // While the source is on its way, somebody closes the roll call.
      if (key.startsWith("control/sources/")) put(other);
      return false;
    };
    await rounds("m3", ["propose"]);
    assert.deepEqual(record(), other);
  });

  it("a damaged survivor is attested as such, and waited for, not given up", async () => {
    const m3 = machine("m3");
    give(m3);
    put(called());
    writeFileSync(m3.at("var/lib/etcd/data/etcd-cluster.commit"), "999999\n");
    writeFileSync(m3.at("var/lib/etcd/data/etcd-cluster.damage"), "it ends too early\n");
    await rounds("m3", ["hold", "attest"]);
    const attested = s3.json("control/attestations/2/m3.json") as { data: { damage: string } };
    assert.equal(attested.data.damage, "it ends too early");
    await rounds("m1", ["attest"]);
    await rounds("m2", ["attest"]);
    await rounds("m1", ["wait"]);
    assert.equal((await m3.agent.inspectFolder()).kind, "data");
  });
});
