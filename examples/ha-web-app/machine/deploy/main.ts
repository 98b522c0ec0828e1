import { resolve } from "node:path";
import { text } from "node:stream/consumers";

import { z } from "zod";

import { targetGroup } from "./balancer.ts";
import { digestOf, thisMachine } from "./machine.ts";
import { orderSchema } from "./order.ts";
import { Failed, roll } from "./roll.ts";

/** `deploy.js RELEASE`, with the order on standard input. What is done is told on standard error, and at the end as a line of JSON. */
async function main(): Promise<void> {
  const release = resolve(process.argv[2] ?? "");
  const parsed = orderSchema.safeParse(JSON.parse(await text(process.stdin)));
  // Not the order: it has secrets.
  if (!parsed.success) throw new Failed(z.prettifyError(parsed.error));
  const order = parsed.data;
  const steps = await roll(digestOf(release, order), {
    self: order.balancer.address,
    balancer: targetGroup(order.balancer),
    machine: thisMachine(release, order),
    limits: order.limits,
    say: (line) => {
      console.error(`== ${line}`);
    },
  });
  console.log(JSON.stringify({ machine: order.settings.machine, steps }));
}

main().catch((error: unknown) => {
  console.error(error instanceof Failed ? error.message : error);
  process.exitCode = 1;
});
