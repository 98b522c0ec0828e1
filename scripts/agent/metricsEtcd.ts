import { z } from "zod";

import { ports } from "../../components/plan/ports";

/**
 * What etcd counts about itself, read from its own plaintext metrics listener: how long its disk takes, and how often the leader changed.
 * etcd counts since its start; CloudWatch is told what came in between two looks.
 */

/** Largest answer that is read, bytes; etcd's extensive metrics are a tenth of it. */
const maxBytes = 4 * 2 ** 20;

/** Milliseconds for the whole answer. */
const askMs = 3000;

/** Cumulative counts of a histogram by the upper bounds of its buckets, in seconds; the last bound is infinity (null). */
const histogramSchema = z
  .array(z.strictObject({ upTo: z.number().nullable(), count: z.number().min(0) }))
  .max(100);

/** Schema of what is kept between two looks. */
export const etcdCountersSchema = z.strictObject({
  /** When etcd was started, seconds since 1970: other counts begin with another start. */
  startedAt: z.number(),
  fsync: histogramSchema,
  commit: histogramSchema,
  leaderChanges: z.number().min(0),
});

/** etcd's counts at one moment. */
export type EtcdCounters = z.infer<typeof etcdCountersSchema>;

type Histogram = EtcdCounters["fsync"];

/** What came between two looks. */
export interface EtcdRates {
  /** 99th percentile of syncing the write-ahead log and of committing the database, milliseconds; 0 when neither happened. */
  readonly fsyncP99: number;
  readonly commitP99: number;
  /** Leaders that this member saw come. Its own start counts as one. */
  readonly leaderChanges: number;
}

/** Reads the counts out of the text that etcd answers. Throws when one is missing: an etcd without them is not ours. */
export function parseCounters(text: string): EtcdCounters {
  const lines = text.split("\n");
  const single = (name: string): number => {
    const line = lines.find((each) => each.startsWith(`${name} `));
    const value = Number(line?.slice(name.length + 1));
    if (line === undefined || !Number.isFinite(value)) {
      throw new Error(`etcd's metrics have no ${name}`);
    }
    return value;
  };
  const histogram = (name: string): Histogram => {
    const prefix = `${name}_bucket{le="`;
    const buckets = lines
      .filter((line) => line.startsWith(prefix))
      .map((line) => {
        const [bound = "", count = ""] = line.slice(prefix.length).split('"} ');
        return { upTo: bound === "+Inf" ? null : Number(bound), count: Number(count) };
      });
    if (buckets.at(-1)?.upTo !== null) {
      throw new Error(`etcd's metrics have no ${name}`);
    }
    return buckets;
  };
  return etcdCountersSchema.parse({
    startedAt: single("process_start_time_seconds"),
    fsync: histogram("etcd_disk_wal_fsync_duration_seconds"),
    commit: histogram("etcd_disk_backend_commit_duration_seconds"),
    leaderChanges: single("etcd_server_leader_changes_seen_total"),
  });
}

/** What came between two looks; without an earlier one, or after a restart, since etcd was started. */
export function ratesBetween(before: EtcdCounters | undefined, now: EtcdCounters): EtcdRates {
  const last = before?.startedAt === now.startedAt ? before : undefined;
  return {
    fsyncP99: percentile(0.99, since(last?.fsync, now.fsync)),
    commitP99: percentile(0.99, since(last?.commit, now.commit)),
    // Without an earlier look nobody knows when they were.
    leaderChanges: before === undefined ? 0 : now.leaderChanges - (last?.leaderChanges ?? 0),
  };
}

function since(before: Histogram | undefined, now: Histogram): Histogram {
  return now.map(({ upTo, count }, at) => ({
    upTo,
    count: Math.max(0, count - (before?.[at]?.count ?? 0)),
  }));
}

/** As Prometheus estimates it: evenly spread inside a bucket; what is above the last bound counts as that bound. Milliseconds. */
function percentile(share: number, buckets: Histogram): number {
  const rank = share * (buckets.at(-1)?.count ?? 0);
  if (rank === 0) {
    return 0;
  }
  let lower = { upTo: 0, count: 0 };
  for (const { upTo, count } of buckets) {
    if (upTo === null) {
      break;
    }
    if (count >= rank) {
      const inside = (rank - lower.count) / (count - lower.count);
      return 1000 * (lower.upTo + (upTo - lower.upTo) * inside);
    }
    lower = { upTo, count };
  }
  return 1000 * lower.upTo;
}

/** Asks the etcd on this machine. */
export async function readCounters(address: string): Promise<EtcdCounters> {
  const response = await fetch(`http://${address}:${ports.metrics}/metrics`, {
    signal: AbortSignal.timeout(askMs),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`etcd's metrics listener answered ${response.status}`);
  }
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > maxBytes) {
      throw new Error(`etcd's metrics are larger than ${maxBytes} bytes`);
    }
    parts.push(part);
  }
  return parseCounters(Buffer.concat(parts).toString());
}
