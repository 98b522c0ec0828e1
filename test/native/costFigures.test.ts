import assert from "node:assert/strict";
import { test } from "node:test";
import { median, orders, requestsPerSecond, throughputOf } from "../cost/harness/figures.ts";

test("the median is the middle one, or between the two", () => {
  assert.equal(median([5, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.throws(() => median([]), /nothing/);
});

test("the benchmark's rate is read, and does not count when writes failed", () => {
  const report =
    "\nSummary:\n  Total:\t4.1 secs.\n  Requests/sec:\t2434.8276\n\nResponse time histogram:\n";
  assert.equal(requestsPerSecond(report), 2434.8276);
  assert.throws(() => requestsPerSecond(`${report}\nError distribution:\n  [3]\ttimeout\n`));
  assert.throws(() => requestsPerSecond("  Requests/sec:\tNaN\n"));
  assert.throws(() => requestsPerSecond(""));
});

test("both orders come equally often", () => {
  assert.deepEqual(orders(4), ["bare", "with agent", "bare", "with agent"]);
});

test("the ratio is that of the medians, not the mean of the pairs' ratios", () => {
  const { bare, withAgent, ratio, pairedRatio } = throughputOf([
    { first: "bare", bare: 100, withAgent: 90 },
    { first: "with agent", bare: 200, withAgent: 100 },
    { first: "bare", bare: 400, withAgent: 400 },
  ]);
  assert.deepEqual([bare, withAgent, ratio, pairedRatio], [200, 100, 0.5, 0.9]);
});
