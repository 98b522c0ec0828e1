import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import ssh2 from "ssh2";

import { command } from "../../lab/providers/command/provider.ts";
import { publicBlob } from "../../lab/providers/shared/openssh.ts";
import { messageOf } from "../../lab/providers/shared/errors.ts";
import { Secret, unknown, Unknown, type Values } from "../../lab/providers/shared/value.ts";
import { ProviderClient } from "./providerClient.ts";
import {
  freePort,
  silentPort,
  startEngine,
  startSshd,
  type Logged,
  type Sshd,
} from "./providerSshd.ts";

const type = "command:remote:Command";

let engine: Awaited<ReturnType<typeof startEngine>>;
let provider: ProviderClient;
let sshd: Sshd;
let lenient: Sshd;
let folder: string;
before(async () => {
  // An agent in the environment would be used silently, by the real provider as by this one.
  delete process.env["SSH_AUTH_SOCK"];
  engine = await startEngine();
  provider = await ProviderClient.start(command, {}, engine.address);
  sshd = await startSshd();
  lenient = await startSshd({ acceptEnv: "FOO PULUMI_COMMAND_*" });
  folder = mkdtempSync(join(tmpdir(), "etcd-cluster-command-"));
});
after(() => {
  provider.stop();
  engine.stop();
  sshd.stop();
  lenient.stop();
  rmSync(folder, { recursive: true });
});

function to(server: Sshd, extra: Values = {}): Values {
  const { port, user, privateKey, hostKey } = server;
  return { host: "127.0.0.1", port, user, privateKey, hostKey, ...extra };
}

async function failure(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    return messageOf(error);
  }
  throw new Error("it did not fail");
}

function messagesWith(text: string): Logged[] {
  return engine.logged.filter(({ message }) => message.includes(text));
}

/** A server that answers the start of a command, what it says and how it ends in the same bytes, as sshd does on a busy host. */
async function hastyServer(): Promise<{ server: ssh2.Server; hostKey: string; port: number }> {
  const key = ssh2.utils.generateKeyPairSync("ed25519");
  const server = new ssh2.Server({ hostKeys: [key.private] }, (client) => {
    client.on("authentication", (attempt) => {
      attempt.accept();
    });
    client.on("session", (session) => {
      session().on("exec", (accept) => {
        const stream = accept();
        stream.write("done");
        stream.exit(0);
        stream.end();
      });
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return { server, hostKey: key.public, port: (server.address() as AddressInfo).port };
}

void test("remote.Command: a command that is over at once: its exit status is not missed", async () => {
  const { server, hostKey, port } = await hastyServer();
  try {
    const made = await provider.create(type, {
      connection: to(sshd, { port, hostKey }),
      create: "true",
    });
    assert.equal(made.state["stdout"], "done");
  } finally {
    server.close();
  }
});

void describe("remote.Command: what changes do", () => {
  const base = () => ({
    connection: to(sshd),
    create: "echo created",
    delete: "true",
    triggers: ["1"],
    stdin: "",
  });

  void test("nothing: no change", async () => {
    const kept = await provider.create(type, base());
    assert.equal((await provider.diff(type, kept, base())).changed, false);
    assert.match(kept.id, /^it[0-9a-f]{8}$/);
  });

  void test("triggers replace, with or without an update command, and the new one comes first", async () => {
    for (const update of [{}, { update: "echo updated" }]) {
      const kept = await provider.create(type, { ...base(), ...update });
      const diff = await provider.diff(type, kept, { ...base(), ...update, triggers: ["2"] });
      assert.deepEqual(diff.replaces, ["triggers"]);
      assert.equal(diff.deleteBeforeReplace, false);
    }
  });

  void test("create text, stdin, connection and environment update", async () => {
    const kept = await provider.create(type, base());
    const changes: Values[] = [
      { create: "echo other" },
      { stdin: "x" },
      { connection: to(sshd, { dialErrorLimit: 7 }) },
      { environment: { LANG: "C" } },
    ];
    for (const change of changes) {
      const diff = await provider.diff(type, kept, { ...base(), ...change });
      assert.deepEqual([diff.changed, diff.replaces], [true, []], JSON.stringify(change));
    }
  });

  void test("a trigger together with a text is one replacement", async () => {
    const kept = await provider.create(type, base());
    const news = { ...base(), triggers: ["2"], create: "echo other" };
    const diff = await provider.diff(type, kept, news);
    assert.deepEqual(diff.replaces, ["triggers"]);
    assert.deepEqual(Object.keys(diff.details).toSorted(), ["create", "triggers[0]"]);
  });

  void test("an update runs `update` if there is one, else `create` again", async () => {
    const kept = await provider.create(type, base());
    const again = await provider.update(type, kept, { ...base(), create: "echo again" });
    assert.equal(again.state["stdout"], "again");
    const updated = await provider.update(type, kept, { ...base(), update: "echo updated" });
    assert.equal(updated.state["stdout"], "updated");
  });
});

void describe("remote.Command: running", () => {
  void test("outputs lose one newline at the end, not all", async () => {
    const create = "printf 'a\\n\\n'; printf 'b\\n' >&2";
    const { state } = await provider.create(type, { connection: to(sshd), create });
    assert.deepEqual([state["stdout"], state["stderr"]], ["a\n", "b"]);
  });

  void test("stdin arrives, and ends", async () => {
    const args = { connection: to(sshd), create: "cat", stdin: "from stdin" };
    assert.equal((await provider.create(type, args)).state["stdout"], "from stdin");
    const without = await provider.create(type, { connection: to(sshd), create: "cat" });
    assert.equal(without.state["stdout"], "");
  });

  void test("a failing command: the whole command, then all output in the order of arrival", async () => {
    const create = "echo out; sleep 0.1; echo 'a \"secret\"' >&2; exit 3";
    assert.equal(
      await failure(provider.create(type, { connection: to(sshd), create })),
      `2 UNKNOWN: Process exited with status 3: running ${JSON.stringify(create)}:\nout\na "secret"\n`,
    );
  });

  void test("a connection that breaks under the command", async () => {
    const create = "kill -9 $PPID; sleep 1";
    const text = await failure(provider.create(type, { connection: to(sshd), create }));
    assert.match(text, /remote command exited without exit status or exit signal: running/);
  });

  void test("a failing update keeps what was", async () => {
    const args = { connection: to(sshd), create: "echo first" };
    const kept = await provider.create(type, args);
    await assert.rejects(provider.update(type, kept, { ...args, update: "false" }), /status 1/);
  });

  void test("lines appear while the command runs, according to `logging`", async () => {
    const create = "echo seen-out; echo seen-err >&2";
    for (const [logging, expected] of [
      ["stdout", ["seen-out"]],
      ["stderr", ["seen-err"]],
      ["none", []],
    ] as const) {
      engine.logged.length = 0;
      await provider.create(type, { connection: to(sshd), create, logging });
      const seen = messagesWith("seen-").map(({ message }) => message);
      assert.deepEqual(seen, expected, logging);
    }
    await provider.create(type, { connection: to(sshd), create });
    assert.equal(messagesWith("seen-").length, 2);
    const bad = { connection: to(sshd), create, logging: "loud" };
    await assert.rejects(provider.check(type, bad), /logging must be one of/);
  });

  void test("delete uses the connection and command of the state", async () => {
    const file = join(folder, "deleted");
    const args = { connection: to(sshd), create: "true", delete: `echo gone > ${file}` };
    await provider.delete(type, await provider.create(type, args));
    assert.equal(readFileSync(file, "utf8"), "gone\n");
  });

  void test("without a delete command nothing runs, so a dead host does not matter", async () => {
    const kept = await provider.create(type, { connection: to(sshd), create: "true" });
    const dead = { ...to(sshd), port: await freePort() };
    await provider.delete(type, { ...kept, state: { ...kept.state, connection: dead } });
  });

  void test("a PKCS 8 key opens the door too", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const known = publicBlob(publicKey);
    assert.ok(known !== undefined);
    const server = await startSshd({
      publicKey: `${known.type} ${known.blob.toString("base64")}\n`,
    });
    try {
      const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
      const connection = to(server, { privateKey: pem, dialErrorLimit: 0 });
      await provider.create(type, { connection, create: "true" });
    } finally {
      server.stop();
    }
  });
});

void describe("remote.Command: environment", () => {
  const environment = { FOO: "bar" };

  void test("a plain sshd refuses the variable, and the command does not run", async () => {
    engine.logged.length = 0;
    const file = join(folder, "ran");
    const args = { connection: to(sshd), create: `touch ${file}`, environment };
    assert.match(
      await failure(provider.create(type, args)),
      /could not set environment variable "FOO"/,
    );
    assert.throws(() => readFileSync(file), /ENOENT/);
    const [message] = messagesWith("Unable to set 'FOO'. This only works if your SSH server");
    assert.ok(message !== undefined && !message.ephemeral);
  });

  void test("an sshd that accepts it passes it on", async () => {
    const args = { connection: to(lenient), create: "echo $FOO", environment };
    assert.equal((await provider.create(type, args)).state["stdout"], "bar");
  });

  void test("the previous output is offered to updates and deletes, and a refusal only warns", async () => {
    const update = "echo had=$PULUMI_COMMAND_STDOUT";
    for (const [server, expected] of [
      [lenient, "had=first"],
      [sshd, "had="],
    ] as const) {
      const args = { connection: to(server), create: "echo first", update };
      const kept = await provider.create(type, args);
      engine.logged.length = 0;
      const updated = await provider.update(type, kept, { ...args, stdin: "changed" });
      assert.equal(updated.state["stdout"], expected);
      const warnings = messagesWith("Unable to set 'PULUMI_COMMAND_STDOUT'").length;
      assert.equal(warnings, server === sshd ? 1 : 0);
    }
    const args = { connection: to(lenient), create: "echo first", addPreviousOutputInEnv: false };
    const kept = await provider.create(type, args);
    const updated = await provider.update(type, kept, { ...args, update });
    assert.equal(updated.state["stdout"], "had=");
  });
});

void describe("remote.Command: dialling", { concurrency: true }, () => {
  void test("a refused port: lines for every retry, then how often", async () => {
    const port = await freePort();
    const connection = to(sshd, { port, dialErrorLimit: 3 });
    engine.logged.length = 0;
    const started = Date.now();
    const text = await failure(provider.create(type, { connection, create: "true" }));
    const milliseconds = Date.now() - started;
    assert.equal(
      text,
      `2 UNKNOWN: after 3 failed attempts: dial tcp 127.0.0.1:${port}: connect: connection refused`,
    );
    assert.ok(milliseconds > 400 && milliseconds < 2000, `${milliseconds} ms`);
    for (const attempt of [1, 2, 3]) {
      assert.equal(messagesWith(`Dial ${attempt}/3 failed: retrying`).length, 1);
    }
  });

  void test("the default of ten attempts lasts eleven to twelve seconds, on delete too", async () => {
    const kept = await provider.create(type, {
      connection: to(sshd),
      create: "true",
      delete: "true",
    });
    const gone = { ...to(sshd), port: await freePort() };
    const started = Date.now();
    const state = { ...kept.state, connection: gone };
    await assert.rejects(provider.delete(type, { ...kept, state }), /after 10 failed attempts/);
    const seconds = (Date.now() - started) / 1000;
    assert.ok(seconds > 11 && seconds < 14, `${seconds} s`);
  });

  void test("another host key is retried like a dial error, then told", async () => {
    const connection = to(sshd, { hostKey: lenient.hostKey, dialErrorLimit: 2 });
    const text = await failure(provider.create(type, { connection, create: "true" }));
    assert.match(text, /after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch$/);
  });

  void test("a wrong user key is retried like a dial error, then told", async () => {
    const connection = to(sshd, { privateKey: lenient.privateKey, dialErrorLimit: 1 });
    const text = await failure(provider.create(type, { connection, create: "true" }));
    assert.match(
      text,
      /after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate/,
    );
  });

  void test("an address that does not answer is given up after perDialTimeout", async () => {
    const silent = await silentPort();
    try {
      const { port } = silent;
      const connection = to(sshd, { port, dialErrorLimit: 0, perDialTimeout: 1 });
      const text = await failure(provider.create(type, { connection, create: "true" }));
      assert.match(text, new RegExp(`dial tcp 127.0.0.1:${port}: i/o timeout$`));
    } finally {
      silent.stop();
    }
  });

  void test("without a host key any server will do", async () => {
    const { port, user, privateKey } = sshd;
    const connection = { host: "127.0.0.1", port, user, privateKey };
    await provider.create(type, { connection, create: "true" });
  });
});

void describe("remote.Command: through a jump host", () => {
  void test("it works, and both ends are authenticated on their own", async () => {
    const connection = to(lenient, { proxy: to(sshd) });
    const { state } = await provider.create(type, { connection, create: "echo $SSH_CONNECTION" });
    const stdout = state["stdout"];
    assert.ok(typeof stdout === "string" && stdout.endsWith(` ${lenient.port}`));
  });

  void test("an unreachable jump host", async () => {
    const proxy = to(sshd, { port: await freePort(), dialErrorLimit: 1 });
    const connection = to(lenient, { proxy });
    engine.logged.length = 0;
    const text = await failure(provider.create(type, { connection, create: "true" }));
    assert.match(text, /proxy: after 1 failed attempts: dial tcp .*connection refused$/);
    assert.equal(messagesWith("Dial proxy 1/1 failed: retrying").length, 1);
  });

  void test("a target that refuses", async () => {
    const connection = to(lenient, { port: await freePort(), dialErrorLimit: 1, proxy: to(sshd) });
    const text = await failure(provider.create(type, { connection, create: "true" }));
    assert.match(
      text,
      /proxy: after 1 failed attempts: ssh: rejected: connect failed \(Connection refused\)$/,
    );
  });

  void test("a failed handshake with the target is retried on the same, dead connection", async () => {
    const connection = to(lenient, { hostKey: sshd.hostKey, dialErrorLimit: 2, proxy: to(sshd) });
    const text = await failure(provider.create(type, { connection, create: "true" }));
    assert.match(text, /proxy: after 2 failed attempts: ssh: handshake failed: EOF$/);
  });
});

void describe("remote.Command: previews and state", () => {
  void test("a preview runs nothing, and an unknown connection does not hurt", async () => {
    const args = { connection: unknown, create: "false" };
    const { id, state } = await provider.create(type, args, { preview: true });
    assert.equal(id, "");
    assert.ok(state["stdout"] instanceof Unknown && state["connection"] instanceof Unknown);
  });

  void test("a preview of an update leaves the outputs open", async () => {
    const args = { connection: to(sshd), create: "echo 1" };
    const kept = await provider.create(type, args);
    const news = { ...args, create: "false" };
    const { state } = await provider.update(type, kept, news, { preview: true });
    assert.ok(state["stdout"] instanceof Unknown);
  });

  void test("the connection is one secret; output, command and triggers are in clear", async () => {
    const connection = new Secret(to(sshd));
    const args = { connection, create: "echo clear", triggers: ["t"] };
    const { state } = await provider.create(type, args);
    assert.ok(state["connection"] instanceof Secret);
    assert.deepEqual(
      [state["stdout"], state["create"], state["triggers"]],
      ["clear", "echo clear", ["t"]],
    );
  });

  void test("unknown types and arguments are errors that name them", async () => {
    await assert.rejects(
      provider.check(type, { connection: to(sshd), interpreter: ["sh"] }),
      /command:remote:Command: argument interpreter is not known/,
    );
    await assert.rejects(
      provider.check(type, { connection: to(sshd, { keepalive: 1 }) }),
      /argument connection\.keepalive is not known/,
    );
    await assert.rejects(provider.check("command:local:Command", {}), /command:local:Command/);
  });
});
