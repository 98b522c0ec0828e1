import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Milliseconds after the first held piece of a request in which the rest of it comes; what comes later takes the request back. */
const requestMs = 200;

/** What is held of a connection on its way to the server. */
interface Held {
  readonly server: Socket;
  readonly piece: Buffer;
  readonly at: number;
}

/** What stands between a client and one server, and loses or delays what it is told to. It passes bytes; TLS goes through. */
export class Wire {
  readonly #address: string;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #clients = new Set<Socket>();
  readonly #servers = new Set<Socket>();
  readonly #listener: Server;
  readonly #deaf = new WeakSet<Socket>();
  #isCut = false;
  #held: Held[] | undefined;
  #passedBack = 0;

  constructor(address: string, target: { readonly host: string; readonly port: number }) {
    this.#address = address;
    this.#target = target;
    this.#listener = createServer((client) => {
      this.#join(client);
    });
  }

  /** Ports of the clients that are connected. */
  get connected(): readonly number[] {
    return [...this.#clients].map(({ remotePort }) => remotePort ?? 0);
  }

  /** Number of pieces that the server has sent, whether anybody got them or not. */
  get answers(): number {
    return this.#passedBack;
  }

  /** Begins to listen, on the server's port. */
  async start(): Promise<void> {
    this.#listener.listen(this.#target.port, this.#address);
    await once(this.#listener, "listening");
  }

  /** Ends everything. */
  async stop(): Promise<void> {
    const closed = once(this.#listener, "close");
    this.#listener.close();
    for (const socket of [...this.#clients, ...this.#servers]) socket.destroy();
    await closed;
  }

  /** From now on the server's answers are lost on the connections that there are; new ones are well. */
  loseAnswers(): void {
    for (const server of this.#servers) this.#deaf.add(server);
  }

  /** From now on connections are ended as they come, or no longer. */
  cut(isCut: boolean): void {
    this.#isCut = isCut;
    if (isCut) for (const socket of [...this.#clients, ...this.#servers]) socket.destroy();
  }

  /** From now on what clients send is held, and connections to the server outlive them. */
  hold(): void {
    this.#held = [];
  }

  /** Sends the requests that were held, but not that they were taken back. */
  release(): void {
    const held = this.#held ?? [];
    const first = held[0]?.at ?? 0;
    this.#held = undefined;
    for (const { server, piece, at } of held) if (at - first < requestMs) server.write(piece);
  }

  #join(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const server = connect(this.#target);
    this.#clients.add(client);
    this.#servers.add(server);
    client.on("data", (piece) => {
      if (this.#held === undefined) server.write(piece);
      else this.#held.push({ server, piece, at: performance.now() });
    });
    server.on("data", (piece) => {
      this.#passedBack += 1;
      if (!this.#deaf.has(server)) client.write(piece);
    });
    client.on("close", () => {
      this.#clients.delete(client);
      if (this.#held === undefined) server.destroy();
    });
    server.on("close", () => {
      this.#servers.delete(server);
      client.destroy();
    });
    // Ends are what this is about; "close" follows.
    for (const socket of [client, server]) socket.on("error", () => undefined);
  }
}
