import { realRules } from "./rules";
import { runSeed } from "./run";
import { variants } from "./variants";

/**
 * Every variant has to be found out: with the seed that is known to show it, or, should the model have changed since, within some
 * hundred others. MODEL_VARIANT=<part of a name> runs some of them only, MODEL_SHOW=1 prints the seeds.
 */
const runs = Number(process.env["MODEL_VARIANT_RUNS"] ?? 400);
const only = process.env["MODEL_VARIANT"] ?? "";

describe("the model finds out about", () => {
  it.each(variants.filter(({ name }) => name.includes(only)))(
    "$name",
    ({ name, breaks, rules, profile, near }) => {
      const seeds = [near ?? 1, ...Array.from({ length: runs }, (_, at) => at + 1)];
      for (const seed of seeds) {
        const options = {
          ...(profile === undefined ? {} : { profile }),
          // These have gone through enough before everything becomes well.
          brief: profile === "cut" || profile === "crowd",
        };
        const { violation } = runSeed(seed, 3000, rules, options);
        if (violation !== undefined) {
          if (process.env["MODEL_SHOW"] !== undefined) {
            process.stdout.write(`${name}: seed ${seed}: ${violation.message}\n`);
          }
          expect(breaks).toContain(violation.invariant);
          // And it is the broken clause that did it.
          expect(runSeed(seed, 3000, realRules, options).violation).toBeUndefined();
          return;
        }
      }
      throw new Error(`not found out within ${runs} runs`);
    },
    300_000,
  );
});
