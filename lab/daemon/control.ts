import { z } from "zod";
import type { Answer, RawRequest } from "../front/call.ts";
import type { CallLog } from "../front/callLog.ts";
import type { Drop } from "../network/drops.ts";
import type { Loop } from "./loop.ts";
import type { Refusals } from "./refusals.ts";
import type { Uploads } from "./uploads.ts";

/** What can be done to machines from outside, where there are machines. */
export interface MachineFaults {
  /** Ends a machine as if its host had died. */
  readonly kill: (machineId: string) => Promise<void>;
  /** Sets the packets that a named fault loses; none ends that fault. */
  readonly drop: (name: string, drops: readonly Drop[]) => Promise<void>;
}

/** What the control calls may do. */
export interface ControlParts {
  readonly loop: Loop;
  readonly calls: CallLog;
  readonly faults: MachineFaults | undefined;
  readonly refusals: Refusals;
  readonly uploads: Uploads;
  /** Asks the process to end. */
  readonly shutdown: () => void;
}

const sides = z.array(z.ipv4()).min(1).max(32);
const dropsSchema = z.array(z.strictObject({ from: sides, to: sides })).max(32);
const heldSchema = z.strictObject({ path: z.string().min(1).max(200) });
const refusedSchema = z.union([z.literal("all"), z.array(z.ipv4()).max(32)]);

function json(status: number, document: unknown): Answer {
  return {
    status,
    headers: { "content-type": "application/json" },
    body: Buffer.from(`${JSON.stringify(document, undefined, 2)}\n`),
  };
}

/** Answers the lab's own calls, below /_lab/, from the host only. Undefined for every other path. */
export async function control(
  request: RawRequest,
  parts: ControlParts,
): Promise<Answer | undefined> {
  const { pathname } = new URL(request.target, "http://lab");
  if (!pathname.startsWith("/_lab/")) return undefined;
  if (request.fromMachine)
    return json(403, { error: "the lab's controls are not for its machines" });
  const asked = `${request.method} ${pathname}`;
  switch (asked) {
    case "GET /_lab/world":
      return json(200, { world: parts.loop.world, observed: parts.loop.observed });
    case "GET /_lab/machines":
      return json(200, machines(parts.loop));
    case "GET /_lab/calls":
      return json(200, parts.calls.all());
    case "GET /_lab/s3/uploads":
      return json(200, parts.uploads.held());
    case "POST /_lab/s3/uploads/hold": {
      const asks = read(request, heldSchema);
      if (asks.data === undefined) return json(400, { error: asks.error });
      parts.uploads.hold(asks.data.path);
      return json(200, asks.data);
    }
    case "POST /_lab/s3/uploads/cut": {
      const cut = parts.uploads.held();
      parts.uploads.hold(undefined);
      return json(200, { cut });
    }
    case "POST /_lab/shutdown":
      // After the answer is out.
      setImmediate(parts.shutdown);
      return json(200, { shutdown: true });
  }
  const zone = /^POST \/_lab\/zones\/([a-z0-9-]+)\/(cut|heal)$/.exec(asked);
  if (zone !== null) {
    parts.loop.setCut(zone[1] ?? "", zone[2] === "cut");
    return json(200, { zone: zone[1], cut: zone[2] === "cut" });
  }
  const refuse = /^POST \/_lab\/s3\/(refuse|serve)$/.exec(asked);
  if (refuse !== null) {
    const asks = refuse[1] === "refuse" ? read(request, refusedSchema) : { data: [] };
    if (asks.data === undefined) return json(400, { error: asks.error });
    parts.refusals.set(asks.data);
    return json(200, { refused: asks.data });
  }
  const fault = /^POST \/_lab\/drops\/([a-z0-9-]{1,40})\/(set|clear)$/.exec(asked);
  if (fault !== null) {
    const asks = fault[2] === "set" ? read(request, dropsSchema) : { data: [] };
    if (asks.data === undefined) return json(400, { error: asks.error });
    if (parts.faults === undefined) return json(409, { error: noMachines });
    await parts.faults.drop(fault[1] ?? "", asks.data);
    return json(200, { name: fault[1], drops: asks.data });
  }
  const machine = /^POST \/_lab\/machines\/(i-[0-9a-f]+)\/kill$/.exec(asked);
  if (machine !== null) {
    const id = machine[1] ?? "";
    if (parts.loop.world?.machines.some((one) => one.id === id) !== true) {
      return json(404, { error: `there is no machine ${id}` });
    }
    if (parts.faults === undefined) return json(409, { error: noMachines });
    await parts.faults.kill(id);
    parts.loop.nudge();
    return json(200, { killed: id });
  }
  return json(404, { error: `the lab has no ${asked}` });
}

const noMachines = "this lab has records only, no machines";

/** A call's JSON body, or why it is none. */
function read<T>(
  request: RawRequest,
  schema: z.ZodType<T>,
): { data: T } | { data: undefined; error: string } {
  try {
    return { data: schema.parse(JSON.parse(request.body.toString())) };
  } catch (error) {
    return { data: undefined, error: String(error) };
  }
}

function machines(loop: Loop) {
  const { world, observed } = loop;
  return (world?.machines ?? []).map((machine) => {
    const interfaces = (world?.vpcs ?? [])
      .flatMap((vpc) => vpc.interfaces)
      .filter((one) => machine.interfaceIds.includes(one.id));
    return {
      ...machine,
      address: interfaces[0]?.address,
      publicAddress: interfaces[0]?.publicAddress,
      ...observed.machines[machine.id],
      disks: (world?.disks ?? [])
        .filter((disk) => disk.attachedTo?.machineId === machine.id)
        .map((disk) => ({ ...disk, ...observed.disks[disk.id] })),
    };
  });
}
