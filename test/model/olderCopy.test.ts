import { explain } from "./explain";
import { realRules, type Rules } from "./rules";
import { run, type Outcome } from "./run";
import { scenarioOf } from "./scenario";

/**
 * Volumes whose content is put back to what it was a while ago, under their own ids. Among the other runs this would spoil most of
 * them: a disk that forgets breaks every promise but the one that it is found out.
 */
const runs = Number(process.env["MODEL_RUNS"] ?? 60);

function runOf(seed: number, rules: Rules): Outcome {
  const scenario = scenarioOf(seed, 3000, "disks");
  const rates = { ...scenario.rates, putBack: 6, loseVolume: 0, write: 40 };
  return run({ ...scenario, size: 3, rates }, rules);
}

it("an older copy of a volume is never started", () => {
  for (let seed = 1; seed <= runs; seed += 1) {
    const outcome = runOf(seed, realRules);
    if (outcome.violation !== undefined) {
      throw new Error(explain(outcome, realRules));
    }
  }
}, 300_000);

it("without what is said in the bucket it is, and committed entries are forgotten", () => {
  const blind: Rules = { ...realRules, order: { ...realRules.order, reached: false } };
  const found = Array.from({ length: runs }, (_, at) => runOf(at + 1, blind).violation);
  expect(found.filter((each) => each !== undefined).length).toBeGreaterThan(runs / 4);
}, 300_000);
