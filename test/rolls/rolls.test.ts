import { endOfRolls, useLab } from "./harness/roll.ts";
import { flagRolls } from "./rolls/flags.ts";
import { machineRolls } from "./rolls/machines.ts";
import { sizeRolls } from "./rolls/size.ts";
import { versionRolls } from "./rolls/versions.ts";

/** Every change of a running cluster under a load that is promised to notice nothing, in one lab. */
useLab();
flagRolls();
machineRolls();
versionRolls();
sizeRolls();
endOfRolls();
