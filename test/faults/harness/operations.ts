import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { repository } from "../../lab/support.ts";
import { keptFaults, type Result } from "./results.ts";

/**
 * Puts the figures of the last runs into docs/operations.md, between two marks: `node test/faults/harness/operations.ts`. What was
 * not measured has no row.
 */
const page = join(repository, "docs", "operations.md");

const begin = "<!-- figures: written by test/faults/harness/operations.ts -->";
const end = "<!-- /figures -->";

/** The table of the page. */
export function operationsTable(results: readonly Result[]): string {
  const seconds = (value: number | null): string =>
    value === null ? "–" : `${value.toFixed(1)} s`;
  const rows = results.map((each) => {
    const lost =
      each.onlyOnDestroyed === 0
        ? String(each.lost)
        : `${each.lost} (and ${each.onlyOnDestroyed} held only by what was destroyed)`;
    return [
      withDeaths(each),
      each.then,
      String(each.acknowledged),
      lost,
      seconds(each.resumedSeconds),
      seconds(each.redundantSeconds),
      `\`make test-faults FAULT=${each.line}\``,
    ];
  });
  const header = [
    ...["fault", "what happens", "acknowledged", "lost"],
    ...["writes resumed after", "full redundancy after", "reproduce"],
  ];
  return [header, header.map(() => "---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

/** Where agents were made to end themselves, it is these points that count, and not those that were meant. */
function withDeaths({ what, notes }: Result): string {
  const deaths = notes["deaths"];
  if (typeof deaths !== "string") return what;
  const points = [...new Set(deaths.split(", "))].map((point) => `\`${point}\``);
  return `${what}: ${points.join(", ")}`;
}

/** The page with another table in it. */
export function withTable(text: string, table: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`docs/operations.md has no place for the figures`);
  return `${text.slice(0, from)}${begin}\n\n${table}\n\n${text.slice(to)}`;
}

if (import.meta.main) {
  const text = withTable(
    readFileSync(page, "utf8"),
    operationsTable(Object.values(keptFaults.read()).sort((one, other) => one.order - other.order)),
  );
  writeFileSync(page, text);
}
