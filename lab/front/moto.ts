import { spawn, type ChildProcess } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { Agent, request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { protocols, type Answer, type Call } from "./call.ts";
import { readS3 } from "./s3Operation.ts";
import { splitTarget } from "./signature.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Headers that belong to one connection, or to the caller's signature, and are not passed on. */
const ownHeaders = new Set([
  "authorization",
  "connection",
  "content-length",
  "expect",
  "host",
  "transfer-encoding",
  "x-amz-security-token",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-lab-vpc",
]);

/** Headers of moto's answers that belong to its connection. */
const dropped = new Set(["connection", "server", "transfer-encoding"]);

/** A running moto: the lab's records of everything AWS would remember. */
export class Moto {
  readonly port: number;
  private readonly child: ChildProcess | undefined;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 32 });

  constructor(port: number, child?: ChildProcess) {
    this.port = port;
    this.child = child;
  }

  /** Starts moto and waits until it answers. It dies with `stop`, and its log goes to a file. */
  static async start(options: {
    /** Folder in which moto is installed, for Python's search path; absent when the interpreter finds it by itself. */
    readonly site?: string;
    readonly python?: string;
    readonly port: number;
    readonly logFile: string;
  }): Promise<Moto> {
    await mustBeFree(options.port);
    const log = openSync(options.logFile, "a");
    const child = spawn(
      options.python ?? "python3",
      [here("./moto/server.py"), "-H", "127.0.0.1", "-p", String(options.port)],
      {
        stdio: ["ignore", log, log],
        env: {
          PATH: process.env["PATH"],
          MOTO_AMIS_PATH: here("./moto/images.json"),
          MOTO_ENABLE_AMI_VALIDATION: "true",
          MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: "true",
          MOTO_ENABLE_KEYPAIR_VALIDATION: "true",
          PYTHONUNBUFFERED: "1",
          ...(options.site === undefined ? {} : { PYTHONPATH: options.site }),
        },
      },
    );
    closeSync(log);
    const moto = new Moto(options.port, child);
    const failed = new Promise<Error>((resolve) => {
      child.once("error", resolve);
      child.once("exit", (code) => {
        resolve(new Error(`moto ended with ${code ?? "a signal"}; see ${options.logFile}`));
      });
    });
    const deadline = Date.now() + 60_000;
    for (;;) {
      const outcome = await Promise.race([moto.answers(), failed]);
      if (outcome instanceof Error) throw outcome;
      if (outcome) return moto;
      if (Date.now() > deadline) {
        await moto.stop();
        throw new Error(
          `moto did not answer on port ${options.port} within 60 s; see ${options.logFile}`,
        );
      }
      await sleep(100);
    }
  }

  /** The process id, when this object started the process. */
  get pid(): number | undefined {
    return this.child?.pid;
  }

  /** Runs a callback if moto ends without having been asked to. */
  onExit(listener: (code: number | null) => void): void {
    this.child?.once("exit", listener);
  }

  /** Ends moto and waits for it. */
  async stop(): Promise<void> {
    this.agent.destroy();
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.removeAllListeners("exit");
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => {
        resolve();
      });
    });
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 3000);
    await ended;
    clearTimeout(timer);
  }

  /** Passes a call on. Parameters are encoded anew only when a rule has changed them. */
  async forward(call: Call, changed: boolean): Promise<Answer> {
    const { request, service, region } = call;
    const headers: OutgoingHttpHeaders = {};
    for (const [name, value] of Object.entries(request.headers)) {
      if (!ownHeaders.has(name) && value !== undefined) headers[name] = value;
    }
    let body = request.body;
    if (changed) {
      if (protocols[service] !== "ec2")
        throw new Error(`parameters of ${service} calls cannot be changed`);
      body = Buffer.from(new URLSearchParams(call.params.entries()).toString());
    }
    headers["host"] = `127.0.0.1:${this.port}`;
    headers["content-length"] = body.length;
    headers["authorization"] =
      `AWS4-HMAC-SHA256 Credential=LABADMIN00000000000/20260101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
    const target = service === "s3" ? readS3(request).pathStyleTarget : request.target;
    // Artifacts are tens of megabytes, fetched by all machines at once.
    const streamed = service === "s3" && call.operation === "GetObject";
    return this.send(request.method, withoutPresigning(target), headers, body, streamed);
  }

  private async answers(): Promise<boolean> {
    try {
      return (await this.send("GET", "/moto-api/data.json", {}, Buffer.alloc(0))).status === 200;
    } catch {
      return false;
    }
  }

  private send(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    body: Buffer,
    streamed = false,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = httpRequest(
        { host: "127.0.0.1", port: this.port, method, path, headers, agent: this.agent },
        (response) => {
          const kept: Record<string, string | string[]> = {};
          for (const [name, value] of Object.entries(response.headers)) {
            if (value !== undefined && !dropped.has(name)) kept[name] = value;
          }
          const answer = { status: response.statusCode ?? 500, headers: kept };
          if (streamed && answer.status < 400) {
            resolve({ ...answer, body: Buffer.alloc(0), stream: response });
            return;
          }
          const parts: Buffer[] = [];
          response.on("data", (part: Buffer) => parts.push(part));
          response.on("error", reject);
          response.on("end", () => {
            resolve({ ...answer, body: Buffer.concat(parts) });
          });
        },
      );
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }
}

/** Another lab's moto on our port would answer in ours' stead. */
async function mustBeFree(port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(port, "127.0.0.1", resolve);
  });
  await new Promise((resolve) => probe.close(resolve));
}

function withoutPresigning(target: string): string {
  const { path, query } = splitTarget(target);
  const kept = query.split("&").filter((pair) => pair !== "" && !/^X-Amz-/.test(pair));
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}
