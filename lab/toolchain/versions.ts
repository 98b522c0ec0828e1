/** A dotted version as numbers; what follows a `-` or `+` does not count. */
export function parseVersion(text: string): number[] {
  const [release = ""] = text.split(/[-+]/);
  return release.split(".").map((part) => Number.parseInt(part, 10));
}

/** Whether a dotted version is the wanted one or newer. False for text that is no version. */
export function atLeast(version: string, wanted: string): boolean {
  const have = parseVersion(version);
  if (have.some(Number.isNaN)) return false;
  const want = parseVersion(wanted);
  for (let index = 0; index < want.length; index += 1) {
    const difference = (have[index] ?? 0) - (want[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
