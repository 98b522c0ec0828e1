import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { countOf, jestCount, tapCount, type Count } from "../../scripts/build/counts.ts";

const tap = "TAP version 13\n1..3\n# tests 3\n# suites 1\n# pass 2\n# fail 1\n# cancelled 0\n";

describe("what a step counts for", () => {
  const cases: readonly [string, Count, Count][] = [
    ["a check that succeeds", countOf(true, undefined, undefined), { passed: 1, failed: 0 }],
    ["a check that fails", countOf(false, undefined, undefined), { passed: 0, failed: 1 }],
    ["tests with a failure", countOf(false, tapCount, tap), { passed: 2, failed: 1 }],
    [
      "tests that all pass",
      countOf(true, tapCount, "# pass 5\n# fail 0\n# cancelled 0\n"),
      { passed: 5, failed: 0 },
    ],
    [
      "tests that pass, and then the program fails",
      countOf(false, tapCount, "# pass 5\n# fail 0\n# cancelled 0\n"),
      { passed: 5, failed: 1 },
    ],
    [
      "a test that was cancelled",
      countOf(false, tapCount, "# pass 1\n# fail 0\n# cancelled 1\n"),
      { passed: 1, failed: 1 },
    ],
    ["no test at all", countOf(true, tapCount, "# pass 0\n# fail 0\n"), { passed: 0, failed: 1 }],
    ["no report", countOf(true, jestCount, undefined), { passed: 0, failed: 1 }],
    ["half a report", countOf(true, jestCount, '{"numPassedTests": 3,'), { passed: 0, failed: 1 }],
    [
      "jest with a suite that cannot be loaded",
      countOf(
        false,
        jestCount,
        JSON.stringify({ numPassedTests: 7, numFailedTests: 2, numRuntimeErrorTestSuites: 1 }),
      ),
      { passed: 7, failed: 3 },
    ],
  ];
  for (const [name, count, expected] of cases) {
    test(name, () => {
      assert.deepEqual(count, expected);
    });
  }
});
