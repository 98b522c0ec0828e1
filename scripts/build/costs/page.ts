import type { Line } from "./bill.ts";
import { hoursPerMonth, instances, notedOn, prices } from "./prices.ts";

/** The computed parts of docs/costs.md. */

/** One cluster of the page. */
export interface Preset {
  readonly title: string;
  /** What it is. */
  readonly about: string;
  readonly lines: readonly Line[];
}

/** A preset with one thing changed. */
export interface Variant {
  readonly of: Preset;
  readonly change: string;
  readonly lines: readonly Line[];
}

/** Around a computed part. */
const mark = (name: string): readonly [string, string] => [
  `<!-- ${name}: written by test/unit/docs/costs.test.ts -->`,
  `<!-- /${name} -->`,
];

const money = (usd: number): string => usd.toFixed(2);

/** What all lines come to. */
export function total(lines: readonly Line[]): number {
  return lines.reduce((sum, { usd }) => sum + usd, 0);
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

function presetTable({ title, about, lines }: Preset): string {
  return [
    `### ${title}`,
    "",
    `${about} **${total(lines).toFixed(0)} USD a month.**`,
    "",
    row("what", "arithmetic", "USD a month"),
    row("---", "---", "--:"),
    ...lines.map(({ what, how, usd }) => row(what, how, money(usd))),
    row("**together**", "", `**${money(total(lines))}**`),
  ].join("\n");
}

function variantTable(variants: readonly Variant[]): string {
  return [
    row("cluster", "changed", "USD a month", "difference"),
    row("---", "---", "--:", "--:"),
    ...variants.map(({ of, change, lines }) => {
      const difference = total(lines) - total(of.lines);
      const sign = difference < 0 ? "−" : "+";
      return row(of.title, change, money(total(lines)), `${sign}${money(Math.abs(difference))}`);
    }),
  ].join("\n");
}

function priceTable(): string {
  const rows = [
    ...Object.entries(instances).map(([type, price]) => [type, price] as const),
    ...Object.entries(prices),
  ];
  return [
    `Noted on ${notedOn}; a month is ${hoursPerMonth} hours.`,
    "",
    row("price", "USD", "per", "read in"),
    row("---", "--:", "---", "---"),
    ...rows.map(([name, { usd, per, from }]) =>
      row(
        `\`${name}\``,
        usd < 0.001 ? `${Number((usd * 1000).toPrecision(4))} / 1000` : String(usd),
        per,
        from,
      ),
    ),
  ].join("\n");
}

/** The page with its computed parts made anew. */
export function withCosts(
  page: string,
  presets: readonly Preset[],
  variants: readonly Variant[],
): string {
  const parts = {
    presets: presets.map(presetTable).join("\n\n"),
    variants: variantTable(variants),
    prices: priceTable(),
  };
  return Object.entries(parts).reduce((text, [name, part]) => {
    const [begin, end] = mark(name);
    const [head, rest] = text.split(begin);
    const [, tail] = rest?.split(end) ?? [];
    if (head === undefined || tail === undefined) {
      throw new Error(`the page has no ${begin} … ${end}`);
    }
    return `${head}${begin}\n\n${part}\n\n${end}${tail}`;
  }, page);
}
