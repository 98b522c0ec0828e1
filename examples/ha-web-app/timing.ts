/** Every time that decides what a client may notice, seconds. The test computes its bounds from these. */
export const timing = {
  /** How often the balancer asks a machine, how long it waits for the answer, and after how many answers it changes its mind. */
  healthCheck: { interval: 5, timeout: 3, threshold: 2 },
  /** From the last new connection to a machine that is deployed to until the balancer has forgotten it. nginx.conf ends all connections before. */
  deregistrationDelay: 30,
  /** Longest that a request may take. */
  request: 10,
  /** How long the lock of a scheduler that is silent still holds. */
  schedulerLock: 10,
} as const;

/** Seconds until the balancer sends nobody any more to a machine that is silent: a probe may have just succeeded, and the last one that fails waits. */
export const detectionSeconds =
  timing.healthCheck.interval * timing.healthCheck.threshold + timing.healthCheck.timeout;
