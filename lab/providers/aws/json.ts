import { isDeepStrictEqual } from "node:util";

/** What AWS says of a JSON text: the text that was given, if AWS has only written it differently. */
export function sameJson(found: string | undefined, given: string): string | undefined {
  if (found === undefined || given === "") {
    return found;
  }
  try {
    return isDeepStrictEqual(JSON.parse(found), JSON.parse(given)) ? given : found;
  } catch {
    return found;
  }
}
