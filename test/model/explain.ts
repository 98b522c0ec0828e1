import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Rules } from "./rules";
import { run, type Outcome } from "./run";
import type { Rates, Scenario } from "./scenario";

/** What somebody needs who has to understand a violation: a smaller run that shows it, its whole trace, and how to see it again. */

/** Lines of a trace that are printed; the whole is in a file. */
const printed = 80;

const needed: readonly (keyof Rates)[] = [
  ...(["time", "write", "raft", "campaign", "systemd", "agent", "operator", "launch"] as const),
];

/** A scenario with as few faults, and as few steps, as still violate the same invariant. */
export function shrink(found: Scenario, invariant: number, rules: Rules): Scenario {
  const fails = (scenario: Scenario): boolean =>
    run(scenario, rules).violation?.invariant === invariant;
  let smallest = found;
  for (const kind of Object.keys(found.rates) as (keyof Rates)[]) {
    const without = { ...smallest, rates: { ...smallest.rates, [kind]: 0 } };
    if (!needed.includes(kind) && smallest.rates[kind] > 0 && fails(without)) {
      smallest = without;
    }
  }
  for (const calm of [
    { lossy: 0 },
    { s3Lossy: 0 },
    ...[0.25, 0.5, 0.75].map((part) => ({ steps: Math.ceil(found.steps * part) })),
  ]) {
    const calmer = { ...smallest, ...calm };
    if (calmer.steps <= smallest.steps && fails(calmer)) {
      smallest = calmer;
    }
  }
  return smallest;
}

/** The message of a failed test. */
export function explain({ scenario, violation }: Outcome, rules: Rules): string {
  if (violation === undefined) {
    return "";
  }
  const small = shrink(scenario, violation.invariant, rules);
  const again = run(small, rules, { traced: true });
  const lines = again.trace ?? [];
  const file = join(tmpdir(), `etcd-cluster-model-${scenario.seed}.txt`);
  writeFileSync(file, `${JSON.stringify(small)}\n${lines.join("\n")}\n`);
  return [
    `seed ${scenario.seed}: ${violation.message}`,
    `again: MODEL_SEED=${scenario.seed} MODEL_RUNS=1 MODEL_STEPS=${scenario.steps} npx jest test/model/model.test.ts`,
    `smaller: MODEL_SCENARIO='${JSON.stringify(small)}' npx jest test/model/model.test.ts`,
    `its trace: ${file}; the end of it, of ${lines.length} lines:`,
    ...lines.slice(-printed),
  ].join("\n");
}
