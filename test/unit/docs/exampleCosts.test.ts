import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { instances, prices } from "../../../scripts/build/costs/prices";

/** The tables of costs in the examples' READMEs: `| what | 3 × 0.0240 × 730 | 52.56 |`, and their sum. */

const folder = process.env["EXAMPLES"] ?? join(__dirname, "../../../examples");
const known = [...Object.values(instances), ...Object.values(prices)].map(({ usd }) => usd);

interface Row {
  readonly what: string;
  readonly factors: readonly number[];
  readonly usd: number;
}

const number = (text: string): number => Number(text.replaceAll("*", ""));

/** Rows of a table with the columns what, arithmetic and amount. */
function rowsOf(text: string): Row[] {
  const [, section = ""] = text.split(/^## Cost.*$/m);
  const table = (section.split(/^## /m)[0] ?? "").match(/^\|.*\|$/gm) ?? [];
  return table.slice(2).map((line) => {
    const [what = "", arithmetic = "", usd = ""] = line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim());
    const factors = arithmetic === "" ? [] : arithmetic.split("×").map((each) => parseFloat(each));
    return { what, factors, usd: number(usd) };
  });
}

const tables = readdirSync(folder)
  .map((name) => join(folder, name, "README.md"))
  .filter((path) => existsSync(path))
  .map((path) => [path.slice(folder.length + 1), rowsOf(readFileSync(path, "utf8"))] as const)
  .filter(([, rows]) => rows.length > 0);

test("there are such tables", () => {
  expect(tables.map(([path]) => path)).toContain("minimal/README.md");
});

describe.each(tables)("%s", (_, rows) => {
  const items = rows.filter(({ factors }) => factors.length > 0);

  test.each(items)("$what: the arithmetic is right", ({ factors, usd }) => {
    expect(factors.reduce((product, factor) => product * factor, 1)).toBeCloseTo(usd, 2);
  });

  test.each(items)("$what: the price is the one of docs/costs.md", ({ factors }) => {
    // Whole numbers are how many there are, and hours; alone they are so many KMS keys, of one dollar.
    const fractions = factors.filter((factor) => !Number.isInteger(factor));
    expect(fractions.filter((factor) => !known.includes(factor))).toEqual([]);
  });

  test("the sum is the sum", () => {
    const [sum] = rows.filter(({ what }) => what === "**sum**");
    const all = items.reduce((total, { usd }) => total + usd, 0);
    expect(sum?.usd).toBeCloseTo(all, 2);
  });
});
