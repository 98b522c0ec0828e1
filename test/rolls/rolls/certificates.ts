import assert from "node:assert/strict";
import { memberNow, on } from "../../faults/harness/machine.ts";
import type { Meant } from "../harness/preview.ts";
import type { Roll, Stage } from "../harness/roll.ts";

/** What certificate rolls ask of the machines. */

const names = ["m1", "m2", "m3"] as const;
const pki = "/etc/etcd/pki";

/** A member's etcd and what it shows. */
interface Shown {
  /** Of etcd's process; another one would mean that it was started again. */
  readonly process: string;
  /** Serial number and issuer of each certificate of the member. */
  readonly certificates: Readonly<Record<string, string>>;
  /** Fingerprints of the public keys. */
  readonly keys: Readonly<Record<string, string>>;
}

/** What one shows. */
export async function shownBy(stage: Stage, name: string): Promise<Shown> {
  const member = await memberNow(stage.stack.cluster, name);
  const ask = async (...argv: string[]): Promise<string> => (await on(member, argv)).stdout.trim();
  const certificates: Record<string, string> = {};
  const keys: Record<string, string> = {};
  for (const what of ["server", "peer", "agent"]) {
    const file = ["openssl", "x509", "-noout", "-in", `${pki}/${what}.crt`];
    certificates[what] = await ask(...file, "-serial", "-issuer");
    keys[what] = await ask(...file, "-pubkey");
  }
  const process = await ask("systemctl", "show", "--property=MainPID,NRestarts", "etcd.service");
  return { process, certificates, keys };
}

/** Everybody's. */
export async function allShown(stage: Stage): Promise<Map<string, Shown>> {
  const all = new Map<string, Shown>();
  for (const name of names) all.set(name, await shownBy(stage, name));
  return all;
}

/** Nobody's etcd was started again; `what` is what every certificate's change must be like. */
export function compare(
  before: ReadonlyMap<string, Shown>,
  after: ReadonlyMap<string, Shown>,
  expected: { readonly certificates: "new" | "same"; readonly keys: "new" | "same" },
): void {
  for (const [name, was] of before) {
    const is = after.get(name);
    assert.ok(is, name);
    assert.equal(is.process, was.process, `${name}: etcd was started again`);
    for (const field of ["certificates", "keys"] as const) {
      for (const [what, value] of Object.entries(was[field])) {
        const change: string = is[field][what] === value ? "same" : "new";
        assert.equal(change, expected[field], `${name}: ${field} of ${what}`);
      }
    }
  }
}

/** A roll of certificates, which looks at the members before and after. */
export function certificateRoll(
  definition: Omit<Roll, "check"> & {
    readonly expected: Parameters<typeof compare>[2];
    readonly look?: (stage: Stage, after: ReadonlyMap<string, Shown>) => Promise<void>;
  },
): Roll {
  const { expected, look, ...rest } = definition;
  let before: ReadonlyMap<string, Shown> | undefined;
  return {
    ...rest,
    prepare: async (stage) => {
      before = await allShown(stage);
      await rest.prepare?.(stage);
    },
    check: async (stage) => {
      assert.ok(before !== undefined);
      const after = await allShown(stage);
      compare(before, after, expected);
      await look?.(stage, after);
    },
  };
}

const issued = "(m\\d-(server|peer|agent)|operator)";

/** Changes of what is issued to members and the operator, of one type, for an authority's suffix, a regular expression. */
export function ofLeaves(op: Meant["op"], type: string, suffix: string): Meant {
  const resource = new RegExp(`^tls:index/${type} etcd-tls-${issued}${suffix}$`);
  return { op, resource, count: 10 };
}
