import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { command } from "../../lab/providers/command/provider.ts";
import { Asset, type Values } from "../../lab/providers/shared/value.ts";
import { ProviderClient } from "./providerClient.ts";
import { startEngine, startSshd, type Sshd } from "./providerSshd.ts";

/** remote.CopyToRemote against a real sshd. */

const type = "command:remote:CopyToRemote";

let engine: Awaited<ReturnType<typeof startEngine>>;
let provider: ProviderClient;
let sshd: Sshd;
let folder: string;
before(async () => {
  engine = await startEngine();
  provider = await ProviderClient.start(command, {}, engine.address);
  sshd = await startSshd();
  folder = mkdtempSync(join(tmpdir(), "etcd-cluster-copy-"));
});
after(() => {
  provider.stop();
  engine.stop();
  sshd.stop();
  rmSync(folder, { recursive: true });
});

function args(remotePath: string, content: string, extra: Values = {}): Values {
  const path = join(folder, "source");
  writeFileSync(path, content);
  const { port, user, privateKey, hostKey } = sshd;
  return {
    connection: { host: "127.0.0.1", port, user, privateKey, hostKey },
    source: new Asset({ hash: content, path }),
    remotePath: join(folder, remotePath),
    ...extra,
  };
}

void test("a file is copied, with the folders above it; again when it is another one or goes elsewhere; and stays", async () => {
  const place = "a/b/target";
  const kept = await provider.create(type, args(place, "one"));
  assert.equal(readFileSync(join(folder, place), "utf8"), "one");
  const changed = await provider.diff(type, kept, args(place, "two"));
  assert.equal(changed.changed, true);
  assert.deepEqual(changed.replaces, []);
  const second = await provider.update(type, kept, args(place, "two"));
  assert.equal(readFileSync(join(folder, place), "utf8"), "two");
  const moved = await provider.update(type, second, args("elsewhere", "two"));
  assert.equal(readFileSync(join(folder, "elsewhere"), "utf8"), "two");
  await provider.delete(type, moved);
  assert.ok(existsSync(join(folder, "elsewhere")) && existsSync(join(folder, place)));
});

void test("nothing is copied for another way to the machine; triggers replace", async () => {
  const kept = await provider.create(type, args("still", "one"));
  rmSync(join(folder, "still"));
  const connection = { ...(args("", "one")["connection"] as Values), dialErrorLimit: 3 };
  await provider.update(type, kept, args("still", "one", { connection }));
  assert.equal(existsSync(join(folder, "still")), false);
  const { replaces } = await provider.diff(type, kept, args("still", "one", { triggers: ["x"] }));
  assert.deepEqual(replaces, ["triggers"]);
});

void test("what cannot be written, and what is no file, is an error that names it", async () => {
  await assert.rejects(
    provider.create(type, args("source/below", "one")),
    /cannot copy .*source to .*below/,
  );
  await assert.rejects(
    provider.create(type, { ...args("x", "one"), source: new Asset({ hash: "h", text: "text" }) }),
    /FileAsset/,
  );
});
