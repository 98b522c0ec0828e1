/** The etcd versions this program can run, by minor. */

/** What is known of one minor. */
interface Minor {
  /** Oldest acceptable patch, and why older ones are refused. */
  readonly floor: number;
  readonly reason: string;
  /** Oldest version of the minor below from which a cluster may be brought here, and why. */
  readonly from?: { readonly version: string; readonly reason: string };
}

const unauthenticated = "older patches can be stopped from outside by an unauthenticated TLS flaw";

const minors: Readonly<Record<string, Minor>> = {
  "3.5": {
    floor: 33,
    reason: `${unauthenticated}, and before 3.5.32 an upgrade to 3.6 can revive removed members`,
  },
  "3.6": {
    floor: 14,
    reason: unauthenticated,
    from: {
      version: "3.5.32",
      reason: "before it, 3.6 can bring members back that were removed, or make learners of voters",
    },
  },
  "3.7": {
    floor: 1,
    reason: unauthenticated,
    from: {
      version: "3.6.11",
      reason: "etcd's own upgrade guide asks for it",
    },
  },
};

/** Version that is run when none is chosen. */
export const defaultEtcdVersion = "3.6.14";

/** Minor of a supported version, for instance `3.6`. */
export type EtcdMinor = "3.5" | "3.6" | "3.7";

/** What is wrong with a version, or undefined when nothing is. */
export function etcdVersionProblem(version: string): { rule: string; remedy: string } | undefined {
  const match = /^(\d+\.\d+)\.(\d+)$/.exec(version);
  const remedy = `choose ${defaultEtcdVersion}, or another version at or above its floor: ${Object.entries(
    minors,
  )
    .map(([minor, { floor }]) => `${minor}.${floor}`)
    .join(", ")}`;
  if (match?.[1] === undefined) {
    return { rule: "a version is three numbers, for instance 3.6.14", remedy };
  }
  const minor = Object.hasOwn(minors, match[1]) ? minors[match[1]] : undefined;
  if (minor === undefined) {
    const rule =
      match[1] === "3.8"
        ? "etcd 3.8 has no stable release, and drops settings this program relies on"
        : `etcd ${match[1]} is not supported (3.4 and older get no fixes any more)`;
    return { rule, remedy };
  }
  return Number(match[2]) < minor.floor
    ? { rule: `the floor of ${match[1]} is ${match[1]}.${minor.floor}: ${minor.reason}`, remedy }
    : undefined;
}

/** Minor of a version that passed etcdVersionProblem. */
export function etcdMinor(version: string): EtcdMinor {
  const minor = version.split(".").slice(0, 2).join(".");
  if (minor === "3.5" || minor === "3.6" || minor === "3.7") {
    return minor;
  }
  throw new Error(`etcd ${version} was not validated`);
}

/** A version as numbers. Undefined for what is none. */
function numbers(version: string): readonly [number, number, number] | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  return match === null ? undefined : [Number(match[1]), Number(match[2]), Number(match[3])];
}

/** Which of two versions is the newer one: negative when the first is older. Minors compare like `3.6.0`. */
export function compareEtcdVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  if (left === undefined || right === undefined) {
    throw new Error(`cannot compare the versions ${a} and ${b}`);
  }
  return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
}

/** What a change of version is to etcd. */
export type EtcdStep = "none" | "patch" | "up" | "down";

/**
 * What a change from one version to another is, or why etcd does not support it: minors are changed one at a time, upwards only from
 * a patch that the next minor can take over from.
 */
export function etcdStep(
  before: string,
  after: string,
): EtcdStep | { readonly rule: string; readonly remedy: string } {
  const [from, to] = [numbers(before), numbers(after)];
  if (from === undefined || to === undefined || from[0] !== to[0]) {
    return {
      rule: `etcd cannot be brought from ${before} to ${after}`,
      remedy: "make a new cluster, and copy the keys",
    };
  }
  const distance = to[1] - from[1];
  if (distance === 0) {
    return from[2] === to[2] ? "none" : "patch";
  }
  const next = `${from[0]}.${from[1] + Math.sign(distance)}`;
  if (Math.abs(distance) > 1) {
    return {
      rule: `etcd changes its minor one at a time, and this is ${distance > 0 ? "an upgrade" : "a downgrade"} from ${before}`,
      remedy: `go to a version of ${next} first, and on from there`,
    };
  }
  const source = distance > 0 ? minors[next]?.from : undefined;
  if (source !== undefined && compareEtcdVersions(before, source.version) < 0) {
    return {
      rule: `${next} takes over from ${source.version} or newer, and the cluster runs ${before}: ${source.reason}`,
      remedy: `go to ${source.version} or a newer patch of it first`,
    };
  }
  return distance > 0 ? "up" : "down";
}
