import { bucket } from "#security/controls/bucket";
import type { Control } from "#security/controls/control";
import type { Declared } from "#security/controls/declared";
import { encryption } from "#security/controls/encryption";
import { machines } from "#security/controls/machines";
import { network } from "#security/controls/network";
import { roles } from "#security/controls/roles";

/** All controls over what a program declares. */
export const resourceControls: readonly Control<Declared>[] = [
  ...machines,
  ...network,
  ...encryption,
  ...bucket,
  ...roles,
];
