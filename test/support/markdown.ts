import { readFileSync } from "node:fs";
import { join } from "node:path";

/** As much of Markdown as tests of pages need. Plain regular expressions: the pages are formatted by prettier, so that forms are few. */

/** One page. */
export interface Page {
  /** Path from the checkout's root. */
  readonly path: string;
  /** Ids of its headings, as GitHub makes them. */
  readonly anchors: readonly string[];
  /** Targets of its links. */
  readonly links: readonly string[];
  /** Its fenced blocks. */
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
  /** What stands between backticks in its text. */
  readonly spans: readonly string[];
}

const fence = /^ *```([a-z]*)\n(.*?)^ *```$/gms;

/** Reads a page. */
export function readPage(root: string, path: string): Page {
  const text = readFileSync(join(root, path), "utf8");
  const blocks = [...text.matchAll(fence)].map(([, language = "", block = ""]) => ({
    language,
    text: block,
  }));
  const prose = text.replace(fence, "");
  const spans = [...prose.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, span = ""]) => span);
  const outside = prose.replace(/`[^`\n]*`/g, "");
  const headings = [...prose.matchAll(/^#{1,6} (.*)$/gm)].map(([, title = ""]) => slug(title));
  return {
    path,
    // GitHub numbers headings that repeat.
    anchors: headings.map((each, at) => {
      const before = headings.slice(0, at).filter((other) => other === each).length;
      return before === 0 ? each : `${each}-${before}`;
    }),
    links: [...outside.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target),
    blocks,
    spans,
  };
}

function slug(title: string): string {
  return title
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M} _-]/gu, "")
    .replaceAll(" ", "-");
}
