/** How many tests of a step passed and failed, and what those that failed have to say. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  /** Each failed test's name and the first lines of its error, for the end of the whole run. */
  readonly failures: readonly string[];
}

/** Lines of an error that the closing list repeats: the message and where it comes from. */
const ERROR_LINES = 8;

interface JestReport {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly numRuntimeErrorTestSuites?: number;
  readonly testResults?: readonly {
    readonly name: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** Counts of a jest run, from its JSON report. A suite that cannot even be loaded has no failed test; it counts as one. */
export function jestCount(text: string): Count {
  const report = JSON.parse(text) as JestReport;
  const failures = (report.testResults ?? []).flatMap((suite) => {
    const failed = suite.assertionResults.filter(({ status }) => status === "failed");
    const unloadable = suite.assertionResults.length === 0 && suite.message ? [suite] : [];
    return [
      ...failed.map((test) => `${test.fullName}\n${excerpt(test.failureMessages.join("\n"))}`),
      ...unloadable.map(({ name, message }) => `${name}\n${excerpt(message ?? "")}`),
    ];
  });
  return {
    passed: report.numPassedTests ?? 0,
    failed: (report.numFailedTests ?? 0) + (report.numRuntimeErrorTestSuites ?? 0),
    failures,
  };
}

function excerpt(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines
    .slice(0, ERROR_LINES)
    .map((line) => `  ${line.trimEnd()}`)
    .join("\n");
}

/** Counts of Node's own runner, from the closing lines of its TAP report. */
export function tapCount(text: string): Count {
  const number = (name: string): number =>
    Number(new RegExp(`^# ${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  return {
    passed: number("pass"),
    failed: number("fail") + number("cancelled"),
    failures: tapFailures(text),
  };
}

/** The failed tests of a TAP report. One that only contains a failed one says so, and is left out. */
function tapFailures(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, at) => {
    const name = /^ *not ok \d+ - (.*)$/.exec(line)?.[1];
    if (name === undefined) return [];
    const end = lines.findIndex((other, index) => index > at && other.trim() === "...");
    const detail = lines.slice(at + 1, end < 0 ? undefined : end);
    if (detail.some((part) => part.includes("failureType: 'subtestsFailed'"))) return [];
    const place = detail.filter((part) => part.trim().startsWith("location:"));
    const from = detail.findIndex((part) => part.trim().startsWith("error:"));
    const until = detail.findIndex((part) => part.trim().startsWith("code:"));
    const error = from < 0 ? [] : detail.slice(from, until < from ? undefined : until);
    return [`${name}\n${excerpt([...place, ...error].map((part) => part.trim()).join("\n"))}`];
  });
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
  if (read === undefined) {
    return { passed: succeeded ? 1 : 0, failed: succeeded ? 0 : 1, failures: [] };
  }
  let count: Count = { passed: 0, failed: 0, failures: [] };
  try {
    count = read(report ?? "");
  } catch {
    // No report, or half of one: it counts as no test at all.
  }
  const { passed, failed, failures } = count;
  if (passed + failed === 0 || (!succeeded && failed === 0)) return { passed, failed: 1, failures };
  return count;
}
