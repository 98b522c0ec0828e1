import { setTimeout as sleep } from "node:timers/promises";
import { now } from "./clock.ts";
import { Endpoint, reasonOf, type ClientTls } from "./endpoint.ts";
import type { Journal, Voters } from "./lines.ts";

/** Milliseconds for one question: a voter that needs longer is not up. */
const askMs = 1500;

/** Milliseconds between two looks. */
const restMs = 150;

type Status = Awaited<ReturnType<Endpoint["status"]>>;
type Listed = Awaited<ReturnType<Endpoint["ownMembers"]>>[number];

/** Looks again and again at who has a vote and who of them answers, and follows members that come and go. */
export class VoterWatch {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #tls: ClientTls;
  readonly #journal: Journal;
  #list: readonly Listed[] = [];

  constructor(addresses: readonly string[], tls: ClientTls, journal: Journal) {
    this.#tls = tls;
    this.#journal = journal;
    for (const address of addresses) this.#know(address);
  }

  /** Looks for as long as the process lives. */
  async run(): Promise<never> {
    for (;;) {
      this.#journal.add(await this.#look());
      await sleep(restMs);
    }
  }

  #know(address: string): void {
    if (!this.#endpoints.has(address)) {
      this.#endpoints.set(address, new Endpoint(address, this.#tls, askMs));
    }
  }

  async #look(): Promise<Voters> {
    const since = now();
    const answers = await Promise.all(
      [...this.#endpoints].map(async ([address, endpoint]): Promise<[string, Status | string]> => {
        try {
          return [address, await statusOf(endpoint)];
        } catch (error) {
          return [address, reasonOf(error)];
        }
      }),
    );
    const answered = answers.flatMap(([address, status]) =>
      typeof status === "string" ? [] : [{ address, ...status }],
    );
    await this.#listFrom(answered);
    const voters = this.#list.filter(({ isLearner }) => !isLearner);
    const up = voters.filter(({ id }) => answered.some((status) => status.id === id));
    const tardy = answers.flatMap(([address, said]) =>
      typeof said === "string" && isLate(said) ? [address] : [],
    );
    const term = Math.max(0, ...answered.map((status) => status.term));
    const leader = answered.find((status) => status.term === term && status.leader === status.id);
    const gone = [...this.#endpoints.keys()].filter(
      (address) => !this.#list.some((member) => member.address === address),
    );
    return {
      kind: "voters",
      since,
      at: now(),
      voters: voters.map(nameOf).sort(),
      up: up.map(nameOf).sort(),
      late: voters
        .filter(({ address }) => address !== undefined && tardy.includes(address))
        .map(nameOf)
        .sort(),
      learners: this.#list
        .filter(({ isLearner }) => isLearner)
        .map(nameOf)
        .sort(),
      leader: this.#list.filter(({ id }) => id === leader?.id).map(nameOf)[0],
      term,
      why: answers
        .flatMap(([address, said]) =>
          typeof said === "string" && !gone.includes(address) ? [`${address}: ${said}`] : [],
        )
        .join("; "),
    };
  }

  /** The member list of whoever has applied most: one that was removed, or that lags, may tell of others. */
  async #listFrom(answered: readonly ({ address: string } & Status)[]): Promise<void> {
    const inOrder = [...answered].sort(
      (one, other) => other.term - one.term || Number(other.applied - one.applied),
    );
    for (const { address } of inOrder) {
      try {
        this.#list = (await this.#endpoints.get(address)?.ownMembers()) ?? this.#list;
        for (const member of this.#list) {
          if (member.address !== undefined) this.#know(member.address);
        }
        return;
      } catch {
        // The next one may tell; if nobody does, the last list counts.
      }
    }
  }
}

/**
 * A member's status. Who refuses is down; who is merely late is asked once more, because on a busy host this process itself may have
 * been the late one.
 */
async function statusOf(endpoint: Endpoint): Promise<Status> {
  try {
    return await endpoint.status();
  } catch (error) {
    if (!isLate(reasonOf(error))) throw error;
    return endpoint.status();
  }
}

function isLate(reason: string): boolean {
  return reason.includes("DEADLINE_EXCEEDED");
}

/** Whoever has not started yet has no name in the list. */
function nameOf({ name, id }: Listed): string {
  return name === "" ? id : name;
}
