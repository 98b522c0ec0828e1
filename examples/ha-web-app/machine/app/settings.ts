import { readFileSync } from "node:fs";
import { join } from "node:path";

import { z } from "zod";

/** What the app is told. It comes from Pulumi's config and the program's outputs, over SSH's standard input; as a whole it is a secret. */
export const settingsSchema = z.strictObject({
  /** Which of the machines this is, for people: its zone. */
  machine: z.string().min(1),
  /** Port on loopback on which nginx finds the app. */
  port: z.int().min(1).max(65_535),
  /** Who knows it may turn features on and off. */
  adminToken: z.string().min(16),
  etcd: z.strictObject({
    /** `https://<address>:2379` of every member. */
    endpoints: z.array(z.url()).min(1),
    /** Time to live of the scheduler's lock, seconds: after the loss of its holder nobody schedules for so long. */
    lockSeconds: z.int().min(2),
  }),
  database: z.strictObject({
    /** All machines of the database; which of them is the primary is asked, not configured. */
    hosts: z.array(z.string()).min(1),
    port: z.int().min(1).max(65_535),
    name: z.string(),
    user: z.string(),
    password: z.string(),
    /** Authority by which the database is checked, PEM; none for a database without TLS. */
    ca: z.string().optional(),
  }),
  /** Longest that a request may take, seconds. */
  requestSeconds: z.number().positive(),
});

/** See the schema. */
export type Settings = z.output<typeof settingsSchema>;

/** Files beside the settings: by what the app and etcd know each other, PEM. */
export const certificateFiles = {
  ca: "etcd-ca.pem",
  certificate: "etcd-certificate.pem",
  key: "etcd-key.pem",
} as const;

/** Name of the file with the settings. */
export const settingsFile = "settings.json";

/** Reads the settings in a folder. */
export function readSettings(folder: string): Settings {
  const file = join(folder, settingsFile);
  const parsed = settingsSchema.safeParse(JSON.parse(readFileSync(file, "utf8")));
  if (!parsed.success) {
    // Not the values: they are secrets.
    throw new Error(`${file} has not the right form\n${z.prettifyError(parsed.error)}`);
  }
  return parsed.data;
}
