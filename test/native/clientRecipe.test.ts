import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdLeaseInvalidError, GRPCUnavailableError, type Etcd3 } from "etcd3";
import { OutcomeUnknown, type EtcdClient } from "../../examples/client/etcdClient.ts";
import { lead } from "../../examples/client/leader.ts";
import { testAuthority, type TestAuthority } from "./agentSupport.ts";
import { ClientCluster, quick, quietAddress, type Files, type Wired } from "./clientCluster.ts";
import { Wire } from "./wire.ts";

/** examples/client against real etcds whose members die, hang, answer too late or not at all. */

const cluster = new ClientCluster();
let authority: TestAuthority;
let files: Files;
let client: EtcdClient;
let ended: AbortController;
let keys = 0;
/** Of a client that asks nothing. */
let quiet: EtcdClient;
let quietWire: Wire;

/** A key, or the beginning of keys, of this test's own. */
const fresh = (): string => `test/${(keys += 1)}/`;

async function until(what: string, holds: () => boolean, milliseconds = 15_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!holds()) {
    assert.ok(performance.now() < end, `waited ${milliseconds} ms until ${what}`);
    await sleep(20);
  }
}

/** The member that a client asks, which stays the same as long as it answers. */
async function asked(by: EtcdClient): Promise<Wired> {
  const before = cluster.members.map(({ wire }) => wire.answers);
  await by.get("asked");
  await by.get("asked");
  const grown = cluster.members.filter(({ wire }, at) => wire.answers > (before[at] ?? 0));
  assert.equal(grown.length, 1, `asked: ${grown.map(({ name }) => name).join(", ")}`);
  return grown[0] as Wired;
}

const others = ({ wire }: Pick<Wired, "wire">): Wired[] =>
  cluster.members.filter((each) => each.wire !== wire);

const plusOne = (value: string | undefined): string => String(Number(value ?? 0) + 1);

/** Counts up, one after the other. */
async function count(key: string, times: number): Promise<void> {
  for (let at = 0; at < times; at += 1) await client.update(key, plusOne);
}

/** What an independent program says of a key: its value, and how often it was written. */
async function stored(key: string): Promise<{ value: string; version: number } | undefined> {
  for (const member of cluster.members) {
    try {
      const text = await cluster.etcd.etcdctl(member, "get", key, "--write-out", "json");
      const { kvs } = JSON.parse(text) as { kvs?: { value: string; version: number }[] };
      const [kv] = kvs ?? [];
      return kv && { value: Buffer.from(kv.value, "base64").toString(), version: kv.version };
    } catch {
      // A member that is down; another one knows.
    }
  }
  throw new Error("no member answers etcdctl");
}

before(async () => {
  authority = await testAuthority("first");
  await cluster.start(authority);
  const [member] = cluster.members as [Wired];
  quietWire = new Wire(quietAddress, { host: member.address, port: 2379 });
  await quietWire.start();
  const tls = cluster.files(await authority.sign("quiet", []), authority.certificate);
  const endpoint = `https://${quietAddress}:2379`;
  quiet = await cluster.client({ tls, timing: { ...quick, idle: 1000 } }, [
    { ...member, endpoint },
  ]);
  await quiet.get("asked");
  assert.equal(quietWire.connected.length, 1);
});

after(async () => {
  await cluster.stop();
  await quietWire.stop();
});

beforeEach(async () => {
  files = cluster.files(await authority.sign("app", []), authority.certificate);
  client = await cluster.client({ tls: files, timing: quick });
  ended = new AbortController();
});

afterEach(() => {
  ended.abort();
  client.close();
});

describe("members that fail", () => {
  it("counts exactly while a member dies", async () => {
    const key = fresh();
    const victim = await asked(client);
    const counting = Promise.all([count(key, 30), count(key, 30)]);
    await until("counting has begun", () => victim.wire.answers > 40);
    await cluster.etcd.stop(victim, "SIGKILL");
    await counting;
    assert.deepEqual(await stored(key), { value: "60", version: 60 });
    await cluster.startMember(victim, "existing", authority);
    await cluster.etcd.serving(victim);
  });

  it("counts exactly while a member hangs, and asks it no more", async () => {
    const key = fresh();
    const victim = await asked(client);
    cluster.etcd.signal(victim, "SIGSTOP");
    try {
      await count(key, 10);
      for (let at = 0; at < 20; at += 1) {
        const started = performance.now();
        await client.get(key);
        const took = performance.now() - started;
        assert.ok(took < quick.attempt, `read ${at} took ${took} ms: an attempt ran out`);
      }
    } finally {
      cluster.etcd.signal(victim, "SIGCONT");
    }
    await cluster.etcd.serving(victim);
    await count(key, 10);
    assert.deepEqual(await stored(key), { value: "20", version: 20 });
  });

  it("counts exactly while leadership changes", async () => {
    const key = fresh();
    const counting = Promise.all([count(key, 40), count(key, 40)]);
    for (let turn = 0; turn < 2; turn += 1) {
      const leader = await cluster.etcd.leading(cluster.members);
      const next = cluster.members.find(({ name }) => name !== leader.name);
      assert.ok(next !== undefined);
      const status = await cluster.etcd.etcdctl(next, "endpoint", "status", "--write-out", "json");
      // Beyond what a number of JavaScript holds.
      const id = /"member_id":(\d+)/.exec(status)?.[1] ?? "";
      await cluster.etcd.etcdctl(leader, "move-leader", BigInt(id).toString(16));
    }
    await counting;
    assert.deepEqual(await stored(key), { value: "80", version: 80 });
  });

  it("says that there is no leader as soon as the member knows", async () => {
    const [last, ...rest] = [...cluster.members].reverse() as [Wired, ...Wired[]];
    const alone = await cluster.client({ tls: files, timing: { ...quick, call: 3000 } }, [last]);
    await alone.get("asked");
    for (const member of rest) cluster.etcd.signal(member, "SIGSTOP");
    try {
      await assert.rejects(alone.get("asked"), /no leader/);
    } finally {
      for (const member of rest) cluster.etcd.signal(member, "SIGCONT");
    }
    for (const member of rest) await cluster.etcd.serving(member);
    await alone.get("asked");
  });
});

describe("answers that are lost", () => {
  it("does a guarded write once, and knows that it was done", async () => {
    const key = fresh();
    const seen = await client.update(key, plusOne);
    const { wire } = await asked(client);
    wire.loseAnswers();
    const before = wire.answers;
    const { done, now } = await client.replace(seen, "2");
    assert.ok(wire.answers > before, "the first attempt went through this wire");
    assert.equal(done, true);
    assert.deepEqual(now, await client.get(key));
    assert.deepEqual(await stored(key), { value: "2", version: 2 });
  });

  it("deletes once, and knows that it was done", async () => {
    const key = fresh();
    const seen = await client.update(key, plusOne);
    const { wire } = await asked(client);
    wire.loseAnswers();
    assert.deepEqual(await client.replace(seen, undefined), {
      done: true,
      now: { key, value: undefined, revision: "0" },
    });
    assert.equal(await stored(key), undefined);
  });

  it("sends a plain write once, and says that nobody knows", async () => {
    const key = fresh();
    const { wire } = await asked(client);
    wire.loseAnswers();
    await assert.rejects(client.put(key, "once"), OutcomeUnknown);
    await client.get(key);
    assert.deepEqual(await stored(key), { value: "once", version: 1 });
  });

  it("does not write over what somebody else wrote", async () => {
    const seen = await client.get(fresh());
    const { now } = await client.replace(seen, "theirs");
    assert.deepEqual(await client.replace(seen, "ours"), { done: false, now });
  });
});

describe("requests that arrive too late", () => {
  async function revokeLeases(): Promise<void> {
    const [member] = cluster.members as [Wired];
    const leases = await cluster.etcd.etcdctl(member, "lease", "list", "--write-out", "json");
    for (const [id] of leases.matchAll(/(?<="id":)\d+/g)) {
      await cluster.etcd.etcdctl(member, "lease", "revoke", BigInt(id).toString(16));
    }
  }

  /** Makes a key, of which the first attempt is held on the way; deletes it again; then lets the attempt go on. */
  async function madeLate(meanwhile: () => Promise<void>): Promise<string> {
    const key = fresh();
    const absent = await client.get(key);
    // A receipt's lease is there, so that the first held request is the write.
    await client.update(`${key}other`, plusOne);
    const { wire } = await asked(client);
    wire.hold();
    const { done, now } = await client.replace(absent, "new");
    assert.equal(done, true);
    assert.equal((await client.replace(now, undefined)).done, true);
    await meanwhile();
    const before = wire.answers;
    wire.release();
    await until("etcd has answered the late request", () => wire.answers > before);
    return key;
  }

  it("refuses them while there is a receipt", async () => {
    const key = await madeLate(async () => {
      // Nothing.
    });
    assert.equal(await stored(key), undefined);
  });

  it("refuses them when the receipt is gone", async () => {
    const key = await madeLate(revokeLeases);
    assert.equal(await stored(key), undefined);
  });

  it("takes another lease for its receipts when the first is gone", async () => {
    const key = fresh();
    await client.update(key, plusOne);
    await revokeLeases();
    await assert.rejects(client.update(key, plusOne), EtcdLeaseInvalidError);
    await client.update(key, plusOne);
    assert.equal((await stored(key))?.value, "2");
  });
});

describe("following", () => {
  let shown: Map<string, string>;
  let prefix: string;
  let following: Promise<void>;

  async function follow(by: EtcdClient): Promise<void> {
    prefix = fresh();
    shown = new Map();
    const show = (entries: ReadonlyMap<string, string>): void => {
      shown = new Map(entries);
    };
    following = by.follow(prefix, show, ended.signal);
    await client.put(`${prefix}first`, "1");
    await until("the first key is shown", () => shown.has(`${prefix}first`));
  }

  async function agrees(): Promise<void> {
    const there = [...(await client.list(prefix))].sort();
    await until(
      `${JSON.stringify([...shown].sort())} is ${JSON.stringify(there)}`,
      () => shown.size === there.length && there.every(([key, value]) => shown.get(key) === value),
    );
  }

  afterEach(async () => {
    ended.abort();
    await following;
  });

  it("misses nothing while it is interrupted", async () => {
    await follow(client);
    const { wire } = await asked(client);
    wire.cut(true);
    const writer = await cluster.client({ tls: files, timing: quick });
    await writer.update(`${prefix}second`, () => "2");
    await writer.replace(await writer.get(`${prefix}first`), undefined);
    await agrees();
    assert.deepEqual([...shown.keys()], [`${prefix}second`]);
    wire.cut(false);
  });

  it("lists anew when the history is gone", async () => {
    await follow(client);
    const [member] = cluster.members as [Wired];
    for (const { wire } of cluster.members) wire.cut(true);
    await cluster.etcd.etcdctl(member, "put", `${prefix}second`, "2");
    await cluster.etcd.etcdctl(member, "del", `${prefix}first`);
    const text = await cluster.etcd.etcdctl(member, "get", "any", "--write-out", "json");
    const { header } = JSON.parse(text) as { header: { revision: number } };
    await cluster.etcd.etcdctl(member, "compact", String(header.revision));
    for (const { wire } of cluster.members) wire.cut(false);
    await agrees();
    assert.deepEqual([...shown.keys()], [`${prefix}second`]);
  });

  it("leaves a member that hangs", async () => {
    const pinging = { ...quick, keepAlive: 5500, keepAliveAnswer: 500 };
    const follower = await cluster.client({ tls: files, timing: pinging });
    const victim = await asked(follower);
    await follow(follower);
    cluster.etcd.signal(victim, "SIGSTOP");
    try {
      await client.update(`${prefix}second`, () => "2");
      await agrees();
    } finally {
      cluster.etcd.signal(victim, "SIGCONT");
    }
    await cluster.etcd.serving(victim);
  });

  it("leaves a member that does not answer the first question", async () => {
    const prefix = fresh();
    const { wire } = await asked(client);
    const states: string[] = [];
    const following = client.follow(
      prefix,
      (entries) => {
        // Called for the list, before the watch is asked for.
        if (states.length === 0) wire.hold();
        states.push([...entries.keys()].join());
      },
      ended.signal,
    );
    await until("the list is shown", () => states.length === 1);
    const writer = await cluster.client({ tls: files, timing: quick }, others({ wire }));
    await writer.put(`${prefix}first`, "1");
    await until("the change is shown", () => states.at(-1) === `${prefix}first`);
    wire.release();
    ended.abort();
    await following;
  });
});

describe("leading", () => {
  const candidacy = () => ({ key: `${fresh()}leader`, name: "app", leaseSeconds: 2 });

  it("is lost before somebody else leads, and what the old leader writes then is refused", async () => {
    const wanted = candidacy();
    const [near, far] = cluster.members as [Wired, Wired, Wired];
    const leader = await cluster.client({ tls: files, timing: quick }, [near]);
    const rival = await cluster.client({ tls: files, timing: quick }, [far]);
    const seen = await client.get(`${wanted.key}/work`);
    const first = await lead(leader, wanted, ended.signal);
    // Longer than the lease: it is renewed.
    await sleep(2500);
    assert.equal(first.lost.aborted, false);

    const waiting = lead(rival, wanted, ended.signal);
    near.wire.cut(true);
    const second = await waiting;
    assert.equal(first.lost.aborted, true, "two lead at once");
    near.wire.cut(false);

    assert.equal((await client.replace(seen, "the old one's", [first.guard])).done, false);
    assert.equal((await client.replace(seen, "the new one's", [second.guard])).done, true);
    await second.resign();
  });

  it("is taken once though the answer is lost", async () => {
    const wanted = candidacy();
    const { connections } = client;
    let lost = 0;
    let grants = 0;
    const losing = {
      connections: {
        timing: connections.timing,
        once: connections.once.bind(connections),
        repeat: async (ask: (etcd: Etcd3) => Promise<object>, signal: AbortSignal) =>
          connections.repeat(async (etcd) => {
            const answer = await ask(etcd);
            if ("TTL" in answer) grants += 1;
            if (!("succeeded" in answer) || lost > 0) return answer;
            lost += 1;
            throw new GRPCUnavailableError("the answer is lost");
          }, signal),
      },
      follow: client.follow.bind(client),
    } as unknown as EtcdClient;
    const leadership = await lead(losing, wanted, ended.signal);
    assert.deepEqual({ lost, grants }, { lost: 1, grants: 1 });
    assert.deepEqual(await stored(wanted.key), { value: "app", version: 1 });
    const seen = await client.get(`${wanted.key}/work`);
    assert.equal((await client.replace(seen, "done", [leadership.guard])).done, true);
    await leadership.resign();
    assert.equal(await stored(wanted.key), undefined);
  });

  it("goes over at once when it is given up", async () => {
    const wanted = { ...candidacy(), leaseSeconds: 60 };
    const first = await lead(client, wanted, ended.signal);
    const waiting = lead(client, wanted, ended.signal);
    const started = performance.now();
    await first.resign();
    const second = await waiting;
    assert.ok(performance.now() - started < 2000);
    assert.equal(first.lost.aborted, true);
    await second.resign();
  });
});

describe("connections", () => {
  it("are closed when nothing is asked, before a balancer forgets them", async () => {
    // gRPC looks after idle channels every ten seconds.
    await until("the connection is closed", () => quietWire.connected.length === 0);
    await quiet.get("asked");
    assert.equal(quietWire.connected.length, 1);
  });

  it("use new certificates without a restart", async () => {
    const problems: string[] = [];
    const report = ({ message }: Error): void => void problems.push(message);
    const connected = (): number[] => cluster.members.flatMap(({ wire }) => wire.connected);
    const before = connected();
    const app = await cluster.client({ tls: files, timing: quick, report });
    const key = fresh();
    await app.update(key, plusOne);
    const shown: string[] = [];
    const following = app.follow(
      key,
      (entries) => shown.push(entries.get(key) ?? ""),
      ended.signal,
    );

    await until("it is followed", () => shown.at(-1) === "1");
    const old = connected().filter((port) => !before.includes(port));
    assert.ok(old.length > 0);

    const next = await testAuthority("second");
    const { certificate, key: pem } = await next.sign("app", []);
    // In the order in which a careless script would do it.
    writeFileSync(files.key, pem);
    await until("the key is refused", () =>
      problems.some((text) => text.includes("exchange both")),
    );
    assert.equal((await app.update(key, plusOne)).value, "2");
    writeFileSync(files.ca, authority.certificate + next.certificate);
    writeFileSync(files.certificate, certificate);
    const told = problems.length;
    await sleep(3 * quick.reload);
    assert.ok(problems.length <= told + 1, problems.join("; "));

    await until("no connection has the old certificate", () =>
      connected().every((port) => !old.includes(port)),
    );

    for (const member of cluster.members) {
      await cluster.etcd.stop(member);
      await cluster.startMember(member, "existing", next);
      await cluster.etcd.serving(member);
    }
    authority = next;
    assert.equal((await app.update(key, plusOne)).value, "3");
    await until("it is still followed", () => shown.at(-1) === "3");
    ended.abort();
    await following;
  });
});
