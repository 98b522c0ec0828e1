import { randomBytes } from "node:crypto";
import { adminCredentials } from "../paths.ts";
import type { Caller } from "./call.ts";

/** Temporary credentials as the metadata service hands them out. */
export interface TemporaryCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** How long a machine's credentials live; AWS gives about six hours and renews well before the end. */
const lifetimeMs = 6 * 60 * 60 * 1000;

/** What the store knows of one access key. */
interface Known {
  readonly caller: Caller;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

function randomUpper(length: number): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  return Array.from(randomBytes(length), (byte) => alphabet.charAt(byte % 32)).join("");
}

/** Who may call: the lab's administrator, and every machine's role while its credentials live. */
export class CredentialStore {
  private readonly known = new Map<string, Known>([
    [
      adminCredentials.accessKeyId,
      { caller: { kind: "admin" }, secretAccessKey: adminCredentials.secretAccessKey },
    ],
  ]);

  /** Makes credentials for a machine's role, or for a service of the lab. */
  mint(caller: Caller, now = new Date()): TemporaryCredentials {
    const minted: TemporaryCredentials = {
      accessKeyId: `ASIA${randomUpper(16)}`,
      secretAccessKey: randomBytes(30).toString("base64"),
      sessionToken: randomBytes(96).toString("base64"),
      expiration: new Date(now.getTime() + lifetimeMs),
    };
    // The lab's own services keep theirs for as long as the lab runs.
    const { expiration, ...lasting } = minted;
    this.known.set(minted.accessKeyId, {
      caller,
      ...lasting,
      ...(caller.kind === "service" ? {} : { expiration }),
    });
    return minted;
  }

  /** Looks an access key up, expired ones included: expired and unknown are different errors. */
  find(accessKeyId: string): Known | undefined {
    return this.known.get(accessKeyId);
  }

  /** Forgets the credentials of a machine that is gone. */
  forget(instanceId: string): void {
    for (const [key, { caller }] of this.known) {
      if (caller.kind === "role" && caller.instanceId === instanceId) this.known.delete(key);
    }
  }
}
