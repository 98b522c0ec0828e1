import { createHash } from "node:crypto";

/**
 * By what the lab's things are recognised on a host. Whatever carries these marks is the lab's and may be
 * removed; nothing else is ever touched. `ETCD_LAB_NAME` gives a second lab on the same host (a test's) marks
 * of its own, so that neither sees the other.
 */
export interface Marks {
  /** Begins the name of every network namespace, link and disk file. */
  prefix: string;
  /** The control group that all of the lab's processes live under. */
  group: string;
  /** The routing protocol number on the lab's routes. */
  routeProtocol: number;
}

/** The marks of the lab this process belongs to. */
export function labMarks(name = process.env["ETCD_LAB_NAME"] ?? ""): Marks {
  if (!/^[a-z0-9]{0,4}$/.test(name)) {
    throw new Error(`ETCD_LAB_NAME is "${name}": at most four lower-case letters and digits`);
  }
  if (name === "") return { prefix: "ecl-", group: "etcd-cluster-lab", routeProtocol: 201 };
  const digest = createHash("sha256").update(name).digest();
  return {
    prefix: `ecl${name}-`,
    group: `etcd-cluster-lab-${name}`,
    routeProtocol: 202 + ((digest[0] ?? 0) % 40),
  };
}
