import type { Report } from "./attestation";

/**
 * What this process found out and cannot find out cheaply again. Nothing that is needed for safety: a new process begins without any
 * of it.
 */
export class Memory {
  /** SHA-256 of backups and sources that were fetched whole and are not what they claim to be. */
  readonly unreadable = new Set<string>();
  /** Why this member's own copies could not be made into a source, by epoch. */
  readonly notRecoverable = new Map<number, string>();
  /** This member's last report, once it was read or made. `null`: there is none. */
  report: Report | null | undefined;
}
