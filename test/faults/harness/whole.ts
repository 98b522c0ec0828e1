import assert from "node:assert/strict";
import type { Verdict } from "../writer/judge.ts";

/** Fails, with the first cases of each kind, unless everything that was promised under the writer was kept, by so many clusters. */
export function assertWhole(verdict: Verdict, clusters: number): void {
  const { lost, duplicates, mismatches, wrongRevisions, strangers, violations } = verdict;
  const wrong = {
    lost: lost.map(({ key, revision }) => `${key} at ${revision}`),
    ...{ duplicates, mismatches, wrongRevisions, strangers, violations },
  };
  const found = Object.entries(wrong).filter(([, cases]) => cases.length > 0);
  assert.deepEqual(
    Object.fromEntries(found.map(([kind, cases]) => [kind, cases.slice(0, 20)])),
    {},
  );
  assert.equal(verdict.clusterIds.length, clusters, verdict.clusterIds.join(", "));
}
