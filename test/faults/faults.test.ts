import { faults } from "./harness/line.ts";
import { damageLines } from "./lines/damage.ts";
import { everythingLines } from "./lines/everything.ts";
import { formationLines } from "./lines/formation.ts";
import { acknowledgementGate } from "./lines/gate.ts";
import { machineLines } from "./lines/machines.ts";
import { menu } from "./lines/menu.ts";
import { olderCopy } from "./lines/olderCopy.ts";
import { processLines } from "./lines/processes.ts";
import { resizeLines } from "./lines/resize.ts";
import { rollCallLines } from "./lines/rollCall.ts";
import { storageLines } from "./lines/storage.ts";
import { survivorLines } from "./lines/survivors.ts";
import { uploadLines } from "./lines/uploads.ts";
import { volumeLines } from "./lines/volumes.ts";

/**
 * Every fault under a writer that remembers what it was promised, in one lab: each line begins and ends with a healthy cluster. The
 * order is that of what they take away: processes, machines, disks, everything.
 */
menu();
processLines();
machineLines();
storageLines();
volumeLines();
acknowledgementGate();
everythingLines();
damageLines();
olderCopy();
survivorLines();
rollCallLines();
uploadLines();
resizeLines();
formationLines();
faults.run();
