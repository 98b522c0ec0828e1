/** Progress, for people and the journal: stderr, one line each. stdout belongs to the one line of JSON that a command answers. */
export function say(message: string): void {
  process.stderr.write(`${message.replaceAll("\n", " ")}\n`);
}

/** The text of anything thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
