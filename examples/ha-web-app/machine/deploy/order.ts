import { z } from "zod";

import { settingsSchema } from "../app/settings.ts";

/** What `pulumi up` asks of a machine, on standard input. */
export const orderSchema = z.strictObject({
  settings: settingsSchema,
  /** PEM. */
  certificates: z.strictObject({ ca: z.string(), certificate: z.string(), key: z.string() }),
  balancer: z.strictObject({
    region: z.string().min(1),
    targetGroupArn: z.string().startsWith("arn:"),
    /** This machine, as it is among the targets. */
    address: z.ipv4(),
    port: z.int(),
  }),
  /** Seconds. */
  limits: z.strictObject({
    /** Until a deregistered target is forgotten, with no connection left. */
    drain: z.int().positive(),
    /** Until a new release can use what it needs. */
    start: z.int().positive(),
    /** Until the balancer finds it healthy. */
    healthy: z.int().positive(),
  }),
});

/** See the schema. */
export type Order = z.output<typeof orderSchema>;
