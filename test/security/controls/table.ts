import type { Control } from "#security/controls/control";
import { machineControls } from "#security/controls/machine";
import { resourceControls } from "#security/controls/resources";
import { questions } from "#security/questions/all";
import { Asker } from "#security/questions/question";

/** The tables of docs/security.md, made from the controls themselves. */

const begin = (name: string): string => `<!-- ${name}: from test/security -->`;
const end = (name: string): string => `<!-- /${name} -->`;

function table<Subject>(controls: readonly Control<Subject>[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|");
  const rows = controls.map(({ id, what, sources, mutants }) =>
    [id, what, sources.join(", "), Object.keys(mutants).join("; ")].map(cell),
  );
  return [
    ["control", "what holds", "from", "mutants that it finds"],
    ["---", "---", "---", "---"],
    ...rows,
  ]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

const people: Readonly<Record<Asker, string>> = {
  member: "A member's machine",
  memberAlone: "A member's machine, were the bucket's policy silent,",
  bastion: "The bastion",
  administrator: "The account's administrator",
  scaling: "EC2 Auto Scaling",
  alarms: "CloudWatch's alarms",
  stranger: "An administrator of another account",
};

function answers(): string {
  const all = Object.values(questions).flat();
  return Object.values(Asker)
    .flatMap((as) => {
      const own = all.filter((question) => question.as === as);
      const list = (allowed: boolean): string =>
        own
          .filter((question) => question.allowed === allowed)
          .map(({ what }) => what)
          .join("; ");
      const lines = [
        list(false) === "" ? "" : `- ${people[as]} may not: ${list(false)}.`,
        list(true) === "" ? "" : `- ${people[as]} may: ${list(true)}.`,
      ];
      return lines.filter((line) => line !== "");
    })
    .join("\n");
}

/** The generated parts of the page, by their names. */
export const parts: Readonly<Record<string, () => string>> = {
  resources: () => table(resourceControls),
  machines: () => table(machineControls),
  answers,
};

/** The page with its generated parts as they are now. */
export function withParts(page: string): string {
  return Object.entries(parts).reduce((text, [name, make]) => {
    const from = text.indexOf(begin(name));
    const to = text.indexOf(end(name));
    if (from < 0 || to < from) throw new Error(`docs/security.md has no place for ${name}`);
    return `${text.slice(0, from)}${begin(name)}\n\n${make()}\n\n${text.slice(to)}`;
  }, page);
}
