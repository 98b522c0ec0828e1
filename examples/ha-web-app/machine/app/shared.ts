import type { EtcdClient } from "../../../client/etcdClient.ts";

/** Prefix of the switches by which features are turned on and off. */
const flagPrefix = "ha-web-app/flags/";
const visitsKey = "ha-web-app/visits";

/** Feature flags by name. */
export type Flags = Readonly<Record<string, boolean>>;

/** Tells the flags, now and after every change, until `signal`. What was told last stays true while etcd cannot be asked. */
export async function followFlags(
  etcd: EtcdClient,
  tell: (flags: Flags) => void,
  signal: AbortSignal,
): Promise<void> {
  await etcd.follow(
    flagPrefix,
    (entries) => {
      tell(
        Object.fromEntries(
          [...entries].map(([key, value]) => [key.slice(flagPrefix.length), value === "on"]),
        ),
      );
    },
    signal,
  );
}

/** Turns a feature on or off, on all machines. */
export async function setFlag(etcd: EtcdClient, name: string, on: boolean): Promise<void> {
  await etcd.update(flagPrefix + name, () => (on ? "on" : "off"));
}

/**
 * Counts visits, on whichever machine they are; none is counted twice, whatever is lost on the way. Those that come while others are
 * being counted are counted together, by one change of the key: were each to change it for itself, they would be in each other's way,
 * the more the slower etcd is.
 */
export class Visits {
  readonly #etcd: EtcdClient;
  #waiting: { resolve: (visit: number) => void; reject: (error: unknown) => void }[] = [];
  #counting = false;

  constructor(etcd: EtcdClient) {
    this.#etcd = etcd;
  }

  /** Counts one; its number. */
  count(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#counting) void this.#countAll();
    });
  }

  async #countAll(): Promise<void> {
    this.#counting = true;
    while (this.#waiting.length > 0) {
      const now = this.#waiting;
      this.#waiting = [];
      try {
        const { value } = await this.#etcd.update(visitsKey, (before) =>
          String(Number(before ?? "0") + now.length),
        );
        const first = Number(value) - now.length + 1;
        now.forEach(({ resolve }, index) => {
          resolve(first + index);
        });
      } catch (error) {
        for (const { reject } of now) reject(error);
      }
    }
    this.#counting = false;
  }
}
