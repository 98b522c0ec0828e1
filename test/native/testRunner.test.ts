import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { countOf, jestCount, tapCount, type Count } from "../../scripts/build/counts.ts";

const oneOfTwo = `TAP version 13
# Subtest: a member
    # Subtest: is started
    ok 1 - is started
      ---
      duration_ms: 0.9
      ...
    # Subtest: is stopped
    not ok 2 - is stopped
      ---
      duration_ms: 2.9
      location: '/p/a.test.ts:2:45'
      failureType: 'testCodeFailure'
      error: |-
        the value is 1

        1 !== 2
      code: 'ERR_ASSERTION'
      ...
    1..2
not ok 1 - a member
  ---
  failureType: 'subtestsFailed'
  error: '1 subtest failed'
  code: 'ERR_TEST_FAILURE'
  ...
# pass 1
# fail 1
# cancelled 0
`;

const tap = "TAP version 13\n1..3\n# tests 3\n# suites 1\n# pass 2\n# fail 1\n# cancelled 0\n";

describe("what a step counts for", () => {
  const cases: readonly [string, Count, Pick<Count, "passed" | "failed">][] = [
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
      assert.deepEqual({ passed: count.passed, failed: count.failed }, expected);
    });
  }
});

describe("what failed, for the end of the run", () => {
  test("Node's runner: the test itself, not what contains it", () => {
    assert.deepEqual(tapCount(oneOfTwo).failures, [
      "is stopped\n  location: '/p/a.test.ts:2:45'\n  error: |-\n  the value is 1\n  1 !== 2",
    ]);
  });

  test("jest: a failed test, and a suite that cannot be loaded", () => {
    const report = {
      testResults: [
        {
          name: "/p/b.test.ts",
          message: "ignored: the tests say it",
          assertionResults: [
            { fullName: "a plan waits", status: "passed", failureMessages: [] },
            { fullName: "a plan acts", status: "failed", failureMessages: ["Error: no\n at x"] },
          ],
        },
        { name: "/p/c.test.ts", message: "cannot find ./d", assertionResults: [] },
      ],
    };
    assert.deepEqual(jestCount(JSON.stringify(report)).failures, [
      "a plan acts\n  Error: no\n   at x",
      "/p/c.test.ts\n  cannot find ./d",
    ]);
  });
});
