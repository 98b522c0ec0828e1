import type { Rules } from "./rules";
import type { Profile } from "./scenario";
import { variantsOfRolls } from "./variantsOfRolls";
import { variantsOfStarts } from "./variantsOfStarts";

/** Deliberately broken variants, each without one clause of the protocol. The model must find out about every one of them. */

/** One of them. */
export interface Variant {
  /** The clause, as it is broken. */
  readonly name: string;
  /** Invariants of which at least one is violated. */
  readonly breaks: readonly number[];
  readonly rules: Rules;
  /** What the runs are about in which it shows. */
  readonly profile?: Profile;
  /** A seed with which it is known to show: looked at first. */
  readonly near?: number;
}

/** All of them. */
export const variants: readonly Variant[] = [...variantsOfRolls, ...variantsOfStarts];
