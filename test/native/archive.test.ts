import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, request, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, afterEach, beforeEach, test } from "node:test";
import { serveArchive } from "../../lab/archive/serve.ts";
import { archivePath, ArchiveStore } from "../../lab/archive/store.ts";
import type { Upstream } from "../../lab/archive/upstream.ts";
import { close, listen } from "../../lab/front/server.ts";
import { debianArchive } from "../../lab/image/mirror.ts";

/** Debian's archive as the machines' apt sees it: the store behind its real server, before an archive of two files. */
const package_ = "/debian/pool/main/p/patroni/patroni_4.0.7-3~deb13u1_all.deb";
const index = "/debian/dists/trixie/InRelease";

const scratch = mkdtempSync(join(tmpdir(), "etcd-cluster-archive-"));
after(() => {
  rmSync(scratch, { recursive: true, force: true });
});

let folder = "";
let asked: string[] = [];
let logged: string[] = [];
let answer: RequestListener = () => undefined;
let upstream: Server;
let lab: Server;
let base = "";

beforeEach(async () => {
  folder = mkdtempSync(join(scratch, "folder-"));
  asked = [];
  logged = [];
  answer = (_, response) => response.end("first");
  upstream = createServer((incoming, response) => {
    asked.push(incoming.url ?? "");
    answer(incoming, response);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  lab = await serve({ archive: `${base}/main`, security: `${base}/updates` });
});

afterEach(async () => {
  await close(lab);
  await close(upstream);
});

async function serve(from: Upstream): Promise<Server> {
  const store = new ArchiveStore(
    folder,
    () => Promise.resolve(from),
    (line) => logged.push(line),
  );
  const socket = join(folder, "archive.sock");
  return listen(
    { socket },
    (incoming) => serveArchive(store, incoming),
    (line) => {
      assert.equal(line, "");
    },
  );
}

async function get(path: string, method = "GET"): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath: join(folder, "archive.sock"), path, method },
      (incoming) => {
        text(incoming).then((body) => {
          resolve({ status: incoming.statusCode ?? 0, body });
        }, reject);
      },
    );
    outgoing.once("error", reject).end();
  });
}

test("a package is fetched once, whoever asks at once or later, also without a way to the archive", async () => {
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  answer = (_, response) => {
    void held.then(() => response.end("the package"));
  };
  const together = [get(package_), get(package_), get(package_)];
  release();
  for (const each of together) assert.deepEqual(await each, { status: 200, body: "the package" });
  await close(upstream);
  assert.deepEqual(await get(package_), { status: 200, body: "the package" });
  assert.deepEqual(await get(package_, "HEAD"), { status: 200, body: "" });
  assert.deepEqual(asked, ["/main/pool/main/p/patroni/patroni_4.0.7-3~deb13u1_all.deb"]);
});

test("an index is fetched anew each time, and the last one serves when the archive cannot be reached", async () => {
  assert.equal((await get(index)).body, "first");
  answer = (_, response) => response.end("second");
  assert.equal((await get(index)).body, "second");
  answer = (_, response) => response.writeHead(500).end("broken");
  assert.deepEqual(await get(index), { status: 200, body: "second" });
  assert.match(logged.join("\n"), /InRelease as it was last fetched, because of: .*answers 500/);
});

test("what was cut off is not kept", async () => {
  answer = (_, response) => {
    response.writeHead(200, { "content-length": 100 }).write("half");
    setImmediate(() => response.destroy());
  };
  assert.equal((await get(package_)).status, 502);
  assert.deepEqual(
    readdirSync(folder, { recursive: true }).filter((name) => String(name).includes("patroni_")),
    [],
  );
  answer = (_, response) => response.end("whole");
  assert.deepEqual(await get(package_), { status: 200, body: "whole" });
});

test("what the archive does not have is not there, and what it never has is not asked for", async () => {
  answer = (_, response) => response.writeHead(404).end();
  assert.equal((await get("/debian/pool/main/n/none_1_all.deb")).status, 404);
  asked = [];
  for (const path of [
    "/",
    "/debian/",
    "/debian/../../etc/passwd",
    "/debian/pool/%2e%2e/%2e%2e/x",
    "/debian/pool/..%2f..%2fx",
    "/debian/pool/%00",
    "/debian/pool/%",
    "/ubuntu/pool/x",
    "http://example.org/debian/pool/x",
  ]) {
    assert.equal((await get(path)).status, 404, path);
  }
  assert.equal((await get(package_, "PUT")).status, 405);
  assert.deepEqual(asked, []);
  assert.ok(!existsSync(join(folder, "debian")));
});

test("names are the same however apt writes them, and updates have an archive of their own", async () => {
  assert.equal(
    archivePath("/debian/pool/main/g/g%2b%2b_1%7e2.deb"),
    "debian/pool/main/g/g++_1~2.deb",
  );
  await get("/debian-security/pool/updates/main/o/openssl_1.deb");
  assert.deepEqual(asked, ["/updates/pool/updates/main/o/openssl_1.deb"]);
});

test("the host's proxy is asked for the archive's name", async () => {
  await close(lab);
  const nowhere = "http://archive.invalid/debian";
  lab = await serve({ archive: nowhere, security: nowhere, proxy: base });
  assert.deepEqual(await get(index), { status: 200, body: "first" });
  assert.deepEqual(asked, [`${nowhere}/dists/trixie/InRelease`]);
});

test("the host's apt knows two archives of Debian", () => {
  const targets = [
    "http://apt.example.org/|Example|Example",
    "http://mirror.example.org/debian/|Debian|Debian",
    "http://mirror.example.org/debian-security/|Debian|Debian-Security",
  ].join("\n");
  assert.equal(debianArchive(targets), "http://mirror.example.org/debian");
  assert.equal(
    debianArchive(targets, "Debian-Security"),
    "http://mirror.example.org/debian-security",
  );
});
