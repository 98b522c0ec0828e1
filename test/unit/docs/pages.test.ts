import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { readPage } from "../../support/markdown";

const root = join(__dirname, "../../..");
const paths = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "*.md"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const pages = paths.map((path) => readPage(root, path));
const anchorsOf = new Map(pages.map(({ path, anchors }) => [path, anchors]));

const makefile = readFileSync(join(root, "Makefile"), "utf8");
const targets = [...makefile.matchAll(/^([a-z-]+):/gm)].map(([, name]) => name);

/** What is wrong with a link of a page, if anything. */
function broken(from: string, link: string): string | undefined {
  if (/^(https?|mailto):/.test(link)) return undefined;
  const [file = "", anchor] = link.split("#");
  const target = file === "" ? from : normalize(join(dirname(from), file));
  if (!existsSync(join(root, target))) return `${link}: there is no ${target}`;
  if (anchor === undefined || anchorsOf.get(target)?.includes(anchor) === true) return undefined;
  return `${link}: ${target} has no heading ${anchor}`;
}

/** Commands in a page's blocks and between its backticks. */
function commands({ blocks, spans }: (typeof pages)[number]): string[] {
  const lines = blocks
    .filter(({ language }) => ["sh", "console", ""].includes(language))
    .flatMap(({ text }) => text.replaceAll("\\\n", " ").split("\n"));
  return [...lines, ...spans];
}

/** Targets of make that a line names. Options may come before one; what is in quotes is somebody's argument. */
function madeBy(line: string): string[] {
  return [
    ...line.matchAll(/(?:^|[\s(;|])make((?: +-[a-zA-Z]+)* +)([a-z][a-z-]*)(?=$|[\s);|"`])/g),
  ].map(([, , target = ""]) => target);
}

test("there are pages", () => {
  expect(paths).toEqual(
    expect.arrayContaining(["README.md", "CONTRIBUTING.md", "docs/architecture.md"]),
  );
});

test.each(pages.map((page) => [page.path, page] as const))(
  "%s: its links lead somewhere",
  (_, page) => {
    expect(page.links.flatMap((link) => broken(page.path, link) ?? [])).toEqual([]);
  },
);

test.each(pages.map((page) => [page.path, page] as const))(
  "%s: every make target that it names exists",
  (_, page) => {
    const named = commands(page).flatMap(madeBy);
    expect(named.filter((target) => !targets.includes(target))).toEqual([]);
  },
);

test("README leads to every page of docs/, and to CONTRIBUTING", () => {
  const linked = readPage(root, "README.md").links.map((link) =>
    normalize(link.replace(/#.*/, "")),
  );
  const wanted = paths.filter((path) => /^docs\/[^/]*\.md$|^CONTRIBUTING\.md$/.test(path));
  expect(wanted.filter((path) => !linked.includes(path))).toEqual([]);
});

test("docs/commands.md tells of every target that tests", () => {
  const named = commands(readPage(root, "docs/commands.md")).flatMap(madeBy);
  const wanted = targets.filter((target) => /^test(-|$)/.test(target ?? ""));
  expect(wanted.filter((target) => !named.includes(target ?? ""))).toEqual([]);
});

describe.each(["CONTRIBUTING.md", "docs/review.md", "docs/upgrades.md"])("%s", (path) => {
  const page = readPage(root, path);
  const folders = /^(components|scripts|lab|test|docs|tools|examples|\.ci)\//;

  test("every file that it names exists", () => {
    const words = commands(page)
      .flatMap((line) => line.split(/[\s'"=,]+/))
      .filter((word) => folders.test(word) && !/[<*{…]/.test(word));
    expect(words.length).toBeGreaterThan(0);
    expect(words.filter((word) => !existsSync(join(root, word)))).toEqual([]);
  });

  test("every variable that it hands to make is known to the Makefile", () => {
    const known = [...makefile.matchAll(/^export (.*)$/gm)]
      .flatMap(([, names = ""]) => names.split(/[\s?=]+/))
      .concat("UPDATE_GOLDEN");
    const given = commands(page)
      .filter((line) => /\bmake /.test(line))
      .flatMap((line) => [...line.matchAll(/\b([A-Z][A-Z_]+)=/g)].map(([, name = ""]) => name));
    expect(given.filter((name) => !known.includes(name))).toEqual([]);
  });
});
