/** Milliseconds of the host's monotonic clock: the same for every process on it, and no time server moves it. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}
