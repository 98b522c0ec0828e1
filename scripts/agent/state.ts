import { readIfThere, writeDurably } from "./files";
import { paths } from "./paths";
import { say } from "./say";

/** What the agent is doing, for `status`, for a bootstrap that ran out of time, and for people. */
export interface AgentState {
  /** `starting`, `running`, `waiting`, `refused` or `failing`. */
  readonly state: "starting" | "running" | "waiting" | "refused" | "failing";
  /** Name of the wait, where there is one. */
  readonly wait?: string;
  /** What it waits for, or why it refuses. */
  readonly reason?: string;
}

let last = "";

/** Makes the state known; says it when it is news. */
export async function announce(state: AgentState): Promise<void> {
  const text = JSON.stringify(state);
  if (text === last) {
    return;
  }
  last = text;
  const { wait, reason } = state;
  const about = wait === undefined ? "" : ` (${wait})`;
  say(`${state.state}${about}${reason === undefined ? "" : `: ${reason}`}`);
  await writeDurably(paths.state, `${text}\n`, { mode: 0o644 });
}

/** The state that was made known last, by whichever process. */
export async function announced(): Promise<AgentState | undefined> {
  const text = await readIfThere(paths.state);
  return text === undefined ? undefined : (JSON.parse(text) as AgentState);
}

/** The same in words. */
export async function announcedInWords(): Promise<string> {
  const state = await announced();
  if (state === undefined) {
    return "the agent has not said anything yet";
  }
  const { wait, reason } = state;
  return [state.state, wait === undefined ? "" : `(${wait})`, reason ?? ""]
    .filter(Boolean)
    .join(" ");
}
