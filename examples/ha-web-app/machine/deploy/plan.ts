/** What a balancer thinks of a target. A target that it does not know is `unused`. */
export type TargetState = "initial" | "healthy" | "unhealthy" | "draining" | "unused";

/** A machine among the balancer's targets. */
export interface Target {
  readonly address: string;
  readonly state: TargetState;
}

/** What is known before anything is done. */
export interface Facts {
  /** This machine's address. */
  readonly self: string;
  readonly targets: readonly Target[];
  /** Digest of the release and settings that shall be in place. */
  readonly wanted: string;
  /** Digest of those that were put in place completely. */
  readonly installed: string | undefined;
  /** Whether the app answers, and can use what it needs. */
  readonly serves: boolean;
}

/**
 * - `drain`: no new connections, and an end of those that are there;
 * - `install`: another release or other settings, proven on this machine before anybody is sent to it;
 * - `join`: back among the targets, until the balancer finds it healthy.
 */
export type Step = "drain" | "install" | "join";

/** Decides what to do on one machine. */
export function plan(facts: Facts): { steps: Step[] } | { refused: string } {
  const { self, targets } = facts;
  const own = targets.find(({ address }) => address === self)?.state ?? "unused";
  if (facts.installed === facts.wanted && facts.serves) {
    return { steps: own === "healthy" ? [] : ["join"] };
  }
  const others = targets.filter(({ address }) => address !== self);
  if (own === "healthy" && !others.some(({ state }) => state === "healthy")) {
    const list = others.map(({ address, state }) => `${address} is ${state}`).join(", ");
    return {
      refused:
        `${self} is the only healthy target (${list || "there is no other"}), and a deployment takes it out of service; ` +
        "make another one healthy first, then run `pulumi up` again",
    };
  }
  return { steps: own === "unused" ? ["install", "join"] : ["drain", "install", "join"] };
}
