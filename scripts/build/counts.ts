/** How many tests of a step passed and failed. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
}

/** Counts of a jest run, from its JSON report. A suite that cannot even be loaded has no failed test; it counts as one. */
export function jestCount(text: string): Count {
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(text) as Record<
    string,
    number
  >;
  return {
    passed: numPassedTests ?? 0,
    failed: (numFailedTests ?? 0) + (numRuntimeErrorTestSuites ?? 0),
  };
}

/** Counts of Node's own runner, from the closing lines of its TAP report. */
export function tapCount(text: string): Count {
  const number = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  return { passed: number("pass"), failed: number("fail") + number("cancelled") };
}

/**
 * What a step counts for, given whether its program succeeded and what it reported. The program's own verdict
 * counts too: a crash after the last test is a failure, and so is a step in which no test ran or that
 * left no report. A step that never reports is one test.
 */
export function countOf(
  succeeded: boolean,
  read: ((report: string) => Count) | undefined,
  report: string | undefined,
): Count {
  if (read === undefined) return succeeded ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  let count: Count = { passed: 0, failed: 0 };
  try {
    count = read(report ?? "");
  } catch {
    // No report, or half of one: it counts as no test at all.
  }
  const { passed, failed } = count;
  if (passed + failed === 0 || (!succeeded && failed === 0)) return { passed, failed: 1 };
  return count;
}
