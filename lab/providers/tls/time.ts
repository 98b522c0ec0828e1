/** Nanoseconds since 1970. The clock gives microseconds; what is behind is only there to look like the real provider's times. */
export function nanosecondsNow(): bigint {
  return (
    BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n +
    (process.hrtime.bigint() % 1000n)
  );
}

/** RFC 3339 in UTC with nanoseconds, without zeros at the end. */
export function instant(nanoseconds: bigint): string {
  const seconds = nanoseconds / 1_000_000_000n;
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, "0").replace(/0+$/, "");
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return fraction === "" ? `${whole}Z` : `${whole}.${fraction}Z`;
}
