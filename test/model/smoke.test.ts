import { realRules } from "./rules";
import { runSeed } from "./run";
import type { Profile } from "./scenario";

it("smoke", () => {
  const from = Number(process.env["MODEL_SEED"] ?? 1);
  const count = Number(process.env["MODEL_RUNS"] ?? 100);
  const traced = process.env["MODEL_TRACE"] !== undefined;
  const started = performance.now();
  let steps = 0;
  const ends: Record<string, number> = {};
  let shown = 0;
  const total = { acknowledged: 0, lost: 0, generations: 0, rollCalls: 0 };
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = runSeed(seed, Number(process.env["MODEL_STEPS"] ?? 3000), realRules, {
      traced,
      ...(process.env["MODEL_PROFILE"] === undefined
        ? {}
        : { profile: process.env["MODEL_PROFILE"] as Profile }),
    });
    steps += outcome.steps;
    const end =
      outcome.violation === undefined
        ? outcome.end
        : outcome.violation.message.replaceAll(/[0-9]+/g, "N").slice(0, 90);
    ends[end] = (ends[end] ?? 0) + 1;
    for (const key of Object.keys(total) as (keyof typeof total)[])
      total[key] += outcome.counts[key];
    if (outcome.violation !== undefined && shown < 12) {
      shown += 1;
      process.stdout.write(
        `seed ${seed} ${outcome.scenario.profile} size ${outcome.scenario.size} ${outcome.scenario.recovery}: ${outcome.violation.message}\n`,
      );
    }
    if (traced)
      process.stdout.write(
        (outcome.trace ?? []).slice(-Number(process.env["MODEL_TAIL"] ?? 400)).join("\n") + "\n",
      );
  }
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(
    JSON.stringify({ steps, seconds, rate: Math.round(steps / seconds), ends, total }, null, 1) +
      "\n",
  );
});
