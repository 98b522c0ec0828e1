import { keys } from "#security/questions/keys";
import { machines } from "#security/questions/machines";
import { objects } from "#security/questions/objects";
import { others } from "#security/questions/others";
import type { Question } from "#security/questions/question";
import { secrets } from "#security/questions/secrets";

/**
 * What nobody may do although he has a machine's credentials, and what has to stay possible. Each line is asked about the policies that
 * the program renders; for each clause of the policies there is a line that would be answered otherwise without it (mutants.ts).
 */
export const questions: Readonly<Record<string, readonly Question[]>> = {
  secrets,
  objects,
  machines,
  keys,
  others,
};
