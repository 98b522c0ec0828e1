import { createPrivateKey, createPublicKey } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

import ssh2, { type Client, type ConnectConfig } from "ssh2";

import { messageOf } from "../shared/errors.ts";
import { privateKeyOpenssh } from "../shared/openssh.ts";
import type { Connection, Endpoint } from "./arguments.ts";
import { withRetry, type Retry } from "./retry.ts";

const defaults = { port: 22, user: "root", perDialTimeoutSeconds: 15 } as const;

/** An open connection; `close` ends it and the jump host's. */
export interface Dialled {
  readonly client: Client;
  close(): void;
}

/**
 * Connects as the real provider does. Through a jump host there are three steps with retries of their own, and the last one, the
 * handshake with the target, is retried on the same connection: once that is dead no retry can succeed.
 */
export async function dial(
  connection: Connection,
  retry: Pick<Retry, "signal" | "report">,
): Promise<Dialled> {
  const target = loginTo(connection);
  const limit = connection.dialErrorLimit;
  if (connection.proxy === undefined) {
    const client = await withRetry({ ...retry, what: "Dial", limit }, async () =>
      handshake(await dialTcp(connection), target),
    );
    return { client, close: () => client.end() };
  }
  try {
    return await dialThrough(connection, connection.proxy, target, retry);
  } catch (error) {
    throw new Error(`proxy: ${messageOf(error)}`);
  }
}

async function dialThrough(
  connection: Connection,
  proxy: Endpoint,
  target: ConnectConfig,
  retry: Pick<Retry, "signal" | "report">,
): Promise<Dialled> {
  const limit = connection.dialErrorLimit;
  const jump = await withRetry(
    { ...retry, what: "Dial proxy", limit: proxy.dialErrorLimit },
    async () => handshake(await dialTcp(proxy), loginTo(proxy)),
  );
  try {
    const tunnel = await withRetry({ ...retry, what: "Dial from proxy", limit }, () =>
      forward(jump, connection),
    );
    const client = await withRetry({ ...retry, what: "Dial", limit }, () =>
      handshake(tunnel, target),
    );
    return {
      client,
      close: () => {
        client.end();
        jump.end();
      },
    };
  } catch (error) {
    jump.end();
    throw error;
  }
}

/** How to log in. An unreadable private or host key is an error at once, without any attempt. */
function loginTo(endpoint: Endpoint): ConnectConfig {
  const agent = endpoint.agentSocketPath ?? process.env["SSH_AUTH_SOCK"];
  const hostKey = endpoint.hostKey === undefined ? undefined : parseHostKey(endpoint.hostKey);
  return {
    username: endpoint.user ?? defaults.user,
    // Only opening the TCP connection has a time limit; a server that then says nothing is waited for without end.
    readyTimeout: 0,
    keepaliveInterval: 0,
    ...(endpoint.privateKey === undefined
      ? {}
      : { privateKey: readPrivateKey(endpoint.privateKey) }),
    ...(endpoint.privateKeyPassword === undefined
      ? {}
      : { passphrase: endpoint.privateKeyPassword }),
    ...(endpoint.password === undefined ? {} : { password: endpoint.password, tryKeyboard: true }),
    ...(agent === undefined || agent === "" ? {} : { agent }),
    ...(hostKey === undefined
      ? {}
      : {
          hostVerifier: (offered: Buffer) => offered.equals(hostKey.blob),
          algorithms: { serverHostKey: [hostKey.type] as never },
        }),
  };
}

function parseHostKey(line: string): { type: string; blob: Buffer } {
  const key = ssh2.utils.parseKey(line.trim());
  if (key instanceof Error) {
    throw new Error("failed to parse host key: ssh: no key found");
  }
  return { type: key.type, blob: key.getPublicSSH() };
}

/** The SSH library does not read PKCS 8, which other tools hand out. */
function readPrivateKey(pem: string): string {
  if (!pem.includes("-----BEGIN PRIVATE KEY-----")) {
    return pem;
  }
  const key = createPrivateKey(pem);
  return privateKeyOpenssh(key, createPublicKey(key)) ?? pem;
}

function dialTcp(endpoint: Endpoint): Promise<Socket> {
  const port = endpoint.port ?? defaults.port;
  const seconds = endpoint.perDialTimeout ?? defaults.perDialTimeoutSeconds;
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => {
      socket.destroy();
      reject(new Error(`dial tcp ${endpoint.host}:${port}: ${reason}`));
    };
    const socket = connect({ host: endpoint.host, port });
    const limit =
      seconds === 0
        ? undefined
        : setTimeout(() => {
            fail("i/o timeout");
          }, seconds * 1000);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(limit);
      fail(dialErrors[error.code ?? ""] ?? error.message);
    });
    socket.once("connect", () => {
      clearTimeout(limit);
      socket.removeAllListeners("error");
      resolve(socket);
    });
  });
}

/** The words of the real provider for what the system calls by number. */
const dialErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connect: connection refused",
  ECONNRESET: "connect: connection reset by peer",
  EHOSTUNREACH: "connect: no route to host",
  ENETUNREACH: "connect: network is unreachable",
  ETIMEDOUT: "connect: connection timed out",
  ENOTFOUND: "lookup: no such host",
};

function forward(jump: Client, target: Endpoint): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    jump.forwardOut("127.0.0.1", 0, target.host, target.port ?? defaults.port, (error, channel) => {
      if (error === undefined) {
        resolve(channel);
      } else {
        const reason = error.message.replace(/^\(SSH\) Channel open failure: /, "");
        reject(new Error(`ssh: rejected: connect failed (${reason})`));
      }
    });
  });
}

function handshake(sock: Duplex, login: ConnectConfig): Promise<Client> {
  return new Promise((resolve, reject) => {
    if (sock.destroyed || sock.readableEnded) {
      reject(new Error("ssh: handshake failed: EOF"));
      return;
    }
    const client = new ssh2.Client();
    const fail = (reason: string) => {
      client.destroy();
      reject(new Error(`ssh: handshake failed: ${reason}`));
    };
    client
      .once("ready", () => {
        client.removeAllListeners("error");
        // A connection that breaks later shows in the command that runs on it.
        client.on("error", () => undefined);
        resolve(client);
      })
      .on("error", (error) => {
        fail(handshakeError(error));
      })
      .once("close", () => {
        fail("EOF");
      })
      .on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => {
        finish(prompts.map(() => login.password ?? ""));
      })
      .connect({ ...login, sock });
  });
}

function handshakeError(error: Error & { level?: string }): string {
  if (error.message.includes("Host denied")) {
    return "ssh: host key mismatch";
  }
  if (error.level === "client-authentication") {
    return "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain";
  }
  if (error.message.includes("no matching host key")) {
    return "ssh: no common algorithm for host key";
  }
  return error.message;
}
