import type { ClientKind, Line, Voters } from "../../faults/writer/lines.ts";

/** What the clients and the voters went through. */
export interface Figures {
  readonly requests: Readonly<Record<ClientKind, number>>;
  readonly failed: Readonly<Record<ClientKind, number>>;
  /** Requests of the retrying clients that needed more than one attempt. */
  readonly repeated: number;
  /** The longest time that a request of a retrying client took, milliseconds. */
  readonly slowestMs: number;
  /** The longest time in which nobody's write was acknowledged, milliseconds. */
  readonly writeGapMs: number;
  /** Terms that passed: every leader has one of its own. */
  readonly leaderChanges: number;
  /** The most voters that were down in the same look. */
  readonly mostDown: number;
  /** How many looks there were. */
  readonly looks: number;
}

/** Sums up a journal from a moment on. */
export function figuresOf(lines: readonly Line[], from: number): Figures {
  const since = lines.filter((line) => line.at >= from);
  const served = since.filter((line) => line.kind === "served");
  const failed = since.filter((line) => line.kind === "failed");
  const looks = since.filter((line) => line.kind === "voters");
  const count = (each: readonly { client: ClientKind }[]): Record<ClientKind, number> => ({
    retrying: each.filter(({ client }) => client === "retrying").length,
    once: each.filter(({ client }) => client === "once").length,
  });
  const down = downIn(lines);
  const retried = served.filter(({ client }) => client === "retrying");
  const acknowledged = since
    .filter((line) => line.kind === "ack")
    .map(({ at }) => at)
    .sort((one, other) => one - other);
  return {
    requests: count([...served, ...failed]),
    failed: count(failed),
    repeated: retried.filter(({ attempts }) => attempts > 1).length,
    slowestMs: highest(retried.map(({ at, sentAt }) => at - sentAt)),
    writeGapMs: highest(acknowledged.map((at, index) => at - (acknowledged[index - 1] ?? from))),
    leaderChanges: termsPassed(looks),
    mostDown: highest(looks.map((look) => down(look).length)),
    looks: looks.length,
  };
}

function termsPassed(looks: readonly Voters[]): number {
  const terms = looks.map(({ term }) => term).filter((term) => term > 0);
  return terms.length === 0
    ? 0
    : highest(terms) - terms.reduce((one, other) => Math.min(one, other));
}

/** Of many; `Math.max` takes no more arguments than the stack has room for. */
function highest(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => Math.max(one, other), 0);
}

/**
 * Who was down in a look: who did not answer. But where fewer than a quorum answered, and a write was confirmed within that very look,
 * some of those that were merely late were up: a busy host answers nobody in time. They are not counted then; who refused is.
 */
function downIn(lines: readonly Line[]): (look: Voters) => string[] {
  const acknowledged = lines.filter((line) => line.kind === "ack");
  return ({ since, at, voters, up, late }) => {
    const silent = voters.filter((name) => !up.includes(name));
    const disproved =
      up.length * 2 <= voters.length &&
      acknowledged.some((write) => write.sentAt >= since && write.at <= at);
    return disproved ? silent.filter((name) => !late.includes(name)) : silent;
  };
}

/** Looks in which more voters were down than allowed, in words. */
export function tooFewUp(lines: readonly Line[], from: number, allowed: number): string[] {
  const down = downIn(lines);
  return lines
    .filter((line) => line.kind === "voters")
    .filter((look) => look.at >= from && down(look).length > allowed)
    .map(
      ({ at, voters, up, why }) =>
        `+${((at - from) / 1000).toFixed(1)} s: ${up.join(" ")} of ${voters.join(" ")} (${why})`,
    );
}
