import assert from "node:assert/strict";

/**
 * The names that a filter means: words with commas between them, each the name of a case, or else the first words of some. An empty
 * filter means all.
 *
 * @throws when a word means none; the message has all names
 */
export function chosen(names: readonly string[], filter: string): string[] {
  if (filter === "") return [...names];
  const meant = filter.split(",").flatMap((word) => {
    const found = names.includes(word)
      ? [word]
      : names.filter((name) => name.startsWith(`${word}-`));
    assert.ok(found.length > 0, `there is no ${word}; there are ${names.join(", ")}`);
    return found;
  });
  return names.filter((name) => meant.includes(name));
}
