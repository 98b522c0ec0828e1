import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Pem } from "./agentSupport.ts";

/** PostgreSQL on loopback: a primary and a replica, which takes over when it is told to. */

const packages = "/usr/lib/postgresql";

/** Folder of the newest PostgreSQL of Debian's packages on this host, if there is one. */
export function postgresPrograms(): string | undefined {
  if (!existsSync(packages)) return undefined;
  const [newest] = readdirSync(packages).sort((a, b) => Number(b) - Number(a));
  const folder = join(packages, newest ?? "", "bin");
  return existsSync(join(folder, "initdb")) ? folder : undefined;
}

/** As whom they run; the test's own user where nothing is said. */
interface Owner {
  readonly uid?: number;
  readonly gid?: number;
}

/** One test's servers. All listen on the same port, of addresses of their own. */
export class PostgresProcesses {
  readonly port: number;
  readonly password = "not a secret";
  readonly #programs: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "etcd-postgres-"));
  readonly #owner: Owner;
  readonly #running = new Map<string, ChildProcess>();

  private constructor(programs: string, port: number, owner: Owner, tls: Pem) {
    this.#programs = programs;
    this.port = port;
    this.#owner = owner;
    if (owner.uid !== undefined && owner.gid !== undefined) {
      chownSync(this.#folder, owner.uid, owner.gid);
    }
    for (const what of ["certificate", "key"] as const) {
      writeFileSync(this.#file(what), tls[what], { mode: 0o600 });
      if (owner.uid !== undefined && owner.gid !== undefined) {
        chownSync(this.#file(what), owner.uid, owner.gid);
      }
    }
  }

  /** It refuses to run as root; the package has made a user for it. */
  static async create(programs: string, port: number, tls: Pem): Promise<PostgresProcesses> {
    if (userInfo().uid !== 0) return new PostgresProcesses(programs, port, {}, tls);
    const number = async (what: string): Promise<number> =>
      Number((await execa("id", [what, "postgres"])).stdout);
    const owner = { uid: await number("-u"), gid: await number("-g") };
    return new PostgresProcesses(programs, port, owner, tls);
  }

  /** Makes a server from nothing; its superuser is `app`. */
  async primary(address: string): Promise<void> {
    const passwords = this.#file("password");
    await execa("tee", [passwords], { input: this.password, stdout: "ignore", ...this.#owner });
    await this.#run("initdb", [
      ...["-D", this.#file(address), "-U", "app", "-A", "scram-sha-256"],
      ...["--pwfile", passwords, "--no-sync", "-E", "UTF8", "--locale=C"],
    ]);
    await this.start(address);
  }

  /** Makes a replica of a server. */
  async replica(address: string, of: string): Promise<void> {
    const source = `host=${of} port=${this.port} user=app password='${this.password}'`;
    await this.#run("pg_basebackup", [
      ...["-D", this.#file(address), "-d", source],
      ...["-R", "--checkpoint=fast", "--no-sync"],
    ]);
    await this.start(address);
  }

  /** Starts a server, and waits until it answers. */
  async start(address: string): Promise<void> {
    const data = this.#file(address);
    const settings = {
      ...{ listen_addresses: address, port: String(this.port), unix_socket_directories: "" },
      ...{ ssl: "on", ssl_cert_file: this.#file("certificate"), ssl_key_file: this.#file("key") },
      ...{ fsync: "off", shared_buffers: "16MB", hot_standby: "on" },
    };
    const child = spawn(
      join(this.#programs, "postgres"),
      [
        "-D",
        data,
        ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
      ],
      { stdio: "ignore", ...this.#owner },
    );
    this.#running.set(address, child);
    const end = performance.now() + 30_000;
    for (;;) {
      const { exitCode } = await execa(
        join(this.#programs, "pg_isready"),
        ["-q", "-h", address, "-p", String(this.port)],
        { reject: false },
      );
      if (exitCode === 0) return;
      if (performance.now() > end) throw new Error(`PostgreSQL on ${address} does not answer`);
    }
  }

  /** Ends a server at once, as a power cut does. */
  async kill(address: string): Promise<void> {
    const child = this.#running.get(address);
    this.#running.delete(address);
    if (child === undefined || child.exitCode !== null) return;
    const exit = once(child, "exit");
    child.kill("SIGKILL");
    await exit;
  }

  /** Makes a replica the primary. */
  async promote(address: string): Promise<void> {
    await this.#run("pg_ctl", ["-D", this.#file(address), "-w", "promote"]);
  }

  /** Ends everything. */
  async end(): Promise<void> {
    for (const address of [...this.#running.keys()]) await this.kill(address);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  async #run(program: string, args: readonly string[]): Promise<void> {
    await execa(join(this.#programs, program), args, this.#owner);
  }
}
