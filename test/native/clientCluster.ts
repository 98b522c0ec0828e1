import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EtcdClient, type ClientOptions } from "../../examples/client/etcdClient.ts";
import { ensureEtcd, etcdPrograms, defaultEtcd } from "../../lab/toolchain/artifacts.ts";
import type { TestAuthority } from "./agentSupport.ts";
import { EtcdProcesses, type Member } from "./etcdProcesses.ts";
import { Wire } from "./wire.ts";

/** Three etcds that admit whoever has a certificate, each behind a wire that can be cut, and clients of the recipe. */

const network = "127.85";
const port = 2379;

/** Where a wire of a test's own may be, to any member. */
export const quietAddress = `${network}.2.11`;

/** Times for tests: attempts end soon, and files are looked at often. */
export const quick = { attempt: 700, call: 8000, reload: 100 } as const;

/** What a client's files are called. */
export type Files = ClientOptions["tls"];

/** A member and its wire. */
export interface Wired extends Member {
  readonly wire: Wire;
  /** Where etcd itself is. */
  readonly address: string;
  /** Where clients find it. */
  readonly endpoint: string;
}

/** The cluster of a test. */
export class ClientCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), "etcd-client-"));
  #processes: EtcdProcesses | undefined;
  #members: Wired[] = [];
  #clients: EtcdClient[] = [];
  #made = 0;

  /** The processes. */
  get etcd(): EtcdProcesses {
    if (this.#processes === undefined) throw new Error("not started");
    return this.#processes;
  }

  /** The members, in the order of their names. */
  get members(): readonly Wired[] {
    return this.#members;
  }

  /** Starts all of it. */
  async start(authority: TestAuthority): Promise<void> {
    const entry = await ensureEtcd(defaultEtcd, (line) => {
      process.stderr.write(`${line}\n`);
    });
    const programs = etcdPrograms(entry, defaultEtcd);
    this.#processes = new EtcdProcesses(this.#folder, programs, `${network}.0.1`);
    for (const at of [11, 12, 13]) {
      const address = `${network}.0.${at}`;
      const wire = new Wire(`${network}.1.${at}`, { host: address, port });
      await wire.start();
      const endpoint = `https://${network}.1.${at}:${port}`;
      this.#members.push({ ...(await this.etcd.member(`m${at - 10}`)), wire, address, endpoint });
    }
    for (const member of this.members) await this.startMember(member, "new", authority);
    for (const member of this.members) await this.etcd.serving(member);
  }

  /** Starts a member, whose certificate and whose clients' are of an authority. */
  async startMember(
    member: Wired,
    state: "new" | "existing",
    authority: TestAuthority,
  ): Promise<void> {
    const { address, clientUrl, name } = member;
    const addresses = [address, new URL(member.endpoint).hostname, quietAddress];
    const { ca, certificate, key } = this.files(
      await authority.sign(name, addresses),
      authority.certificate,
    );
    // What the test itself asks has a listener without TLS.
    this.etcd.start(member, this.members, state, [
      ...["--listen-client-urls", `${clientUrl},https://${address}:${port}`],
      ...["--client-cert-auth", "--trusted-ca-file", ca],
      ...["--cert-file", certificate, "--key-file", key],
    ]);
  }

  /** Writes a certificate, its key and authorities into files. */
  files(pem: { readonly certificate: string; readonly key: string }, ca: string): Files {
    const folder = join(this.#folder, `files${(this.#made += 1)}`);
    mkdirSync(folder);
    const write = (name: string, text: string): string => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    return {
      ca: write("ca.crt", ca),
      certificate: write("client.crt", pem.certificate),
      key: write("client.key", pem.key),
    };
  }

  /** A client of the recipe. */
  async client(options: Omit<ClientOptions, "endpoints" | "receipts">, of = this.members) {
    const endpoints = of.map(({ endpoint }) => endpoint);
    const client = await EtcdClient.create({ endpoints, receipts: "receipts/", ...options });
    this.#clients.push(client);
    return client;
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    for (const { wire } of this.members) await wire.stop();
    await this.etcd.end();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
