import { once } from "node:events";
import type { Server } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { EtcdClient } from "../../../client/etcdClient.ts";
import { Deadline } from "./deadline.ts";
import { serve } from "./http.ts";
import { Notes } from "./notes.ts";
import { readSummary, schedule } from "./scheduler.ts";
import { certificateFiles, readSettings } from "./settings.ts";
import { followFlags, setFlag, Visits, type Flags } from "./shared.ts";

/** From one run of the scheduler to the next, and from one attempt of anything to the next. */
const periodMs = 1000;

/**
 * Runs the app until `ending`, and answers what was begun.
 *
 * @param folder with the settings and certificates
 */
export async function runApp(
  folder: string,
  version: string,
  log: (line: string) => void,
  ending: AbortSignal,
): Promise<void> {
  const settings = readSettings(folder);
  const { machine, requestSeconds, etcd: shared } = settings;
  const etcd = await EtcdClient.create({
    endpoints: shared.endpoints,
    tls: {
      ca: join(folder, certificateFiles.ca),
      certificate: join(folder, certificateFiles.certificate),
      key: join(folder, certificateFiles.key),
    },
    receipts: "ha-web-app/receipts/",
    timing: { call: requestSeconds * 1000 },
  });
  const notes = new Notes(settings.database);
  const visits = new Visits(etcd);
  let flags: Flags = {};
  const server = serve(
    {
      ...{ version, machine, requestSeconds, notes },
      flags: () => flags,
      adminToken: settings.adminToken,
      setFlag: (name, on) => setFlag(etcd, name, on),
      countVisit: () => visits.count(),
      summary: () => readSummary(etcd),
    },
    log,
  );
  // A function, because the end may come while something is waited for.
  const over = (): boolean => ending.aborted;
  const pause = (milliseconds: number): Promise<void> =>
    sleep(milliseconds, undefined, { signal: ending }).catch(() => undefined);
  const work = (): Promise<number> => notes.count(new Deadline(shared.lockSeconds * 250));

  await Promise.all([
    again("the table", async () => {
      await notes.prepare(new Deadline(requestSeconds * 1000));
      return "done";
    }),
    again("the flags", () =>
      followFlags(
        etcd,
        (now) => {
          flags = now;
        },
        ending,
      ),
    ),
    again("the scheduler", () =>
      schedule(etcd, { machine, lockSeconds: shared.lockSeconds, periodMs, work }, pause, ending),
    ),
    listen(server, settings.port, ending),
  ]);
  await notes.close();
  etcd.close();

  /** Does something until it says that it is done, or the end. A fault is told when it begins. */
  async function again(what: string, attempt: () => Promise<unknown>): Promise<void> {
    let told = "";
    while (!over()) {
      try {
        if ((await attempt()) === "done") return;
      } catch (error) {
        const fault = error instanceof Error ? error.message : String(error);
        if (fault !== told && !over()) log(`${what}: ${fault}`);
        told = fault;
      }
      await pause(periodMs);
    }
  }
}

/** Serves until the end; requests under way are answered. */
async function listen(server: Server, port: number, ending: AbortSignal): Promise<void> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  if (!ending.aborted) await once(ending, "abort");
  server.close();
  // Connections that become idle later, too.
  const closing = setInterval(() => {
    server.closeIdleConnections();
  }, 50);
  await once(server, "close");
  clearInterval(closing);
}
