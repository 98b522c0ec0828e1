import { runSeed } from "./run";
import { variants } from "./variants";

/** Runs within which each variant must be found out, and their length. */
const runs = Number(process.env["MODEL_VARIANT_RUNS"] ?? 400);
const only = process.env["MODEL_VARIANT"];

describe("the model finds out about", () => {
  it.each(variants.filter(({ name }) => only === undefined || name.includes(only)))(
    "$name",
    ({ name, breaks, rules, profile }) => {
      const from = Number(process.env["MODEL_SEED"] ?? 1);
      for (let seed = from; seed < from + runs; seed += 1) {
        const { violation } = runSeed(seed, 3000, rules, {
          ...(profile === undefined ? {} : { profile }),
          brief: profile === "cut",
        });
        if (violation !== undefined) {
          if (process.env["MODEL_SHOW"] !== undefined)
            process.stdout.write(`${name}: seed ${seed}: ${violation.message}\n`);
          expect(breaks).toContain(violation.invariant);
          return;
        }
      }
      throw new Error(`not within ${runs} runs`);
    },
  );
});
