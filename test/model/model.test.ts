import { explain } from "./explain";
import { realRules } from "./rules";
import { run, runSeed, type Outcome } from "./run";
import { profiles, type Profile, type Scenario } from "./scenario";

/**
 * The real decisions (plan.ts, rollCall.ts, resize.ts, transitions.ts) against a simulated world, with the eight invariants of
 * docs/architecture.md checked at every step. Without settings the seeds are always the same ones.
 *
 * MODEL_SEED, MODEL_RUNS, MODEL_STEPS: other seeds, more of them, longer ones. MODEL_PROFILE: one kind of runs only. MODEL_SCENARIO:
 * the one that a failure printed.
 */
const env = process.env;
const first = Number(env["MODEL_SEED"] ?? 1);
const runs = Number(env["MODEL_RUNS"] ?? 240);
const steps = Number(env["MODEL_STEPS"] ?? 3000);
const profile = profiles.find((each): each is Profile => each === env["MODEL_PROFILE"]);

const total = { steps: 0, acknowledged: 0, lost: 0, generations: 0, rollCalls: 0 };
const ends = new Map<string, number>();

function check(outcome: Outcome): void {
  total.steps += outcome.steps;
  total.acknowledged += outcome.counts.acknowledged;
  total.lost += outcome.counts.lost;
  total.generations += outcome.counts.generations;
  total.rollCalls += outcome.counts.rollCalls;
  ends.set(outcome.end, (ends.get(outcome.end) ?? 0) + 1);
  if (outcome.violation !== undefined) {
    throw new Error(explain(outcome, realRules));
  }
}

if (env["MODEL_SCENARIO"] === undefined) {
  it(
    `holds in ${runs} runs from seed ${first} on`,
    () => {
      const started = performance.now();
      for (let seed = first; seed < first + runs; seed += 1) {
        check(runSeed(seed, steps, realRules, profile === undefined ? {} : { profile }));
      }
      const seconds = (performance.now() - started) / 1000;
      process.stdout.write(
        `model: ${JSON.stringify({ ...total, perSecond: Math.round(total.steps / seconds), ...Object.fromEntries(ends) })}\n`,
      );
    },
    24 * 3_600_000,
  );

  if (runs >= 240 && profile === undefined) {
    it("in more than a million steps, in which there was something to decide", () => {
      expect(total.steps).toBeGreaterThan(1_000_000);
      expect(total.acknowledged).toBeGreaterThan(2000);
      expect(total.rollCalls).toBeGreaterThan(300);
      expect(total.generations).toBeGreaterThan(80);
      expect([...ends.keys()]).toContain("service");
    });
  }

  it("the same seed gives the same run", () => {
    const twice = [1, 2].map(() => runSeed(7, 1500, realRules, { traced: true }));
    expect(twice[0]?.trace?.length).toBeGreaterThan(1000);
    expect(twice[0]).toEqual(twice[1]);
  });
} else {
  it("the given scenario holds", () => {
    check(run(JSON.parse(env["MODEL_SCENARIO"] ?? "") as Scenario, realRules));
  });
}
