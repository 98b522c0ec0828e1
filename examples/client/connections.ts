import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { InterceptingCall, type Interceptor } from "@grpc/grpc-js";
import { noop } from "cockatiel";
import { Etcd3, isRecoverableError } from "etcd3";

/** Milliseconds. */
export interface Timing {
  /** One attempt of a call: longer than an election (1 to 2 s), because members hold a write until there is a leader again. */
  readonly attempt: number;
  /** All attempts of one call together. */
  readonly call: number;
  /** From one look at the certificate's files to the next. */
  readonly reload: number;
  /** A ping on a connection in use, far below a balancer's idle timeout of 350 s. etcd takes one in 5 s at most. */
  readonly keepAlive: number;
  /** How long its answer may take; then the member is taken for dead. */
  readonly keepAliveAnswer: number;
  /** A connection without calls is closed before a balancer forgets it, of which nobody would be told. */
  readonly idle: number;
}

/** What to begin with. */
export const defaults: Timing = {
  attempt: 2500,
  call: 15_000,
  reload: 10_000,
  keepAlive: 10_000,
  keepAliveAnswer: 5000,
  idle: 60_000,
};

/** Whom to ask, and as whom. */
export interface ConnectionOptions {
  /** `https://<address>:2379` of every member: the stack's `clientEndpoints`. */
  readonly endpoints: readonly string[];
  /** Files, PEM: the authorities, the client's certificate and its key. They may be exchanged at any time. */
  readonly tls: { readonly ca: string; readonly certificate: string; readonly key: string };
  readonly timing?: Partial<Timing>;
  /** Told when other certificates cannot be used; the old ones stay in use. Defaults to a warning of the process. */
  readonly report?: (problem: Error) => void;
}

interface Tls {
  readonly rootCertificate: Buffer;
  readonly certChain: Buffer;
  readonly privateKey: Buffer;
}

/** A member that knows no leader says so at once, and ends its watches, instead of hanging or showing what is old. */
const requireLeader: Interceptor = (options, next) =>
  new InterceptingCall(next(options), {
    start: (metadata, listener, start) => {
      metadata.set("hasleader", "true");
      start(metadata, listener);
    },
  });

/** The members of a cluster, of which one at a time is asked. */
export class Connections {
  readonly timing: Timing;
  readonly #options: ConnectionOptions;
  readonly #reloading: NodeJS.Timeout;
  #tls: Tls;
  /** One for each endpoint: the library would choose among them at random, and the dead one again and again. */
  #clients: readonly Etcd3[];
  /** Which of them is asked: the same one as long as it answers. */
  #at: number;

  private constructor(options: ConnectionOptions, tls: Tls) {
    this.#options = options;
    this.timing = { ...defaults, ...options.timing };
    this.#tls = tls;
    this.#clients = options.endpoints.map((endpoint) => this.#open(endpoint));
    // Not everybody begins with the same member.
    this.#at = Math.floor(Math.random() * this.#clients.length);
    let looking = Promise.resolve();
    this.#reloading = setInterval(() => {
      looking = looking.then(async () => this.#reload());
    }, this.timing.reload).unref();
  }

  /** Reads the certificates. Connections are made when something is asked. */
  static async create(options: ConnectionOptions): Promise<Connections> {
    if (options.endpoints.length === 0) {
      throw new Error(
        "endpoints: there are none; name every member's, the stack's clientEndpoints",
      );
    }
    return new Connections(options, await readTls(options.tls));
  }

  /** Ends all connections. */
  close(): void {
    clearInterval(this.#reloading);
    for (const client of this.#clients) client.close();
  }

  /** One attempt, at one member. One that fails is not asked again before all others. */
  async once<T>(ask: (client: Etcd3) => Promise<T>): Promise<T> {
    const at = this.#at;
    const client = this.#clients[at];
    if (client === undefined) throw new Error(`there is no endpoint ${at}`);
    try {
      return await ask(client);
    } catch (error) {
      // Unless another call has left it already.
      if (this.#at === at) this.#at = (at + 1) % this.#clients.length;
      throw error;
    }
  }

  /**
   * Asks until somebody answers, or the time of a call is up: only for what may be done twice, and for what cannot be done twice.
   * With a signal it asks until that is aborted, and then returns undefined.
   */
  async repeat<T>(ask: (client: Etcd3) => Promise<T>): Promise<T>;
  async repeat<T>(ask: (client: Etcd3) => Promise<T>, signal: AbortSignal): Promise<T | undefined>;
  async repeat<T>(
    ask: (client: Etcd3) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const end = performance.now() + this.timing.call;
    for (let most = 100; signal?.aborted !== true; most = Math.min(2 * most, 1000)) {
      try {
        return await this.once(ask);
      } catch (error) {
        const late = signal === undefined && performance.now() + most > end;
        if (late || !isRecoverable(error)) throw error;
      }
      // Not everybody comes back at the same moment.
      await pause(most * (0.5 + Math.random() / 2), signal);
    }
    return undefined;
  }

  #open(endpoint: string): Etcd3 {
    const { attempt, keepAlive, keepAliveAnswer, idle } = this.timing;
    return new Etcd3({
      hosts: endpoint,
      credentials: this.#tls,
      // The library would repeat writes, and shut a member out for 5 s after three failures.
      faultHandling: { global: noop, host: () => noop },
      // The library sets no deadline, and does not read its own option `dialTimeout`. Streams live on.
      defaultCallOptions: ({ isStream }) => ({
        interceptors: [requireLeader],
        ...(isStream ? {} : { deadline: Date.now() + attempt }),
      }),
      grpcOptions: {
        "grpc.keepalive_time_ms": keepAlive,
        "grpc.keepalive_timeout_ms": keepAliveAnswer,
        "grpc.client_idle_timeout_ms": idle,
        "grpc.initial_reconnect_backoff_ms": 100,
        "grpc.max_reconnect_backoff_ms": 1000,
      },
    });
  }

  /** Certificates count when a connection is made: others need other connections, and calls under way their old ones. */
  async #reload(): Promise<void> {
    try {
      const tls = await readTls(this.#options.tls);
      if (isSame(tls, this.#tls)) return;
      const old = this.#clients;
      this.#tls = tls;
      this.#clients = this.#options.endpoints.map((endpoint) => this.#open(endpoint));
      // Ends streams as well; they begin again on new connections.
      setTimeout(() => {
        for (const client of old) client.close();
      }, this.timing.attempt).unref();
    } catch (error) {
      const problem = error instanceof Error ? error : new Error(String(error));
      if (this.#options.report === undefined) process.emitWarning(problem);
      else this.#options.report(problem);
    }
  }
}

/** No member, no leader, no answer in time: another attempt may do better. It does not say what became of this one. */
export function isRecoverable(error: unknown): boolean {
  return error instanceof Error && isRecoverableError(error);
}

/** Waits, but not beyond the signal. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, signal && { signal }).catch(() => undefined);
}

function isSame(one: Tls, other: Tls): boolean {
  return (["rootCertificate", "certChain", "privateKey"] as const).every((part) =>
    one[part].equals(other[part]),
  );
}

/** Reads the files, which somebody may be exchanging at this moment: a key that does not belong to the certificate is refused. */
async function readTls({ ca, certificate, key }: ConnectionOptions["tls"]): Promise<Tls> {
  const [rootCertificate, certChain, privateKey] = await Promise.all([
    readFile(ca),
    readFile(certificate),
    readFile(key),
  ]);
  if (!new X509Certificate(certChain).checkPrivateKey(createPrivateKey(privateKey))) {
    throw new Error(`${key} is not the key of ${certificate}; exchange both`);
  }
  return { rootCertificate, certChain, privateKey };
}
