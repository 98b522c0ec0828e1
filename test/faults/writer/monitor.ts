import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./clock.ts";
import { Endpoint, reasonOf, type ClientTls } from "./endpoint.ts";
import type { Health, Journal } from "./lines.ts";

/** A member that must be there. */
export interface Expected {
  readonly name: string;
  readonly address: string;
}

/** Milliseconds for one question; short, because a member that needs longer is not healthy. */
const askMs = 1000;

type Status = Awaited<ReturnType<Endpoint["status"]>>;

/** Looks at all members again and again, and writes down what it sees. */
export class Monitor {
  readonly #members: readonly Expected[];
  readonly #endpoints: ReadonlyMap<string, Endpoint>;
  readonly #journal: Journal;
  #stopped = false;

  constructor(members: readonly Expected[], tls: ClientTls, journal: Journal) {
    this.#members = members;
    this.#journal = journal;
    this.#endpoints = new Map(
      members.map(({ name, address }) => [name, new Endpoint(address, tls, askMs)]),
    );
  }

  /** Ends the looking. */
  stop(): void {
    this.#stopped = true;
  }

  /** Looks until stopped. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      this.#journal.add(await this.#look());
      await sleep(200);
    }
    for (const endpoint of this.#endpoints.values()) endpoint.close();
  }

  async #look(): Promise<Health> {
    const since = now();
    const answers = await Promise.all(
      this.#members.map(async ({ name }): Promise<[string, Status | string]> => {
        try {
          return [name, await this.#of(name).status()];
        } catch (error) {
          return [name, reasonOf(error)];
        }
      }),
    );
    const statuses = answers.flatMap(([name, status]) =>
      typeof status === "string" ? [] : [{ name, ...status }],
    );
    const why =
      answers
        .flatMap(([name, status]) => (typeof status === "string" ? [`${name}: ${status}`] : []))
        .join("; ") || (await this.#fault(statuses));
    return {
      kind: "health",
      since,
      at: now(),
      healthy: why === "",
      why,
      ids: Object.fromEntries(statuses.map(({ name, id }) => [name, id])),
      clusterIds: [...new Set(statuses.map(({ clusterId }) => clusterId))].sort(),
      leader: statuses.find(({ id, leader }) => id === leader)?.name,
    };
  }

  /** What is wrong although all members answer; empty when nothing is. */
  async #fault(statuses: readonly ({ name: string } & Status)[]): Promise<string> {
    if (new Set(statuses.map(({ clusterId }) => clusterId)).size !== 1) {
      return "the members are in different clusters";
    }
    const leaders = new Set(statuses.map(({ leader }) => leader));
    if (leaders.size !== 1 || leaders.has(undefined)) return "the members do not agree on a leader";
    const errors = statuses.flatMap(({ errors: own }) => own);
    if (errors.length > 0) return errors.join(", ");
    try {
      const [first] = this.#members;
      const list = await this.#of(first?.name ?? "").members();
      const voters = list.filter(({ isLearner }) => !isLearner).map(({ name }) => name);
      const wanted = this.#members.map(({ name }) => name);
      if (voters.sort().join() !== [...wanted].sort().join() || list.length !== wanted.length) {
        const found = list.map(
          ({ name, isLearner }) => `${name || "?"}${isLearner ? " (learner)" : ""}`,
        );
        return `the member list is ${found.sort().join(", ")}`;
      }
      const alarms = await this.#of(first?.name ?? "").alarms();
      if (alarms.length > 0) return `alarm ${alarms.join(", ")}`;
      await Promise.all(this.#members.map(({ name }) => this.#of(name).linearizable()));
      return "";
    } catch (error) {
      return reasonOf(error);
    }
  }

  #of(name: string): Endpoint {
    const endpoint = this.#endpoints.get(name);
    if (endpoint === undefined) throw new Error(`no member ${name}`);
    return endpoint;
  }
}
