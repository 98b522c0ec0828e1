import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import { execa } from "execa";
import { etcdModules, type EtcdVersion } from "../../lab/toolchain/artifacts.ts";
import {
  newRoot,
  turnedAway,
  type Caller,
  type Root,
  type SignedAuthority,
} from "./certificateTree.ts";
import { newKey, type Key } from "./agentSupport.ts";
import { programsOf } from "./etcdPrograms.ts";

/**
 * What the exchange of certificates rests on, asked of real etcds: whom they trust is read when they start; what they show, and what is
 * revoked, at every handshake. Other minors than the default one run where they have been built, or with ETCD_ALL_MINORS=1.
 */

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const ports = { client: 2379, peer: 2380 } as const;

type Files =
  | "clientCa"
  | "peerCa"
  | "serverCertificate"
  | "serverKey"
  | "peerCertificate"
  | "peerKey"
  | "agentCertificate"
  | "agentKey"
  | "revoked";

/** What is read of a desired state when an authority is dropped. */
interface Wish {
  readonly member: string;
  readonly certificates: { readonly authorities: string; readonly revoked: readonly string[] };
}

/** What is used of the agent's `pki.ts`, `revocation.ts` and `authorities.ts`. */
interface PkiLibrary {
  refuseDropping(
    old: Wish,
    desired: Wish,
    record: { readonly roster: readonly { readonly name: string; readonly address: string }[] },
  ): Promise<void>;
  installFiles(
    contents: Readonly<Record<Files, Buffer>>,
    owner: { readonly uid: number; readonly gid: number },
  ): Promise<boolean>;
  revocationList(serials: readonly string[]): Buffer;
  serialsOf(pems: readonly string[]): string[];
}

/** The agent's code for another root folder than /; it reads its name when it is loaded. */
function pkiLibrary(root: string): PkiLibrary {
  const { outputFiles } = buildSync({
    stdin: {
      contents:
        'export * from "./scripts/agent/pki"; export * from "./scripts/agent/revocation"; export * from "./scripts/agent/authorities";',
      resolveDir: repository,
    },
    ...{ bundle: true, write: false, platform: "node", target: "node24", format: "cjs" },
  });
  const file = join(root, "library.cjs");
  mkdirSync(root, { recursive: true });
  writeFileSync(file, outputFiles[0]?.contents ?? "");
  process.env["ETCD_AGENT_ROOT"] = root;
  try {
    return createRequire(import.meta.url)(file) as PkiLibrary;
  } finally {
    delete process.env["ETCD_AGENT_ROOT"];
  }
}

/** A member: its files, and the keys that it keeps. */
class Machine {
  readonly name: string;
  readonly address: string;
  readonly root: string;
  readonly #agent: PkiLibrary;
  #child: ChildProcess | undefined;

  constructor(base: string, name: string, address: string) {
    this.name = name;
    this.address = address;
    this.root = join(base, name);
    this.#agent = pkiLibrary(this.root);
  }

  file(name: string): string {
    return join(this.root, "etc/etcd/pki", name);
  }

  async install(trees: Trees, signer: number, keys: Keys, dropped: readonly number[] = []) {
    const { client, peer } = trees;
    const [clientAuthority, peerAuthority] = [client.at(signer), peer.at(signer)];
    const addresses = [this.address, "127.0.0.1"];
    const revoked = dropped.flatMap((each) => [client.at(each), peer.at(each)]);
    const text = {
      clientCa: client.root.certificate,
      peerCa: peer.root.certificate,
      serverCertificate: await clientAuthority.sign(this.name, keys.server, addresses),
      serverKey: keys.server.pem,
      peerCertificate: await peerAuthority.sign(this.name, keys.peer, addresses),
      peerKey: keys.peer.pem,
      agentCertificate: await clientAuthority.sign("etcd-agent", keys.agent),
      agentKey: keys.agent.pem,
    };
    const serials = this.#agent.serialsOf(revoked.map(({ certificate }) => certificate));
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    return this.#agent.installFiles(
      {
        ...(Object.fromEntries(
          Object.entries(text).map(([name, content]) => [name, Buffer.from(content)]),
        ) as Record<Exclude<Files, "revoked">, Buffer>),
        revoked: this.#agent.revocationList(serials),
      },
      owner,
    );
  }

  /** As its converge asks before it drops the first authority. */
  async refuseDropping(trees: Trees, roster: readonly Machine[]): Promise<void> {
    const wish = (authorities: string, ...revoked: string[]): Wish => ({
      member: this.name,
      certificates: { authorities, revoked },
    });
    const dropped = [trees.client, trees.peer].map((tree) => tree.at(1).certificate);
    await this.#agent.refuseDropping(wish("2+1"), wish("2", ...dropped), { roster });
  }

  start(programs: string, machines: readonly Machine[]): void {
    const peers = machines.map((each) => `${each.name}=https://${each.address}:2380`).join(",");
    this.#child = spawn(
      join(programs, "etcd"),
      [
        ...["--name", this.name, "--data-dir", join(this.root, "data"), "--log-level", "error"],
        ...["--listen-client-urls", `https://${this.address}:2379`],
        ...["--advertise-client-urls", `https://${this.address}:2379`],
        ...["--listen-peer-urls", `https://${this.address}:2380`],
        ...["--initial-advertise-peer-urls", `https://${this.address}:2380`],
        ...["--initial-cluster", peers, "--initial-cluster-token", "test"],
        ...["--client-cert-auth", "--trusted-ca-file", this.file("client-ca.crt")],
        ...["--cert-file", this.file("server.crt"), "--key-file", this.file("server.key")],
        ...["--peer-client-cert-auth", "--peer-trusted-ca-file", this.file("peer-ca.crt")],
        ...["--peer-cert-file", this.file("peer.crt"), "--peer-key-file", this.file("peer.key")],
        ...["--client-crl-file", this.file("revoked.crl")],
        ...["--peer-crl-file", this.file("revoked.crl")],
        ...["--heartbeat-interval", "50", "--election-timeout", "500"],
      ],
      { stdio: "ignore" },
    );
  }

  get runs(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  async stop(): Promise<void> {
    if (this.#child === undefined || !this.runs) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}

interface Keys {
  readonly server: Key;
  readonly peer: Key;
  readonly agent: Key;
}

async function newKeys(): Promise<Keys> {
  return { server: await newKey(), peer: await newKey(), agent: await newKey() };
}

interface Tree {
  readonly root: Root;
  at(number: number): SignedAuthority;
}

interface Trees {
  readonly client: Tree;
  readonly peer: Tree;
}

async function newTree(name: string): Promise<Tree> {
  const root = await newRoot(`${name} root`);
  const made = [await root.authority(`${name} CA`), await root.authority(`${name} CA 2`)];
  return {
    root,
    at: (number) => {
      const authority = made[number - 1];
      assert.ok(authority !== undefined);
      return authority;
    },
  };
}

/** Handshakes one after another in several lanes until it is told to end; returns why some were refused. */
function knocking(machine: Machine, caller: Caller, lanes = 4) {
  const refused: string[] = [];
  let count = 0;
  let ended = false;
  const lane = async (): Promise<void> => {
    while (!ended) {
      const reason = await turnedAway(machine.address, ports.client, caller);
      count += 1;
      if (reason !== undefined) refused.push(reason);
    }
  };
  const all = Promise.all(Array.from({ length: lanes }, lane));
  return {
    seen: () => count,
    end: async (): Promise<{ count: number; refused: string[] }> => {
      ended = true;
      await all;
      return { count, refused };
    },
  };
}

async function eventually(what: string, attempt: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await attempt().catch(() => false))) {
    if (performance.now() > end) throw new Error(`waited 60 s for ${what}`);
    await sleep(100);
  }
}

for (const [at, version] of (Object.keys(etcdModules) as EtcdVersion[]).entries()) {
  const programs = await programsOf(version);
  void describe(`etcd ${version}`, { skip: programs === undefined && "not built" }, () => {
    const base = mkdtempSync(join(tmpdir(), "etcd-certificates-"));
    const machines = [1, 2, 3].map((n) => new Machine(base, `m${n}`, `127.83.${at}.${n}`));
    const [m1] = machines;
    assert.ok(m1 !== undefined && programs !== undefined);
    const keys = new Map<Machine, Keys>();
    let trees: Trees;
    const callers = new Map<number, Caller>();

    /** A client of one authority that trusts what it was told to. */
    const caller = (number: number, ...trusted: number[]): Caller => {
      const found = callers.get(number);
      assert.ok(found !== undefined);
      return { ...found, ca: trusted.map((each) => trees.client.at(each).selfSigned).join("") };
    };

    const ctl = async (as: Caller, ...args: string[]): Promise<string> => {
      for (const what of ["ca", "cert", "key"] as const)
        writeFileSync(join(base, `client.${what}`), as[what]);
      const { stdout } = await execa(join(programs, "etcdctl"), [
        ...["--endpoints", machines.map(({ address }) => `https://${address}:2379`).join(",")],
        ...["--cacert", join(base, "client.ca"), "--cert", join(base, "client.cert")],
        ...["--key", join(base, "client.key"), "--command-timeout", "5s", ...args],
      ]);
      return stdout;
    };

    before(async () => {
      trees = { client: await newTree("client"), peer: await newTree("peer") };
      for (const number of [1, 2]) {
        const key = await newKey();
        const cert = await trees.client.at(number).sign("somebody", key);
        callers.set(number, { ca: "", cert, key: key.pem });
      }
      for (const machine of machines) {
        const own = await newKeys();
        keys.set(machine, own);
        await machine.install(trees, 1, own);
      }
      for (const machine of machines) machine.start(programs, machines);
      await eventually("a leader", async () => (await ctl(caller(1, 1), "put", "a", "1")) === "OK");
    });

    after(async () => {
      await Promise.all(machines.map((machine) => machine.stop()));
      rmSync(base, { recursive: true, force: true });
    });

    void it("lets in who shows the authority's certificate as well, and nobody else", async () => {
      const { address } = m1;
      assert.equal(await turnedAway(address, ports.client, caller(1, 1)), undefined);
      const [leaf] = caller(1, 1).cert.split(/(?<=-----END CERTIFICATE-----\n)/);
      const alone = { ...caller(1, 1), cert: leaf ?? "" };
      assert.notEqual(await turnedAway(address, ports.client, alone), undefined);
      // Not with a certificate of the other tree.
      const own = keys.get(m1);
      assert.ok(own !== undefined);
      // etcd compares a peer's certificate with the address that it comes from.
      const peer = await trees.peer.at(1).sign("m1", own.peer, ["127.0.0.1"]);
      const asPeer = { ca: trees.client.at(1).selfSigned, cert: peer, key: own.peer.pem };
      assert.notEqual(await turnedAway(address, ports.client, asPeer), undefined);
      const toPeers = { ...caller(1, 1), ca: trees.peer.root.certificate };
      assert.notEqual(await turnedAway(address, ports.peer, toPeers), undefined);
      assert.equal(await turnedAway(address, ports.peer, { ...asPeer, ca: toPeers.ca }), undefined);
    });

    void it("does not learn of another root while it runs", async () => {
      const own = keys.get(m1);
      assert.ok(own !== undefined);
      const strange = { client: await newTree("strange"), peer: trees.peer };
      const key = await newKey();
      const cert = await strange.client.at(1).sign("somebody", key);
      assert.equal(await m1.install(strange, 1, own), true);
      const ca = strange.client.root.certificate;
      assert.notEqual(
        await turnedAway(m1.address, ports.client, { ca, cert, key: key.pem }),
        undefined,
      );
      assert.equal(await turnedAway(m1.address, ports.client, { ...caller(1, 1), ca }), undefined);
      await m1.install(trees, 1, own);
    });

    void it("shows a renewed certificate for the same key, and no handshake fails", async (t) => {
      const own = keys.get(m1);
      assert.ok(own !== undefined);
      const knocks = knocking(m1, caller(1, 1));
      t.after(() => knocks.end());
      for (let round = 0; round < 20; round += 1) {
        const link = readlinkSync(join(m1.root, "etc/etcd/pki"));
        assert.equal(await m1.install(trees, 1, own), true);
        assert.notEqual(readlinkSync(join(m1.root, "etc/etcd/pki")), link);
      }
      await eventually("handshakes", () => Promise.resolve(knocks.seen() > 100));
      assert.deepEqual((await knocks.end()).refused, []);
    });

    void it("goes over to another authority and other keys: trust both, re-issue, drop", async (t) => {
      const knocks = knocking(m1, caller(1, 1, 2));
      t.after(() => knocks.end());
      for (const machine of machines) {
        await assert.rejects(
          m1.refuseDropping(trees, machines),
          /^Error: m1: m[23] still shows a certificate on port 2379 .* every member has to have reached 2\+1 first/,
        );
        const fresh = await newKeys();
        keys.set(machine, fresh);
        assert.equal(await machine.install(trees, 2, fresh), true);
      }
      await m1.refuseDropping(trees, machines);
      const { count, refused } = await knocks.end();
      t.diagnostic(`${refused.length} of ${count} handshakes fell between the two files`);
      assert.ok(refused.length <= 2, refused.join("; "));
      const both = caller(1, 1, 2);
      // Who follows trusts both, and is let in with the old one and the new one.
      assert.equal(await ctl(both, "put", "a", "2"), "OK");
      assert.equal(await ctl(caller(2, 1, 2), "put", "a", "3"), "OK");
      // Who did not follow does not believe the members.
      const late = await turnedAway(m1.address, ports.client, caller(1, 1));
      assert.match(late ?? "", /unable to (verify|get)/);

      for (const machine of machines) {
        const own = keys.get(machine);
        assert.ok(own !== undefined);
        await machine.install(trees, 2, own, [1]);
      }
      const peerKey = await newKey();
      const oldPeer = {
        ca: trees.peer.root.certificate,
        cert: await trees.peer.at(1).sign("m1", peerKey, ["127.0.0.1"]),
        key: peerKey.pem,
      };
      const newPeer = {
        ...oldPeer,
        cert: await trees.peer.at(2).sign("m1", peerKey, ["127.0.0.1", "127.83.0.9"]),
      };
      for (const { address } of machines) {
        assert.notEqual(await turnedAway(address, ports.client, both), undefined);
        assert.equal(await turnedAway(address, ports.client, caller(2, 2)), undefined);
        assert.notEqual(await turnedAway(address, ports.peer, oldPeer), undefined);
        assert.equal(await turnedAway(address, ports.peer, newPeer), undefined);
      }
      assert.equal(await ctl(caller(2, 2), "put", "a", "4"), "OK");
      assert.ok(
        machines.every(({ runs }) => runs),
        "nobody was started again",
      );
    });

    void it("a member that starts anew afterwards finds the others, and they find it", async () => {
      const m3 = machines[2];
      assert.ok(m3 !== undefined);
      await m3.stop();
      await assert.rejects(
        m1.refuseDropping(trees, machines),
        /only when all members are known to have done with it, and m3 does not answer/,
      );
      m3.start(programs, machines);
      await eventually("m3 to be healthy", async () => {
        const one = await ctl(caller(2, 2), "endpoint", "health", "--cluster");
        return !one.includes("unhealthy");
      });
      assert.equal(await ctl(caller(2, 2), "get", "a", "--print-value-only"), "4");
    });
  });
}
