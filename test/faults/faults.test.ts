import { endOfLines, useLab } from "./harness/line.ts";
import { machineLines } from "./lines/machines.ts";
import { processLines } from "./lines/processes.ts";

/**
 * Every fault under a writer that remembers what it was promised, in one lab: each line begins and ends with a healthy cluster. The
 * order is that of what they take away: processes, machines, disks, everything.
 */
useLab();
processLines();
machineLines();
endOfLines();
