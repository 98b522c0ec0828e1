import { castGrpcError, EtcdLeaseInvalidError, type ICompare } from "etcd3";
import { pause, type Connections } from "./connections.ts";
import { bytes, found, lastChanged, type EtcdClient } from "./etcdClient.ts";

/** Leading, until `lost`. */
export interface Leadership {
  /** Aborted when this process must act as leader no more: at the latest when its lease may have run out. */
  readonly lost: AbortSignal;
  /** For `replace`: etcd refuses the write of whoever leads no more, even if that process has not noticed yet. */
  readonly guard: ICompare;
  /** Lets somebody else lead at once. */
  resign(): Promise<void>;
}

/** What is asked of `lead`. */
export interface Candidacy {
  /** The key that whoever leads has. */
  readonly key: string;
  /** For people who look at the key. */
  readonly name: string;
  /** How long nobody leads after the leader's death; at least 5, so that one slow attempt of a renewal costs nothing. */
  readonly leaseSeconds: number;
}

/** Waits until nobody else leads, and leads. Throws when the signal is aborted before. */
export async function lead(
  client: EtcdClient,
  candidacy: Candidacy,
  signal: AbortSignal,
): Promise<Leadership> {
  const { connections } = client;
  const key = bytes(candidacy.key);
  for (;;) {
    await absence(client, candidacy.key, signal);
    signal.throwIfAborted();
    const asked = performance.now();
    // Granted twice does no harm: a lease whose answer was lost runs out by itself.
    const { ID: lease, TTL } = await connections.repeat(async (etcd) =>
      etcd.leaseClient.leaseGrant({ TTL: candidacy.leaseSeconds }),
    );
    let revision: string | undefined;
    try {
      revision = await take(connections, key, candidacy.name, lease);
    } catch (error) {
      // That it has run out meanwhile is no more than a lost turn.
      if (!(error instanceof EtcdLeaseInvalidError)) throw error;
    } finally {
      if (revision === undefined) await revoke(connections, lease);
    }
    if (revision !== undefined) {
      const lost = keptAlive(connections, lease, asked, Number(TTL) * 1000);
      return {
        lost: lost.signal,
        guard: { result: "Equal", target: "Create", key, create_revision: revision },
        resign: async () => {
          lost.abort();
          await revoke(connections, lease);
        },
      };
    }
  }
}

/** Returns when there is no such key, or at the signal. */
async function absence(client: EtcdClient, key: string, signal: AbortSignal): Promise<void> {
  const gone = new AbortController();
  const look = (entries: ReadonlyMap<string, string>): void => {
    if (!entries.has(key)) gone.abort();
  };
  await client.follow(key, look, AbortSignal.any([signal, gone.signal]));
}

/** The revision at which the key was made with this lease; undefined when somebody else was quicker. */
async function take(
  connections: Connections,
  key: Buffer,
  name: string,
  lease: string,
): Promise<string | undefined> {
  const answer = await connections.repeat(async (etcd) =>
    etcd.kv.txn({
      compare: [lastChanged(key, "0")],
      success: [{ request_put: { key, value: bytes(name), lease } }],
      failure: [{ request_range: { key } }],
    }),
  );
  if (answer.succeeded) return answer.header.revision;
  const [there] = found(answer);
  // The lease is the receipt: an earlier attempt was done. One that arrives late is refused with its lease.
  return there?.lease === lease ? there.create_revision : undefined;
}

/**
 * Renews a lease three times in its life. The controller is aborted when it may have run out, and ends the renewing when it is aborted.
 * The time counts from before each question was sent, by a clock that nobody sets: it is never longer than etcd's.
 */
function keptAlive(
  connections: Connections,
  lease: string,
  asked: number,
  life: number,
): AbortController {
  const lost = new AbortController();
  const end = (): void => {
    lost.abort(new Error("the lease may have run out"));
  };
  const alarmAt = (time: number) => setTimeout(end, time - performance.now());
  let alarm = alarmAt(asked + life);
  const keep = async (): Promise<void> => {
    for (let wait = life / 3; ;) {
      await pause(wait, lost.signal);
      if (lost.signal.aborted) return;
      const sent = performance.now();
      const seconds = await renew(connections, lease, life / 3).catch(() => undefined);
      wait = seconds === undefined ? 100 : life / 3;
      if (seconds === undefined) continue;
      clearTimeout(alarm);
      alarm = alarmAt(sent + seconds * 1000);
    }
  };
  void keep();
  lost.signal.addEventListener("abort", () => {
    clearTimeout(alarm);
  });
  return lost;
}

/** Seconds that the lease lives from now on; none when it is gone. */
async function renew(connections: Connections, lease: string, longest: number): Promise<number> {
  return connections.once(async (client) => {
    const deadline = Date.now() + Math.min(longest, connections.timing.attempt);
    const stream = await client.leaseClient.leaseKeepAlive({ deadline });
    try {
      return await new Promise<number>((resolve, reject) => {
        stream.on("data", ({ TTL }) => {
          resolve(Number(TTL));
        });
        stream.on("error", (error) => {
          reject(castGrpcError(error));
        });
        stream.on("end", () => {
          reject(new Error("the stream ended without an answer"));
        });
        stream.write({ ID: lease });
      });
    } finally {
      stream.end();
    }
  });
}

/** Ends a lease if somebody answers; otherwise it runs out by itself. */
async function revoke(connections: Connections, lease: string): Promise<void> {
  await connections
    .repeat(async (etcd) => etcd.leaseClient.leaseRevoke({ ID: lease }))
    .catch(() => undefined);
}
