import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { spawn } from "node:child_process";
import { execa } from "execa";
import { etcdModules, type EtcdVersion } from "../../lab/toolchain/artifacts.ts";
import { agentLibrary, type Recovered } from "./agentLibrary.ts";
import { EtcdProcesses, type Member } from "./etcdProcesses.ts";
import { programsOf } from "./etcdPrograms.ts";

/**
 * What is recovered from the data of one member, with real etcds on loopback: everything that was ever acknowledged and is in its log,
 * whatever the member was. Other minors than the default one run where they have been built, or with ETCD_ALL_MINORS=1.
 */

const agent = agentLibrary();
const base = mkdtempSync(join(tmpdir(), "etcd-survivor-"));
after(() => {
  rmSync(base, { recursive: true, force: true });
});

const defaultVersion: EtcdVersion = "3.6.14";
const silent = (): void => undefined;
const trials = Number(process.env["SURVIVOR_TRIALS"] ?? 4);
const options = ["--strict-reconfig-check=false", "--snapshot-count", "25"];

/** Hashes of all files, to see that nothing was altered. */
function fingerprint(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    files
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
  );
}

/** etcd, the member's own data, --force-new-cluster: what the agent must not do. Its exit code; undefined when it still ran. */
async function forced(programs: string, data: string): Promise<string> {
  const copy = join(base, "forced");
  rmSync(copy, { recursive: true, force: true });
  cpSync(data, copy, { recursive: true });
  const url = (port: number): string => `http://127.88.2.9:${port}`;
  const child = spawn(
    join(programs, "etcd"),
    [
      ...["--name", "forced", "--data-dir", copy, "--force-new-cluster", "--log-level", "warn"],
      ...["--listen-client-urls", url(2379), "--advertise-client-urls", url(2379)],
      ...["--listen-peer-urls", url(2380), "--heartbeat-interval", "50"],
      ...["--election-timeout", "500"],
    ],
    { stdio: ["ignore", "ignore", "pipe"], timeout: 60_000, killSignal: "SIGKILL" },
  );
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  await once(child, "close");
  return said;
}

for (const version of Object.keys(etcdModules) as EtcdVersion[]) {
  const programs = await programsOf(version);
  describe(`etcd ${version}`, { skip: programs === undefined ? "not built" : false }, () => {
    if (programs === undefined) return;
    const folder = join(base, version);
    const etcd = new EtcdProcesses(folder, programs, "127.88.2.1");
    after(async () => etcd.end());

    const recover = async (member: Member): Promise<Recovered> => {
      const before = fingerprint(member.data);
      const recovered = await agent.recoverSurvivor({
        dataDirectory: member.data,
        workFolder: join(folder, "work"),
        etcdFolder: programs,
        log: silent,
      });
      assert.deepEqual(fingerprint(member.data), before, "the survivor's data was altered");
      assert.equal(existsSync(join(folder, "work")), false);
      const sha256 = createHash("sha256").update(readFileSync(recovered.file)).digest("hex");
      assert.equal(recovered.sha256, sha256);
      const { stdout } = await execa(join(programs, "etcdutl"), [
        ...["snapshot", "status", recovered.file, "-w", "json"],
      ]);
      const { revision } = JSON.parse(stdout) as { revision: number };
      assert.equal(recovered.revision, BigInt(revision));
      return recovered;
    };

    /** A cluster of one, restored from a file as a next generation is. */
    const restored = async (file: string, name: string): Promise<Member> => {
      const member = await etcd.member(name);
      await execa(join(programs, "etcdutl"), [
        ...["snapshot", "restore", file, "--name", name, "--data-dir", member.data],
        ...["--initial-cluster", `${name}=${member.peerUrl}`, "--initial-cluster-token", "next"],
        ...["--initial-advertise-peer-urls", member.peerUrl],
        ...["--bump-revision", "1000000", "--mark-compacted"],
      ]);
      etcd.start(member, [member], "new");
      // Not its health, which an alarm spoils.
      await etcd.leading([member]);
      return member;
    };

    const keysOf = async (member: Member): Promise<Set<string>> =>
      new Set((await etcd.etcdctl(member, "get", "", "--prefix", "--keys-only")).split("\n"));

    it(`leader and follower killed at an acknowledgement: ${trials} times, nothing is lost`, async () => {
      const members = await etcd.form(["a", "b", "c"], options);
      const acknowledged: string[] = [];
      for (let trial = 0; trial < trials; trial += 1) {
        const leader = await etcd.leading(members);
        const [survivor, destroyed] = members.filter((each) => each !== leader);
        assert.ok(survivor !== undefined && destroyed !== undefined);
        // From here on only the survivor can make a majority with the leader: what is acknowledged was fsynced by it.
        await etcd.stop(destroyed, "SIGKILL");
        const count = 20 + ((trial * 37) % 60);
        for (let n = 0; n < count; n += 1) {
          const key = `trial-${trial}-${n}`;
          await etcd.put(leader, key, "x".repeat(50 + n));
          acknowledged.push(key);
        }
        await Promise.all([etcd.stop(leader, "SIGKILL"), etcd.stop(survivor, "SIGKILL")]);
        const log = await agent.readLog(survivor.data);
        const recovered = await recover(survivor);
        assert.equal(recovered.index, log.index);
        const next = await restored(recovered.file, `next-${trial}`);
        const there = await keysOf(next);
        const lost = acknowledged.filter((key) => !there.has(key));
        assert.deepEqual(lost, [], `trial ${trial}, commit ${log.commit} of ${log.index}`);
        assert.ok((await etcd.put(next, "after", "1")) > recovered.revision + 1_000_000n);
        await etcd.stop(next, "SIGKILL");
        for (const member of members) etcd.start(member, members, "existing", options);
        for (const member of members) await etcd.serving(member);
      }
      for (const member of members) await etcd.stop(member, "SIGKILL");
    });

    it("a learner's data, and a removed member's: etcd alone panics, the agent gets everything", async () => {
      const members = await etcd.form(["d", "e", "f"], options);
      const [first, second, removed] = members;
      assert.ok(first !== undefined && second !== undefined && removed !== undefined);
      for (let n = 0; n < 40; n += 1) await etcd.put(first, `key-${n}`, "before");
      const learner = await etcd.member("g");
      const add = ["--learner", `--peer-urls=${learner.peerUrl}`];
      await etcd.etcdctl(first, "member", "add", "g", ...add);
      etcd.start(learner, [...members, learner], "existing", options);
      await etcd.caughtUp(learner, first);
      // With the second down the removal needs the removed member's own disk: otherwise its peers may turn it away before it has the entry.
      await etcd.stop(second, "SIGKILL");
      const removedId = (await agent.readLog(removed.data)).memberId ?? "";
      await etcd.leading([first, removed]);
      await etcd.etcdctl(first, "member", "remove", removedId);
      etcd.start(second, members, "existing", options);
      await etcd.exit(removed);
      const others = members.filter((each) => each !== removed);
      await etcd.put(await etcd.leading(others), "key-last", "after the removal");
      await etcd.caughtUp(learner, first);
      for (const member of [...others, learner]) await etcd.stop(member, "SIGKILL");

      for (const member of [learner, removed]) {
        const log = await agent.readLog(member.data);
        assert.equal(log.votersAtLast.includes(log.memberId ?? ""), false, member.name);
        assert.match(await forced(programs, member.data), /removed all voters|permanently removed/);
        const next = await restored((await recover(member)).file, `next-${member.name}`);
        const there = await keysOf(next);
        for (let n = 0; n < 40; n += 1) assert.ok(there.has(`key-${n}`), `key-${n}`);
        assert.equal(there.has("key-last"), member === learner);
        const list = await etcd.etcdctl(next, "member", "list");
        assert.equal(list.split("\n").length, 1);
        await etcd.put(next, "after", "1");
        await etcd.stop(next, "SIGKILL");
      }
    });

    it("a CORRUPT alarm of a foreign id travels along, and can be listed and disarmed", async () => {
      const [only] = await etcd.form(["h"]);
      assert.ok(only !== undefined);
      await etcd.put(only, "key", "value");
      await etcd.alarm(only, "ACTIVATE", "1311768467463790320", "CORRUPT");
      await assert.rejects(etcd.put(only, "key", "2"), /corrupt/);
      await etcd.stop(only, "SIGKILL");
      const next = await restored((await recover(only)).file, "next-h");
      const listed = await etcd.etcdctl(next, "alarm", "list");
      assert.match(listed, /^memberID:1311768467463790320 +alarm:CORRUPT *$/);
      await assert.rejects(etcd.put(next, "key", "2"), /corrupt/);
      await etcd.alarm(next, "DEACTIVATE", "1311768467463790320", "CORRUPT");
      assert.equal(await etcd.etcdctl(next, "alarm", "list"), "");
      await etcd.put(next, "key", "2");
      await etcd.stop(next, "SIGKILL");
    });

    it("etcd accepts a log whose commit was raised, and goes on from it", async () => {
      const members = await etcd.form(["i"]);
      const [only] = members;
      assert.ok(only !== undefined);
      for (let n = 0; n < 10; n += 1) await etcd.put(only, `key-${n}`, "1");
      await etcd.stop(only, "SIGKILL");
      const before = await agent.readLog(only.data);
      await agent.raiseCommit(only.data);
      etcd.start(only, members, "existing");
      await etcd.serving(only);
      await etcd.put(only, "after", "1");
      await etcd.stop(only);
      const log = await agent.readLog(only.data);
      assert.ok(log.index > before.index && log.term > before.term);
      assert.equal(log.damage, undefined);
      const database = await agent.readDatabase(join(only.data, "member", "snap", "db"));
      assert.equal(database.consistentIndex, log.index);
      assert.equal(database.revision, 12n);
    });

    it("a program that cannot be run says nothing of a database", async () => {
      const [only] = await etcd.form(["q"]);
      assert.ok(only !== undefined);
      await etcd.stop(only);
      const file = join(only.data, "member", "snap", "db");
      const program = readFileSync(join(programs, "etcdutl"));
      // The processor that its header names: another one than this host's.
      program.writeUInt16LE(0xb7, 18);
      for (const [name, content] of [
        ["foreign", program],
        ["empty", ""],
      ] as const) {
        mkdirSync(join(folder, name));
        writeFileSync(join(folder, name, "etcdutl"), content, { mode: 0o755 });
        await assert.rejects(
          agent.checkDatabase(file, join(folder, name)),
          /etcdutl cannot be run/,
        );
      }
      await assert.rejects(agent.checkDatabase(file, folder), /ENOENT/);
    });

    it(
      "a damaged page of a database is found, even where bbolt's check would not end",
      { timeout: 120_000 },
      async () => {
        const [only] = await etcd.form(["k"]);
        assert.ok(only !== undefined);
        await etcd.put(only, "key", "value");
        await etcd.stop(only);
        const file = join(only.data, "member", "snap", "db");
        assert.equal(await agent.checkDatabase(file, programs), undefined);
        const bytes = readFileSync(file);
        // The page of bucket key, by what is in it; older states of the page may still stand elsewhere.
        const pages = new Set<number>();
        for (let at = bytes.indexOf("value"); at >= 0; at = bytes.indexOf("value", at + 1)) {
          pages.add(Math.floor(at / 4096) * 4096);
        }
        const check = async (offset: number, mask: number): Promise<string | undefined> => {
          const changed = Buffer.from(bytes);
          for (const page of pages) changed[page + offset] = (changed[page + offset] ?? 0) ^ mask;
          const copy = join(folder, "flipped.db");
          writeFileSync(copy, changed);
          return agent.checkDatabase(copy, programs);
        };
        assert.notEqual(await check(0, 1), undefined, "another page's number");
        assert.notEqual(await check(8, 8), undefined, "a kind of page that there is not");
        assert.notEqual(await check(11, 0x10), undefined, "4096 keys more");
        // Takes seconds, of which the processor is busy.
        if (version !== defaultVersion) return;
        assert.equal(await check(15, 0x40), "etcdutl did not come to an end of its pages");
      },
    );

    it("a log that lost its end: the database has the rest", async () => {
      const members = await etcd.form(["l"]);
      const [only] = members;
      assert.ok(only !== undefined);
      for (let n = 0; n < 30; n += 1) await etcd.put(only, `key-${n}`, "x".repeat(100));
      await etcd.stop(only);
      const wal = join(only.data, "member", "wal");
      const [segment = ""] = readdirSync(wal).filter((name) => name.endsWith(".wal"));
      truncateSync(join(wal, segment), readFileSync(join(wal, segment)).indexOf("key-20"));
      const log = await agent.readLog(only.data);
      assert.equal(log.damage, undefined, "nothing in the log tells");
      const database = await agent.readDatabase(join(only.data, "member", "snap", "db"));
      assert.ok(database.consistentIndex > log.index);
      const recovered = await recover(only);
      assert.equal(recovered.revision, 31n);
      const next = await restored(recovered.file, "next-l");
      assert.ok((await keysOf(next)).has("key-29"));
      await etcd.stop(next, "SIGKILL");
    });

    it("damage is refused by its name, and accepted up to where it is when told so", async () => {
      const members = await etcd.form(["j"]);
      const [only] = members;
      assert.ok(only !== undefined);
      await etcd.stop(only);
      const blank = join(folder, "blank");
      cpSync(only.data, blank, { recursive: true });
      etcd.start(only, members, "existing");
      await etcd.serving(only);
      for (let n = 0; n < 30; n += 1) await etcd.put(only, `key-${n}`, "x".repeat(100));
      await etcd.stop(only, "SIGKILL");
      const work = { workFolder: join(folder, "work"), etcdFolder: programs, log: silent };
      const wal = join(only.data, "member", "wal");
      const [segment = ""] = readdirSync(wal).filter((name) => name.endsWith(".wal"));
      const whole = await agent.readLog(only.data);
      const bytes = readFileSync(join(wal, segment));
      const place = bytes.indexOf("key-20");
      const damaged = Buffer.from(bytes);
      damaged[place] = 0x4b;
      const copy = { ...only, data: join(folder, "damaged") };
      cpSync(only.data, copy.data, { recursive: true });
      writeFileSync(join(copy.data, "member", "wal", segment), damaged);
      const dataDirectory = copy.data;
      await assert.rejects(agent.recoverSurvivor({ ...work, dataDirectory }), {
        reason: "survivorIsDamaged",
        message: /^a record has a wrong checksum at byte \d+ of segment /,
      });
      const accepted = { ...work, dataDirectory, acceptDamage: true };
      const log = await agent.readLog(dataDirectory);
      assert.ok(log.index < whole.index);
      const { index, revision } = await agent.recoverSurvivor(accepted);
      assert.equal(index, log.index);
      // Key 20 is the damaged one; the database may be ahead of where the log breaks off.
      assert.ok(revision >= 21n && revision <= 31n, `${revision}`);

      // With the database of a moment when nothing was applied, the log alone has it.
      const early = { ...only, data: join(folder, "early") };
      cpSync(blank, early.data, { recursive: true });
      cpSync(join(dataDirectory, "member", "wal"), join(early.data, "member", "wal"), {
        recursive: true,
      });
      const replayed = await agent.recoverSurvivor({ ...accepted, dataDirectory: early.data });
      assert.equal(replayed.revision, 21n);

      truncateSync(join(dataDirectory, "member", "snap", "db"), 4096);
      await assert.rejects(agent.recoverSurvivor(accepted), { reason: "survivorDoesNotReplay" });
      assert.equal(existsSync(work.workFolder), false);
    });
  });
}
