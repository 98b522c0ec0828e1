/** The etcd versions this program can run, by minor. */

/** What is known of one minor. */
interface Minor {
  /** Oldest acceptable patch, and why older ones are refused. */
  readonly floor: number;
  readonly reason: string;
}

const unauthenticated = "older patches can be stopped from outside by an unauthenticated TLS flaw";

const minors: Readonly<Record<string, Minor>> = {
  "3.5": {
    floor: 33,
    reason: `${unauthenticated}, and before 3.5.32 an upgrade to 3.6 can revive removed members`,
  },
  "3.6": { floor: 14, reason: unauthenticated },
  "3.7": { floor: 1, reason: unauthenticated },
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
