import assert from "node:assert/strict";
import { z } from "zod";

/** What `pulumi preview --json` prints, as far as it is looked at. */
const digestSchema = z.object({
  steps: z.array(z.looseObject({ op: z.string(), urn: z.string() })).default([]),
});

/** What would happen to one resource. Steps of a replacement are one change. */
export interface Change {
  readonly op: "create" | "update" | "replace" | "delete";
  /** `aws:ec2/instance:Instance etcd-m1` */
  readonly resource: string;
}

/** Changes that a roll means: all resources that match, at least one of them. */
export interface Meant {
  readonly op: Change["op"];
  readonly resource: RegExp;
  /** How many there must be; at least one unless it is said. */
  readonly count?: number;
}

/** What leaves a resource as it is. */
const quiet = new Set(["same", "read", "refresh"]);

const ops: Readonly<Record<string, Change["op"]>> = {
  create: "create",
  update: "update",
  delete: "delete",
  "create-replacement": "replace",
  "delete-replaced": "replace",
  "discard-replaced": "replace",
  replace: "replace",
};

/**
 * The changes of a preview, each resource once.
 *
 * @throws when a step is of a kind that is not known here, or the text is no preview
 */
export function changesOf(text: string): Change[] {
  const found = new Map<string, Change>();
  for (const { op, urn } of digestSchema.parse(JSON.parse(text)).steps) {
    if (quiet.has(op)) continue;
    const known = ops[op];
    if (known === undefined) throw new Error(`a step "${op}" of ${urn} is not known here`);
    const [types = "", name = ""] = urn.split("::").slice(-2);
    const change = { op: known, resource: `${types.split("$").at(-1) ?? ""} ${name}` };
    found.set(`${change.op} ${change.resource}`, change);
  }
  return [...found.values()];
}

/** Changes that nobody meant, and meant ones that are missing, each in words; none when they agree. */
export function disagreement(changes: readonly Change[], meant: readonly Meant[]): string[] {
  const matching = ({ op, resource }: Meant): Change[] =>
    changes.filter((change) => change.op === op && resource.test(change.resource));
  const known = new Set(meant.flatMap(matching));
  return [
    ...changes
      .filter((change) => !known.has(change))
      .map(({ op, resource }) => `not meant: ${op} ${resource}`),
    ...meant.flatMap((each) => {
      const count = matching(each).length;
      const right = each.count === undefined ? count > 0 : count === each.count;
      const wanted = each.count === undefined ? "at least one" : String(each.count);
      return right ? [] : [`missing: ${each.op} ${each.resource.source}: ${count}, not ${wanted}`];
    }),
  ];
}

/** Fails when a preview has anything that is not meant, or lacks anything that is. */
export function assertMeant(changes: readonly Change[], meant: readonly Meant[]): void {
  const all = changes.map(({ op, resource }) => `${op} ${resource}`).sort();
  assert.deepEqual(disagreement(changes, meant), [], `the preview:\n${all.join("\n")}`);
}
