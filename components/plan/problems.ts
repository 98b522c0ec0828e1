/** One thing that is wrong with what the user asked for. */
export interface Problem {
  /** Where, for instance `size` or `existingNetwork.subnets[1].zone`. */
  readonly path: string;
  /** What was given there. */
  readonly value: unknown;
  /** What must hold. */
  readonly rule: string;
  /** Lines that explain the rule. */
  readonly table?: readonly string[];
  /** What to do. */
  readonly remedy: string;
}

/** A value as a message shows it: short, on one line. */
function show(value: unknown): string {
  const text = value === undefined ? "nothing" : (JSON.stringify(value) as string | undefined);
  const shown = text ?? String(value);
  return shown.length > 120 ? `${shown.slice(0, 117)}...` : shown;
}

/** One problem as a paragraph. */
export function describeProblem(problem: Problem): string {
  const table = (problem.table ?? []).map((line) => `\n      ${line}`).join("");
  return `${problem.path} is ${show(problem.value)}: ${problem.rule}.${table}\n    Remedy: ${problem.remedy}.`;
}

/** All problems as one message. */
export function describeProblems(problems: readonly Problem[]): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return `The etcd cluster cannot be built as asked (${count}); nothing was changed.\n${problems
    .map((problem) => `  - ${describeProblem(problem)}`)
    .join("\n")}`;
}

/** The error that carries all problems. */
export class InvalidClusterError extends Error {
  /** What is wrong, complete. */
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(describeProblems(problems));
    this.name = "InvalidClusterError";
    this.problems = problems;
  }
}
