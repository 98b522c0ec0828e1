import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, closeSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";

/** etcd processes on loopback, without TLS, for tests that look at what they leave on disk. */

/** One member: what is needed to start it again. */
export interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  /** The data directory. */
  readonly data: string;
}

/** Two free ports of an address. They could be taken by another before etcd binds them; every test has an address of its own. */
async function freePorts(address: string): Promise<[number, number]> {
  const ports: number[] = [];
  const servers = [createServer(), createServer()];
  for (const server of servers) {
    server.listen(0, address);
    await once(server, "listening");
    const bound = server.address();
    if (bound === null || typeof bound === "string") throw new Error("no port");
    ports.push(bound.port);
  }
  await Promise.all(servers.map(async (server) => once(server.close(), "close")));
  const [client = 0, peer = 0] = ports;
  return [client, peer];
}

/** The etcds of one test. */
export class EtcdProcesses {
  readonly folder: string;
  readonly programs: string;
  readonly #address: string;
  readonly #running = new Map<string, ChildProcess>();

  /**
   * @param folder for data and logs
   * @param programs where etcd, etcdctl and etcdutl are
   * @param address of loopback, the test's own
   */
  constructor(folder: string, programs: string, address: string) {
    this.folder = folder;
    this.programs = programs;
    this.#address = address;
  }

  /** Chooses addresses for a new member. */
  async member(name: string): Promise<Member> {
    const [client, peer] = await freePorts(this.#address);
    return {
      name,
      clientUrl: `http://${this.#address}:${client}`,
      peerUrl: `http://${this.#address}:${peer}`,
      data: join(this.folder, name),
    };
  }

  /** Starts a member's etcd. */
  start(
    member: Member,
    initial: readonly Member[],
    state: "new" | "existing",
    options: readonly string[] = [],
  ): void {
    mkdirSync(this.folder, { recursive: true });
    const output = openSync(join(this.folder, `${member.name}.log`), "a");
    const child = spawn(
      join(this.programs, "etcd"),
      [
        ...["--name", member.name, "--data-dir", member.data, "--log-level", "warn"],
        ...["--listen-client-urls", member.clientUrl, "--advertise-client-urls", member.clientUrl],
        ...["--listen-peer-urls", member.peerUrl, "--initial-advertise-peer-urls", member.peerUrl],
        ...["--initial-cluster", initial.map((each) => `${each.name}=${each.peerUrl}`).join(",")],
        ...["--initial-cluster-state", state, "--initial-cluster-token", "test"],
        ...["--heartbeat-interval", "50", "--election-timeout", "500"],
        ...options,
      ],
      { stdio: ["ignore", output, output] },
    );
    closeSync(output);
    this.#running.set(member.name, child);
  }

  /** Makes a cluster of new members and waits until it serves. */
  async form(names: readonly string[], options: readonly string[] = []): Promise<Member[]> {
    const members: Member[] = [];
    for (const name of names) members.push(await this.member(name));
    for (const member of members) this.start(member, members, "new", options);
    for (const member of members) await this.serving(member);
    return members;
  }

  /** Waits until a member has a leader. */
  async serving(member: Member): Promise<void> {
    await this.#waitFor(`${member.name} to serve`, async () => {
      const answer = await fetch(`${member.clientUrl}/health`);
      return answer.ok ? true : undefined;
    });
  }

  /** Sends a signal and waits for the end. */
  async stop(member: Member, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    const child = this.#running.get(member.name);
    this.#running.delete(member.name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  /** Sends a signal that does not end it: SIGSTOP freezes it, SIGCONT lets it go on. */
  signal(member: Member, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#running.get(member.name)?.kill(signal);
  }

  /** Waits until a process ends by itself. */
  async exit(member: Member): Promise<number | null> {
    const child = this.#running.get(member.name);
    if (child === undefined) return null;
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    return child.exitCode;
  }

  /** Kills whatever still runs. */
  async end(): Promise<void> {
    await Promise.all(
      [...this.#running.keys()].map(async (name) =>
        this.stop({ name, clientUrl: "", peerUrl: "", data: "" }, "SIGKILL"),
      ),
    );
  }

  /** etcdctl against one member. */
  async etcdctl(member: Member, ...args: readonly string[]): Promise<string> {
    const { stdout } = await execa(join(this.programs, "etcdctl"), [
      ...["--endpoints", member.clientUrl, "--command-timeout", "5s"],
      ...args,
    ]);
    return stdout;
  }

  /** The member that leads; waits for an election. */
  async leading(members: readonly Member[]): Promise<Member> {
    return this.#waitFor("a leader", async () => {
      for (const member of members) {
        const { id, leader } = await this.#status(member);
        if (id === leader) return member;
      }
      return undefined;
    });
  }

  /** Waits until a member has applied what another has. */
  async caughtUp(member: Member, to: Member): Promise<void> {
    await this.#waitFor(`${member.name} to catch up`, async () => {
      const [own, other] = await Promise.all([this.#status(member), this.#status(to)]);
      return own.applied >= other.applied ? true : undefined;
    });
  }

  async #status(member: Member): Promise<{ id: string; leader: string; applied: bigint }> {
    const answer = (await this.#call(member, "maintenance/status", {})) as {
      header: { member_id: string };
      leader?: string;
      raftAppliedIndex?: string;
    };
    return {
      id: answer.header.member_id,
      leader: answer.leader ?? "0",
      applied: BigInt(answer.raftAppliedIndex ?? 0),
    };
  }

  async #waitFor<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
    const end = performance.now() + 60_000;
    for (;;) {
      const found = await attempt().catch(() => undefined);
      if (found !== undefined) return found;
      if (performance.now() > end) throw new Error(`waited 60 s for ${what}`);
      await sleep(50);
    }
  }

  /** Raises or disarms an alarm of any id, which etcdctl cannot. */
  async alarm(
    member: Member,
    action: "ACTIVATE" | "DEACTIVATE",
    memberID: string,
    alarm: string,
  ): Promise<void> {
    await this.#call(member, "maintenance/alarm", { action, memberID, alarm });
  }

  /** Writes through etcd's JSON gateway, which needs no process per write. */
  async put(member: Member, key: string, value: string, signal?: AbortSignal): Promise<bigint> {
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const answer = await this.#call(
      member,
      "kv/put",
      { key: base64(key), value: base64(value) },
      signal,
    );
    return BigInt((answer as { header: { revision: string } }).header.revision);
  }

  async #call(
    member: Member,
    method: string,
    body: object,
    signal?: AbortSignal,
  ): Promise<unknown> {
    const answer = await fetch(`${member.clientUrl}/v3/${method}`, {
      method: "POST",
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
    const content = (await answer.json()) as { message?: string; error?: string };
    if (!answer.ok) throw new Error(content.message ?? content.error ?? `${answer.status}`);
    return content;
  }
}
