/** Says what is going on. Everything that may take over two seconds reports through one of these. */
export type Log = (line: string) => void;

/** Progress goes to stderr, results to stdout, so that `eval "$(make -s env)"` and `make status JSON=1` stay clean. */
export const standardError: Log = (line) => {
  process.stderr.write(`${line}\n`);
};

/** A span of time as people read it: "0.4 s", "75 s", "3 min 12 s". */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Runs a stage, reporting every ten seconds that it still runs, and at its end how long it took. */
export async function stage<T>(log: Log, name: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const reminder = setInterval(() => {
    log(`   … ${name} (${duration(performance.now() - started)})`);
  }, 10_000);
  try {
    return await work();
  } finally {
    clearInterval(reminder);
  }
}
