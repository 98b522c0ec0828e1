import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { chosen } from "../../test/lab/chosen.ts";
import { countOf, jestCount, tapCount, type Count } from "./counts.ts";

const repository = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

/** One thing that `make test` runs: a program, and how to count what it did. */
interface Step {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What it takes, when that leaves room for others: one that waits for machines most of its time is begun before all others, and one
   * that takes processors only runs meanwhile. Every other step has the host to itself.
   */
  readonly takes?: "machines" | "processors";
  /** Reads the counts from the report file; a step without a report counts as one test. */
  readonly count?: (report: string) => Count;
}

const scratch = mkdtempSync(join(tmpdir(), "etcd-cluster-test-"));

/** Where a step's report is written. */
const reportOf = (name: string): string => join(scratch, `${name.replaceAll("/", "_")}.report`);

/** Tracked shell scripts. The golden ones are texts without a first line; the unit tests hand them to shellcheck. */
async function shellScripts(): Promise<string[]> {
  const { stdout } = await execa("git", ["ls-files", "*.sh", ".ci/run", ":!test/unit"], {
    cwd: repository,
  });
  return stdout.split("\n").filter((path) => path !== "");
}

/** Node's runner over files, with a readable report on the terminal and a countable one in the file. */
function nodeTest(name: string, files: readonly string[], options: readonly string[] = []): Step {
  return {
    name,
    command: [
      ...(["node", "--disable-warning=ExperimentalWarning", "--test"] as const),
      ...options,
      ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
      ...["--test-reporter=tap", `--test-reporter-destination=${reportOf(name)}`],
      ...files,
    ],
    count: tapCount,
  };
}

function testFiles(folder: string): string[] {
  return readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => join(folder, name));
}

/** Tests that need no machines: minutes rather than a quarter of an hour, and any number at once. */
async function quickSteps(): Promise<Step[]> {
  return [
    { name: "types of the program", command: ["tsc", "-p", "tsconfig.json"] },
    { name: "types of the lab", command: ["tsc", "-p", "tsconfig.native.json"] },
    { name: "eslint", command: ["eslint", "."] },
    { name: "prettier", command: ["prettier", "--check", "--log-level=warn", "."] },
    { name: "shellcheck", command: ["shellcheck", ...(await shellScripts())] },
    {
      name: "unit tests",
      command: [
        ...(["jest", "--ci", "--maxWorkers=2", "--json"] as const),
        `--outputFile=${reportOf("unit tests")}`,
      ],
      takes: "processors",
      count: jestCount,
    },
    // Most of their time they wait for etcds, deadlines and connections.
    nodeTest("native tests", testFiles("test/native"), ["--test-concurrency=4"]),
  ];
}

/** Tests that share the host's one lab: one file after the other, each in a process of its own. */
function labSteps(folder: string): Step[] {
  return testFiles(folder).map((file) => nodeTest(file, [file]));
}

/** The README's commands promise no times, so others may run meanwhile. */
function besideOthers(step: Step): Step {
  return step.name === "test/lab/readme.test.ts" ? { ...step, takes: "machines" } : step;
}

/** Every example in a process of its own, with one lab and one installation for all; EXAMPLE names some. */
function exampleSteps(): Step[] {
  const files = new Map(
    testFiles("test/examples").map((file) => [basename(file, ".test.ts"), file]),
  );
  const names = chosen([...files.keys()], process.env["EXAMPLE"] ?? "");
  return names.map((name, index) => ({
    ...nodeTest(`example ${name}`, [files.get(name) ?? ""]),
    env: {
      EXAMPLES_FOLDER: join(scratch, "examples"),
      EXAMPLE_KEEP: index < names.length - 1 ? "1" : "",
    },
  }));
}

async function stepsOf(selection: string | undefined): Promise<Step[]> {
  switch (selection) {
    case undefined:
      return [...(await quickSteps()), ...labSteps("test/lab").map(besideOthers)];
    case "quick":
      return quickSteps();
    case "crash":
      return labSteps("test/crash");
    case "faults":
      return labSteps("test/faults");
    case "rolls":
      return labSteps("test/rolls");
    case "runbooks":
      return labSteps("test/runbooks");
    case "security":
      return labSteps("test/security");
    case "cost":
      return labSteps("test/cost");
    case "examples":
      return exampleSteps();
    default:
      throw new Error(
        `there are no "${selection}" tests; there are quick, crash, faults, rolls, runbooks, security, cost and examples`,
      );
  }
}

const common = {
  cwd: repository,
  preferLocal: true,
  stdin: "ignore",
  reject: false,
  env: { NODE_NO_WARNINGS: "1" },
} as const;

function say({ name }: Step, { passed, failed }: Count, started: number): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`== ${name}: ${passed} passed, ${failed} failed (${seconds} s)\n`);
}

/** Runs a step. What it says is shown while it says it, or, beside others, when it is over. */
async function runStep(step: Step, shown: "at once" | "at its end"): Promise<Count> {
  const report = reportOf(step.name);
  const started = performance.now();
  const title = `\n== ${step.name}\n`;
  if (shown === "at once") process.stdout.write(title);
  const [file, ...args] = step.command;
  const result = await execa(file, args, {
    ...common,
    env: { ...common.env, ...step.env },
    all: true,
    ...(shown === "at once" ? ({ stdout: "inherit", stderr: "inherit" } as const) : {}),
  });
  const said = result.all ?? "";
  if (shown === "at its end") process.stdout.write(`${title}${said}${said === "" ? "" : "\n"}`);
  const written = existsSync(report) ? readFileSync(report, "utf8") : undefined;
  const count = countOf(result.exitCode === 0, step.count, written);
  say(step, count, started);
  return count;
}

let passed = 0;
let failed = 0;
/** What failed, repeated at the very end: nobody scrolls back through a quarter of an hour. */
const failures: string[] = [];

function note(step: Step, count: Count): void {
  passed += count.passed;
  failed += count.failed;
  if (count.failed > 0) {
    const texts = count.failures.length > 0 ? count.failures : ["(see above)"];
    failures.push(...texts.map((text) => `${step.name}: ${text}`));
  }
}

async function take(step: Step, shown: "at once" | "at its end"): Promise<void> {
  note(step, await runStep(step, shown));
}

/** Several steps at the same time. */
async function together(steps: readonly Step[]): Promise<void> {
  if (steps.length === 0) return;
  process.stdout.write(`== at the same time: ${steps.map(({ name }) => name).join(", ")}\n`);
  await Promise.all(steps.map((step) => take(step, "at its end")));
}

try {
  const steps = await stepsOf(process.argv[2]);
  const machines = together(steps.filter(({ takes }) => takes === "machines"));
  await together(steps.filter(({ count }) => count === undefined));
  const others = steps.filter(({ count, takes }) => count !== undefined && takes !== "machines");
  for (const step of others) {
    if (step.takes === undefined) await machines;
    await take(step, "at once");
  }
  await machines;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
if (failures.length > 0) process.stdout.write(`\nFailed:\n${failures.join("\n")}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
