import { renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { Endpoint, type Stored } from "./endpoint.ts";
import { Journal } from "./lines.ts";
import { MixedClient } from "./mixed.ts";
import { Monitor } from "./monitor.ts";
import { Streams } from "./streams.ts";
import { VoterWatch } from "./voters.ts";
import { Watching } from "./watcher.ts";

const clientTls = z.strictObject({ ca: z.string(), certificate: z.string(), key: z.string() });

/**
 * The writer: a process in the network of the lab's clients that writes, watches and looks at the members until it is told to stop.
 * Its orders come on stdin, one JSON document a line, the first with keys and addresses (never in argv); it ends when stdin does, so
 * that it cannot outlive whoever started it.
 */
const orderSchema = z.discriminatedUnion("order", [
  z.strictObject({
    order: z.literal("start"),
    members: z.array(z.strictObject({ name: z.string(), address: z.ipv4() })).min(1),
    /** Who looks at the members and reads everything back, and whose requests the load is. */
    tls: clientTls,
    load: clientTls,
    prefix: z.string().min(1),
    journal: z.string(),
    streams: z.int().min(0).max(64),
    /** Clients that read and write beside the streams: with retries, and without. */
    retrying: z.int().min(0).max(64).default(0),
    once: z.int().min(0).max(64).default(0),
    /** Whether the members change, so that those who are there are looked at and not those who were. */
    changing: z.boolean().default(false),
  }),
  /** Ends the writing; the answer comes when no put is under way any more. */
  z.strictObject({ order: z.literal("stop") }),
  /** Reads everything back and writes it to a file. */
  z.strictObject({ order: z.literal("read"), file: z.string() }),
  /** What a member has applied, asked of it alone. */
  z.strictObject({ order: z.literal("own"), address: z.ipv4() }),
  /** Raises etcd's CORRUPT alarm in the name of an id, hexadecimal. */
  z.strictObject({ order: z.literal("alarm"), address: z.ipv4(), id: z.string() }),
  /** One put through one member, outside of the streams; answered when it is acknowledged. */
  z.strictObject({
    order: z.literal("put"),
    address: z.ipv4(),
    key: z.string(),
    value: z.string(),
    seconds: z.number(),
  }),
]);

/** An order to the writer. */
export type Order = z.input<typeof orderSchema>;

/** What was read back at the end: the content, and the cluster that each member says it is in. */
export interface ReadBack {
  readonly stored: readonly Stored[];
  readonly clusterIds: Readonly<Record<string, string>>;
}

type Start = Extract<z.output<typeof orderSchema>, { order: "start" }>;

let start: Start | undefined;
let stopAll = (): void => undefined;
let writing: Promise<unknown> = Promise.resolve();

const numbered = (length: number): number[] => Array.from({ length }, (_, index) => index);

function begin(order: Start): void {
  start = order;
  const { members, tls, load, prefix } = order;
  const journal = new Journal(order.journal);
  const addresses = members.map(({ address }) => address);
  const streams = new Streams(addresses, load, prefix, journal);
  const clients = [...numbered(order.retrying), ...numbered(order.once)].map(
    (number, index) =>
      new MixedClient(addresses, load, prefix, journal, {
        number,
        kind: index < order.retrying ? "retrying" : "once",
      }),
  );
  stopAll = () => {
    for (const each of [streams, ...clients]) each.stop();
  };
  writing = Promise.all([
    ...numbered(order.streams).map((stream) => streams.run(stream)),
    ...clients.map((client) => client.run()),
  ]);
  if (order.changing) void new VoterWatch(addresses, tls, journal).run();
  else void new Monitor(members, tls, journal).run();
  void new Watching(addresses, load, prefix, journal).run();
}

/** Everything through one member after the other, until one serves the whole; then each member's own cluster. */
async function readBack({ members, tls, prefix }: Start): Promise<ReadBack> {
  let stored: Stored[] | undefined;
  let last: unknown;
  const clusterIds: Record<string, string> = {};
  for (const { name, address } of members) {
    const endpoint = new Endpoint(address, tls, 10_000);
    try {
      stored ??= await endpoint.all(prefix);
      clusterIds[name] = (await endpoint.linearizable()).clusterId;
    } catch (error) {
      last = error;
    } finally {
      endpoint.close();
    }
  }
  if (stored === undefined) throw new Error("nobody serves a read", { cause: last });
  return { stored, clusterIds };
}

async function obey(order: z.output<typeof orderSchema>): Promise<unknown> {
  if (order.order === "start") {
    begin(order);
    return {};
  }
  if (start === undefined) throw new Error("not started");
  switch (order.order) {
    case "stop":
      stopAll();
      await writing;
      return {};
    case "read": {
      // To a file: it may be tens of megabytes.
      writeFileSync(`${order.file}.new`, JSON.stringify(await readBack(start)));
      renameSync(`${order.file}.new`, order.file);
      return {};
    }
    case "own": {
      const endpoint = new Endpoint(order.address, start.tls, 3000);
      const { revision, clusterId } = await endpoint.own();
      endpoint.close();
      return { revision: String(revision), clusterId };
    }
    case "alarm": {
      const endpoint = new Endpoint(order.address, start.tls, 5000);
      await endpoint.raiseCorrupt(order.id);
      endpoint.close();
      return {};
    }
    case "put": {
      const endpoint = new Endpoint(order.address, start.load, order.seconds * 1000);
      const { revision, clusterId } = await endpoint.put(order.key, order.value);
      endpoint.close();
      return { revision: String(revision), clusterId };
    }
  }
}

if (import.meta.main) {
  const orders = createInterface({ input: process.stdin });
  orders.on("close", () => process.exit(0));
  orders.on("line", (line) => {
    const { id, order } = z.object({ id: z.int(), order: orderSchema }).parse(JSON.parse(line));
    const say = (said: object): void => {
      process.stdout.write(`${JSON.stringify({ id, ...said })}\n`);
    };
    obey(order).then(
      (answer) => {
        say({ answer });
      },
      (error: unknown) => {
        say({ error: String(error) });
      },
    );
  });
}
