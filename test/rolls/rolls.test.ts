import { endOfRolls, useLab } from "./harness/roll.ts";
import { flagRolls } from "./rolls/flags.ts";

/** Every change of a running cluster under a load that is promised to notice nothing, in one lab. */
useLab();
flagRolls();
endOfRolls();
