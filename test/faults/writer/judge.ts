import type { Stored } from "./endpoint.ts";
import type { Acknowledged, Health, Line } from "./lines.ts";

/** What became of everything that was written. Each list names keys, or says what was seen. */
export interface Verdict {
  readonly acknowledged: number;
  readonly unknown: number;
  /** Of the unknown ones, how many are there. */
  readonly unknownKept: number;
  /** Acknowledged and not there, although a copy of it survived. */
  readonly lost: readonly Acknowledged[];
  /** Acknowledged and not there; newer than anything that survived. */
  readonly onlyOnDestroyed: readonly Acknowledged[];
  /** Written more than once. */
  readonly duplicates: readonly string[];
  /** There with another value than was written. */
  readonly mismatches: readonly string[];
  /** There with another revision than was acknowledged. */
  readonly wrongRevisions: readonly string[];
  /** There, and nobody wrote it. */
  readonly strangers: readonly string[];
  /** Revisions that went backwards, and clusters that took turns. */
  readonly violations: readonly string[];
  /** The clusters that acknowledged, in the order in which they did so first. */
  readonly clusterIds: readonly string[];
}

/**
 * Compares what was acknowledged with what is there. `survived` is the highest revision of which a copy is known to have survived:
 * what is newer may be gone, everything else may not. Undefined: nothing was destroyed.
 */
export function judge(
  lines: readonly Line[],
  stored: readonly Stored[],
  survived?: bigint,
): Verdict {
  const found = new Map(stored.map((each) => [each.key, each]));
  const acknowledged = lines.filter((line) => line.kind === "ack");
  const unknown = lines.filter((line) => line.kind === "unknown");
  const missing = acknowledged.filter(({ key }) => !found.has(key));
  const mayBeGone = ({ revision }: Acknowledged): boolean =>
    survived !== undefined && BigInt(revision) > survived;
  const written = new Map([...acknowledged, ...unknown].map((line) => [line.key, line]));
  const there = stored.flatMap((each) => {
    const line = written.get(each.key);
    return line === undefined ? [] : [{ each, line }];
  });
  return {
    acknowledged: acknowledged.length,
    unknown: unknown.length,
    unknownKept: unknown.filter(({ key }) => found.has(key)).length,
    lost: missing.filter((line) => !mayBeGone(line)),
    onlyOnDestroyed: missing.filter(mayBeGone),
    duplicates: stored
      .filter(({ version, created, modified }) => version !== "1" || created !== modified)
      .map(({ key }) => key),
    mismatches: there
      .filter(({ each, line }) => each.value !== line.value)
      .map(({ line }) => line.key),
    wrongRevisions: there
      .filter(({ each, line }) => line.kind === "ack" && each.modified !== line.revision)
      .map(({ line }) => line.key),
    strangers: stored.filter(({ key }) => !written.has(key)).map(({ key }) => key),
    violations: [
      ...lines.filter((line) => line.kind === "violation").map(({ what }) => what),
      ...takingTurns(acknowledged),
    ],
    clusterIds: [...new Set(acknowledged.map(({ clusterId }) => clusterId))],
  };
}

/** A cluster that acknowledges after another one has taken over: two lives at once. */
function takingTurns(acknowledged: readonly Acknowledged[]): string[] {
  const takenOver = new Map<string, number>();
  const found: string[] = [];
  const inOrder = [...acknowledged].sort((one, other) => one.at - other.at);
  let current: string | undefined;
  for (const { clusterId, key, sentAt, at } of inOrder) {
    const over = takenOver.get(clusterId);
    // Sent after the other one had acknowledged: it cannot be an answer that was late on its way.
    if (over !== undefined && sentAt > over) {
      found.push(
        `${key} was acknowledged by cluster ${clusterId}, which ${String(current)} had replaced`,
      );
    }
    if (current !== undefined && current !== clusterId && over === undefined) {
      takenOver.set(current, at);
    }
    if (over === undefined) current = clusterId;
  }
  return found;
}

/** When writes went on, and how long nobody's write was acknowledged. */
export interface Resumption {
  /** Milliseconds from the fault to the first acknowledgement after the longest silence. */
  readonly resumedMs: number | undefined;
  /** The longest time without any acknowledgement, from the fault on. */
  readonly silenceMs: number;
}

/**
 * From the moment of the fault on: the end of the longest silence, or of the first write sent after the fault where there was none
 * to speak of. A put that was sent before the fault says nothing.
 */
export function resumption(lines: readonly Line[], faultAt: number): Resumption {
  const times = lines
    .filter((line) => line.kind === "ack")
    .filter(({ at }) => at >= faultAt)
    .sort((one, other) => one.at - other.at);
  let silenceMs = 0;
  let end: number | undefined;
  let previous = faultAt;
  for (const { at } of times) {
    if (at - previous > silenceMs) {
      silenceMs = at - previous;
      end = at;
    }
    previous = at;
  }
  const first = times.find(({ sentAt }) => sentAt >= faultAt)?.at;
  const resumed = silenceMs >= 500 ? end : first;
  return { resumedMs: resumed === undefined ? undefined : resumed - faultAt, silenceMs };
}

/**
 * The first look that found every member a healthy voter, begun after the fault was in effect. `broken`: after one that found them
 * otherwise, for faults that take a moment to show.
 */
export function redundant(
  lines: readonly Line[],
  inEffectAt: number,
  broken: boolean,
): Health | undefined {
  const looks = lines
    .filter((line) => line.kind === "health")
    .filter(({ since }) => since >= inEffectAt);
  const from = broken ? looks.findIndex((look) => !look.healthy) : 0;
  return from < 0 ? undefined : looks.slice(from).find((look) => look.healthy);
}
