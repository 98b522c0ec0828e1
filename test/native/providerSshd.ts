import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { empty, type engine, engineGrpc, grpc } from "../../lab/providers/shared/proto.ts";

/** A real sshd on loopback, and how to log in there. */
export interface Sshd {
  readonly port: number;
  readonly user: string;
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  readonly stop: () => void;
}

const binary = "/usr/sbin/sshd";

/** Starts an sshd that accepts these variables beside Debian's own `LANG LC_*`, and this public key beside its own. */
export async function startSshd(
  options: { acceptEnv?: string; publicKey?: string } = {},
): Promise<Sshd> {
  if (!existsSync(binary)) {
    throw new Error(`${binary} is missing: apt-get install openssh-server`);
  }
  const folder = mkdtempSync(join(tmpdir(), "etcd-cluster-sshd-"));
  const file = (name: string) => join(folder, name);
  for (const key of ["host", "user"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file(key)]);
  }
  appendFileSync(file("user.pub"), options.publicKey ?? "");
  const port = await freePort();
  writeFileSync(
    file("config"),
    [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${file("host")}`,
      `AuthorizedKeysFile ${file("user.pub")}`,
      "PidFile none",
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PermitRootLogin yes",
      `AcceptEnv LANG LC_* ${options.acceptEnv ?? ""}`,
      "MaxStartups 100",
      "",
      "Subsystem sftp internal-sftp",
    ].join("\n"),
  );
  if (process.getuid?.() === 0) {
    // Started as root it insists on this folder for its unprivileged child.
    mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  }
  const daemon = spawn(binary, ["-D", "-e", "-f", file("config")], { stdio: "ignore" });
  await listening(port);
  return {
    port,
    user: userInfo().username,
    privateKey: readFileSync(file("user"), "utf8"),
    hostKey: readFileSync(file("host.pub"), "utf8").trim(),
    stop: () => {
      daemon.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A loopback port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A port whose connections are never answered: the queue of its listener is full, and nobody empties it. */
export async function silentPort(): Promise<{ port: number; stop: () => void }> {
  const program = [
    "import socket, time",
    "listener = socket.socket()",
    "listener.bind(('127.0.0.1', 0))",
    "listener.listen(0)",
    "waiting = [socket.socket() for _ in range(4)]",
    "[one.setblocking(False) for one in waiting]",
    "[one.connect_ex(listener.getsockname()) for one in waiting]",
    "print(listener.getsockname()[1], flush=True)",
    "time.sleep(60)",
  ].join("\n");
  const holder = spawn("python3", ["-c", program], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = (await once(holder.stdout, "data")) as [Buffer];
  return { port: Number(line.toString()), stop: () => holder.kill() };
}

async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port }, () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => {
        resolve(false);
      });
    });
    if (open) {
      return;
    }
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** What a provider told the engine. */
export interface Logged {
  readonly severity: number;
  readonly message: string;
  readonly ephemeral: boolean;
}

/** An engine that only takes messages down. */
export async function startEngine(): Promise<{
  address: string;
  logged: Logged[];
  stop: () => void;
}> {
  const logged: Logged[] = [];
  const server = new grpc.Server();
  server.addService(engineGrpc.EngineService, {
    log: (
      call: { request: InstanceType<typeof engine.LogRequest> },
      callback: (error: null, response: InstanceType<typeof empty.Empty>) => void,
    ) => {
      logged.push({
        severity: call.request.getSeverity(),
        message: call.request.getMessage(),
        ephemeral: call.request.getEphemeral(),
      });
      callback(null, new empty.Empty());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) {
        resolve(bound);
      } else {
        reject(error);
      }
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    logged,
    stop: () => {
      server.forceShutdown();
    },
  };
}
