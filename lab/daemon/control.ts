import type { Answer, RawRequest } from "../front/call.ts";
import type { CallLog } from "../front/callLog.ts";
import type { Loop } from "./loop.ts";

/** What the control calls may do. */
export interface ControlParts {
  readonly loop: Loop;
  readonly calls: CallLog;
  /** Ends a machine as if its host had died. Absent when there are no machines. */
  readonly kill: ((machineId: string) => Promise<void>) | undefined;
  /** Asks the process to end. */
  readonly shutdown: () => void;
}

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
  const machine = /^POST \/_lab\/machines\/(i-[0-9a-f]+)\/kill$/.exec(asked);
  if (machine !== null) {
    const id = machine[1] ?? "";
    if (parts.loop.world?.machines.some((one) => one.id === id) !== true) {
      return json(404, { error: `there is no machine ${id}` });
    }
    if (parts.kill === undefined)
      return json(409, { error: "this lab has records only, no machines" });
    await parts.kill(id);
    parts.loop.nudge();
    return json(200, { killed: id });
  }
  return json(404, { error: `the lab has no ${asked}` });
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
