import { mkdirSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { join } from "node:path";
import { serveArchive } from "../archive/serve.ts";
import { ArchiveStore } from "../archive/store.ts";
import { hostUpstream } from "../archive/upstream.ts";
import { assemble, type Assembly } from "../front/assemble.ts";
import { Moto } from "../front/moto.ts";
import { close, listen, type Handler } from "../front/server.ts";
import { control, type MachineFaults } from "./control.ts";
import { Imds } from "./imds.ts";
import { Instances } from "./instances.ts";
import { Loop } from "./loop.ts";
import type { Reality } from "./reality.ts";
import { Refusals } from "./refusals.ts";
import { Uploads } from "./uploads.ts";

/** Where and how a lab runs. Tests give their own ports and folders. */
export interface LabOptions {
  readonly region: string;
  readonly frontPort: number;
  readonly motoPort: number;
  readonly runFolder: string;
  /** Unix sockets for the machines' router; absent in a lab without machines. */
  readonly sockets?: { readonly front: string; readonly imds: string };
  /** Where Debian's archive is served to machines, and what they fetch of it is kept; absent in a lab without machines. */
  readonly archive?: { readonly socket: string; readonly folder: string };
  /** Python with moto: the interpreter, or the folder moto is installed in. */
  readonly python: { readonly interpreter?: string; readonly site?: string };
  readonly reality: Reality;
  /** Absent in a lab without machines. */
  readonly faults?: MachineFaults;
  readonly log: (line: string) => void;
  /** Called when somebody asks the lab to end, or when it cannot go on. */
  readonly ended: (reason: string) => void;
}

/** A running lab. */
export class Lab {
  readonly assembly: Assembly;
  readonly loop: Loop;
  readonly endpoint: string;
  private readonly moto: Moto;
  private readonly servers: Server[] = [];

  private constructor(options: LabOptions, moto: Moto) {
    this.moto = moto;
    this.endpoint = `http://127.0.0.1:${options.frontPort}`;
    this.assembly = assemble({
      moto,
      endpoint: this.endpoint,
      callFile: join(options.runFolder, "calls.jsonl"),
      saveGroups: (groups) => {
        writeFileSync(
          join(options.runFolder, "autoscaling.json"),
          `${JSON.stringify(groups, undefined, 2)}\n`,
        );
      },
      changed: (call) => {
        this.loop.changed(call);
      },
      targetHealth: (arn) => this.loop.observed.targets[arn],
      log: options.log,
    });
    const { engine, credentials, records } = this.assembly;
    const { reality, region, log } = options;
    this.loop = new Loop({ records, engine, credentials, reality, region, log });
  }

  /** Starts moto, the front and the loop; resolves when the API answers. */
  static async start(options: LabOptions): Promise<Lab> {
    mkdirSync(options.runFolder, { recursive: true });
    const { interpreter, site } = options.python;
    const moto = await Moto.start({
      port: options.motoPort,
      logFile: join(options.runFolder, "moto.log"),
      ...(interpreter === undefined ? {} : { python: interpreter }),
      ...(site === undefined ? {} : { site }),
    });
    moto.onExit((code) => {
      options.ended(`moto ended with ${code ?? "a signal"}`);
    });
    const lab = new Lab(options, moto);
    try {
      await lab.serve(options);
    } catch (error) {
      await lab.stop();
      throw error;
    }
    lab.loop.start();
    return lab;
  }

  /** moto's process id. */
  get motoPid(): number | undefined {
    return this.moto.pid;
  }

  /** Stops serving; machines are the reality's business. */
  async stop(): Promise<void> {
    await this.loop.stop();
    for (const server of this.servers) await close(server);
    await this.moto.stop();
  }

  private imds(): Imds {
    const { records, credentials } = this.assembly;
    const instances = new Instances(records, credentials, () => this.loop.snapshot);
    return new Imds({
      identify: (address, vpcId) => instances.byAddress(address, vpcId),
      userData: (facts) => instances.userData(facts),
      credentials: (facts, roleName) => instances.credentials(facts, roleName),
    });
  }

  private async serve(options: LabOptions): Promise<void> {
    const { log, sockets, archive, frontPort } = options;
    const refusals = new Refusals();
    const uploads = new Uploads();
    const handler: Handler = async (request) => {
      const refusal = refusals.answer(request);
      if (refusal !== undefined) return refusal;
      const answer = await control(request, {
        loop: this.loop,
        calls: this.assembly.calls,
        faults: options.faults,
        refusals,
        uploads,
        shutdown: () => {
          options.ended("asked to");
        },
      });
      return answer ?? this.assembly.front.handle(request);
    };
    this.servers.push(await listen({ port: frontPort }, handler, log));
    if (sockets !== undefined) {
      const imds = this.imds();
      this.servers.push(
        await listen({ socket: sockets.front }, handler, log, uploads),
        await listen({ socket: sockets.imds }, (request) => imds.handle(request), log),
      );
    }
    if (archive !== undefined) {
      const store = new ArchiveStore(archive.folder, hostUpstream, log);
      const { socket } = archive;
      this.servers.push(await listen({ socket }, (request) => serveArchive(store, request), log));
    }
  }
}
