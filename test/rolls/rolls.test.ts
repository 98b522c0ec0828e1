import { rolls } from "./harness/roll.ts";
import { accessRolls } from "./rolls/accessControl.ts";
import { caRolls } from "./rolls/caRotation.ts";
import { flagRolls } from "./rolls/flags.ts";
import { interruptedRolls } from "./rolls/interrupted.ts";
import { leafRolls } from "./rolls/leafRotation.ts";
import { machineRolls } from "./rolls/machines.ts";
import { refusedRolls } from "./rolls/refused.ts";
import { releaseRolls } from "./rolls/releases.ts";
import { repairRolls } from "./rolls/repairs.ts";
import { sizeRolls } from "./rolls/size.ts";
import { versionRolls } from "./rolls/versions.ts";

/** Every change of a running cluster under a load that is promised to notice nothing, in one lab. */
flagRolls();
refusedRolls();
leafRolls();
caRolls();
accessRolls();
machineRolls();
versionRolls();
repairRolls();
interruptedRolls();
releaseRolls();
sizeRolls();
rolls.run();
