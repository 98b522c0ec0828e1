import { appendFileSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  archiveFolder,
  archiveSocket,
  frontEndpoint,
  frontPort,
  frontSocket,
  imdsSocket,
  labFile,
  labState,
  motoPort,
  runFolder,
} from "../paths.ts";
import { ensureMoto } from "../toolchain/moto.ts";
import type { MachineFaults } from "./control.ts";
import { Lab } from "./lab.ts";
import { PaperReality, type Reality } from "./reality.ts";

/**
 * The lab's one long process, in the foreground: moto, the AWS API before it, the metadata service, and the loop that makes machines
 * of records. It is ready when LAB_STATE/run/lab.json exists. SIGTERM, SIGINT and POST /_lab/shutdown end it; ending it ends the
 * lab, machines and volumes included.
 *
 * ETCD_LAB_RECORDS_ONLY=1 leaves the machines out: everything that only calls the API can be tried in seconds, without root.
 * ETCD_LAB_REGION, or else AWS_REGION, names the region whose machines become real.
 */

mkdirSync(runFolder, { recursive: true });
const logFile = join(runFolder, "daemon.log");

function log(line: string): void {
  const stamped = `${new Date().toISOString()} ${line}\n`;
  appendFileSync(logFile, stamped);
  process.stdout.write(stamped);
}

/** What the machines are made with; loaded only when there are to be machines. */
async function machines(): Promise<{ reality: Reality; faults: MachineFaults }> {
  const { ensureImage } = await import("../image/image.ts");
  const { joinLab } = await import("../machines/clean.ts");
  const { Reconciler } = await import("../machines/reconcile.ts");
  joinLab();
  const image = await ensureImage({ log });
  const places = { state: labState, image, frontSocket, imdsSocket, archiveSocket };
  const reconciler = new Reconciler(places, log);
  const faults: MachineFaults = {
    kill: (id) => reconciler.kill(id),
    drop: (name, drops) => reconciler.drop(name, drops),
  };
  return { reality: reconciler, faults };
}

const recordsOnly = process.env["ETCD_LAB_RECORDS_ONLY"] === "1";
const interpreter = process.env["ETCD_LAB_MOTO_PYTHON"];
const startedAt = new Date();

let ask: (reason: string) => void = () => undefined;
const ended = new Promise<string>((resolve) => {
  ask = resolve;
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    ask(signal);
  });
}

// A fault nobody expected ends the lab in order: half a lab would mislead whoever uses it.
process.on("uncaughtException", (error) => {
  log(`uncaught: ${error.stack ?? error.message}`);
  // A fault while starting leaves nobody who would wait for the end: the process ends by itself, and not with success.
  process.exitCode = 1;
  ask("an uncaught fault");
});

rmSync(labFile, { force: true });
const { reality, faults } = recordsOnly
  ? { reality: new PaperReality(), faults: undefined }
  : await machines();
const lab = await Lab.start({
  region: process.env["ETCD_LAB_REGION"] ?? process.env["AWS_REGION"] ?? "eu-central-1",
  frontPort,
  motoPort,
  runFolder,
  python: interpreter === undefined ? { site: await ensureMoto(log) } : { interpreter },
  reality,
  ...(recordsOnly
    ? {}
    : {
        sockets: { front: frontSocket, imds: imdsSocket },
        archive: { socket: archiveSocket, folder: archiveFolder },
      }),
  ...(faults === undefined ? {} : { faults }),
  log,
  ended: ask,
});

const ready = {
  pid: process.pid,
  motoPid: lab.motoPid,
  startedAt: startedAt.toISOString(),
  readyAfterMs: Date.now() - startedAt.getTime(),
  endpoint: frontEndpoint,
  recordsOnly,
};
// Whoever waits for this file must never read half of it.
writeFileSync(`${labFile}.new`, `${JSON.stringify(ready, undefined, 2)}\n`);
renameSync(`${labFile}.new`, labFile);
log(`ready at ${frontEndpoint} after ${ready.readyAfterMs} ms`);

const reason = await ended;
log(`ending: ${reason}`);
await lab.stop();
await reality.destroyAll();
// Last: who waits for the lab's end waits for this file to go.
rmSync(labFile, { force: true });
log("ended");
process.exit(["SIGTERM", "SIGINT", "asked to"].includes(reason) ? 0 : 1);
