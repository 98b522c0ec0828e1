import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { runApp } from "../../examples/ha-web-app/machine/app/run.ts";
import {
  certificateFiles,
  settingsFile,
  type Settings,
} from "../../examples/ha-web-app/machine/app/settings.ts";
import { defaultEtcd } from "../../lab/toolchain/artifacts.ts";
import { testAuthority } from "./agentSupport.ts";
import { EtcdProcesses, type Member } from "./etcdProcesses.ts";
import { programsOf } from "./etcdPrograms.ts";
import { eventually } from "./frontSupport.ts";
import { PostgresProcesses, postgresPrograms } from "./postgresProcesses.ts";

/** The web app of examples/ha-web-app, twice, with real etcd and real PostgreSQL. */

const network = "127.86.0";
const etcdAddress = `${network}.1`;
const databases = [`${network}.2`, `${network}.3`] as const;
const requestSeconds = 3;
const adminToken = "not a secret, but long";

const programs = postgresPrograms();
let folder: string;
let etcd: EtcdProcesses;
let member: Member;
let database: PostgresProcesses;
const apps = new Map<string, { stop: () => Promise<void>; url: string; log: string[] }>();

/** Writes what an app is told. */
function settingsOf(machine: string, port: number): string {
  const own = join(folder, machine);
  mkdirSync(own);
  const settings: Settings = {
    ...{ machine, port, requestSeconds, adminToken },
    etcd: { endpoints: [`https://${etcdAddress}:2379`], lockSeconds: 5 },
    database: {
      hosts: [...databases],
      port: database.port,
      ...{ name: "postgres", user: "app", password: database.password, ca: files.ca },
    },
  };
  writeFileSync(join(own, settingsFile), JSON.stringify(settings));
  for (const [what, name] of Object.entries(certificateFiles)) {
    writeFileSync(join(own, name), files[what as keyof typeof files]);
  }
  return own;
}
/** The machine that is left when the other one has ended. */
let left = "";
let files: Record<keyof typeof certificateFiles, string>;

async function startApp(machine: string, port: number): Promise<void> {
  const ending = new AbortController();
  const log: string[] = [];
  const own = settingsOf(machine, port);
  const ended = runApp(own, `1.0.${port}`, (line) => log.push(line), ending.signal);
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    ending.abort();
    await ended;
  };
  apps.set(machine, { url, log, stop });
  await eventually(
    async () =>
      (await fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ))
        ? true
        : undefined,
    30,
  );
}

async function ask(
  machine: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${apps.get(machine)?.url ?? ""}${path}`, {
    ...{ method, headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

void describe(
  "the web app",
  { skip: programs === undefined && "no PostgreSQL on this host" },
  () => {
    before(async () => {
      const etcdPrograms = await programsOf(defaultEtcd);
      assert.ok(programs !== undefined && etcdPrograms !== undefined);
      folder = mkdtempSync(join(tmpdir(), "etcd-web-app-"));
      const authority = await testAuthority("clients");
      const server = await authority.sign("server", [etcdAddress]);
      const client = await authority.sign("web-app", []);
      files = { ca: authority.certificate, certificate: client.certificate, key: client.key };
      const file = (name: string, content: string): string => {
        writeFileSync(join(folder, name), content);
        return join(folder, name);
      };
      etcd = new EtcdProcesses(join(folder, "etcd"), etcdPrograms, etcdAddress);
      member = await etcd.member("m1");
      etcd.start(member, [member], "new", [
        ...["--listen-client-urls", `${member.clientUrl},https://${etcdAddress}:2379`],
        ...["--client-cert-auth", "--trusted-ca-file", file("ca.pem", authority.certificate)],
        ...["--cert-file", file("server.pem", server.certificate)],
        ...["--key-file", file("server.key", server.key)],
      ]);
      const tls = await authority.sign("database", databases);
      database = await PostgresProcesses.create(programs, 15_432, tls);
      const [first, second] = databases;
      await Promise.all([etcd.serving(member), database.primary(first)]);
      await database.replica(second, first);
      await startApp("a", 18_081);
      await startApp("b", 18_082);
    });
    after(async () => {
      await Promise.all([...apps.values()].map(({ stop }) => stop()));
      await etcd.end();
      await database.end();
      rmSync(folder, { recursive: true, force: true });
    });

    test("every page says who answered; what is not there is not there", async () => {
      assert.deepEqual((await ask("a", "GET", "/")).body, {
        ...{ version: "1.0.18081", machine: "a", flags: {} },
      });
      assert.equal((await ask("a", "GET", "/nothing")).status, 404);
      assert.equal((await ask("a", "DELETE", "/")).status, 404);
      assert.equal((await ask("a", "GET", `/notes/${randomUUID()}`)).status, 404);
    });

    test("a visit counts once, on whichever machine it is", async () => {
      const visits = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          ask(index % 2 === 0 ? "a" : "b", "POST", "/visits"),
        ),
      );
      assert.deepEqual(
        visits.map(({ body }) => Number(body["visits"])).sort((one, two) => one - two),
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
    });

    test("a flag that is turned on is on everywhere", async () => {
      await etcd.etcdctl(member, "put", "ha-web-app/flags/banner", "on");
      await etcd.etcdctl(member, "put", "ha-web-app/flags/old", "off");
      for (const machine of ["a", "b"]) {
        const flags = await eventually(async () => {
          const known = (await ask(machine, "GET", "/")).body["flags"] as Record<string, boolean>;
          return Object.keys(known).length === 2 ? known : undefined;
        });
        assert.deepEqual(flags, { banner: true, old: false });
      }
    });

    test("a note that is sent twice is there once; its id is nobody else's; bodies have a form", async () => {
      const id = randomUUID();
      const note = { id, text: "hello" };
      for (const machine of ["a", "b", "a"]) {
        const kept = await ask(machine, "PUT", `/notes/${id}`, { text: "hello" });
        assert.deepEqual(kept, { status: 201, body: note });
      }
      assert.deepEqual(await ask("b", "GET", `/notes/${id}`), { status: 200, body: note });
      assert.equal((await ask("b", "PUT", `/notes/${id}`, { text: "other" })).status, 409);
      for (const body of [
        {},
        { text: 1 },
        { text: "x", more: true },
        { text: "x".repeat(5000) },
        0,
      ]) {
        assert.equal((await ask("a", "PUT", `/notes/${randomUUID()}`, body)).status, 400);
      }
      assert.equal((await ask("a", "PUT", "/notes/no-uuid", { text: "x" })).status, 404);
    });

    test("one machine schedules; when it ends the other goes on where it was", async () => {
      const summary = async (machine: string) => (await ask(machine, "GET", "/summary")).body;
      const first = await eventually(async () => {
        const found = await summary("a");
        return Number(found["run"]) >= 2 ? found : undefined;
      }, 20);
      const holder = String(first["by"]);
      left = holder === "a" ? "b" : "a";
      await apps.get(holder)?.stop();
      apps.delete(holder);
      const next = await eventually(async () => {
        const found = await summary(left);
        return found["by"] === left ? found : undefined;
      });
      assert.ok(Number(next["run"]) > Number(first["run"]));
    });

    test("the loss of the primary: what was kept is there, and what is asked meanwhile is answered by the next one", async () => {
      const [first, second] = databases;
      const kept = randomUUID();
      assert.equal((await ask(left, "PUT", `/notes/${kept}`, { text: "before" })).status, 201);
      await database.kill(first);
      const meanwhile = randomUUID();
      const held = ask(left, "PUT", `/notes/${meanwhile}`, { text: "meanwhile" });
      // Neither the balancer's question nor what etcd has depends on the database.
      assert.equal((await ask(left, "GET", "/healthz")).status, 200);
      assert.equal((await ask(left, "POST", "/visits")).body["visits"], 21);
      await database.promote(second);
      assert.equal((await held).status, 201);
      assert.equal((await ask(left, "GET", `/notes/${kept}`)).body["text"], "before");
    });

    test("no primary at all: an answer in time, that says to try again", async () => {
      await database.kill(databases[1]);
      const began = performance.now();
      const { status, body } = await ask(left, "PUT", `/notes/${randomUUID()}`, { text: "lost" });
      assert.deepEqual({ status, body }, { status: 503, body: { error: "try again" } });
      assert.ok(performance.now() - began < (requestSeconds + 1) * 1000);
      assert.equal((await ask(left, "GET", "/readyz")).status, 503);
      assert.equal((await ask(left, "GET", "/healthz")).status, 200);
    });
  },
);
